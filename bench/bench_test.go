package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/bench"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.CheckLeaks(m)) }

// short is a run of a fraction of a second.
func short(addr string, mode bench.Mode) bench.Config {
	path := "/echo"
	if mode == bench.Fanout {
		path = "/topics/x"
	}
	return bench.Config{
		Mode:        mode,
		URL:         "ws://" + addr + path,
		Connections: 5,
		Rate:        map[bench.Mode]float64{bench.Paced: 2000}[mode],
		Warmup:      20 * time.Millisecond,
		Duration:    200 * time.Millisecond,
		Timeout:     20 * time.Second,
	}
}

// lasting runs cfg, and again for longer while its result is not enough: on a busy
// machine there may be no message in a fraction of a second.
func lasting(t *testing.T, cfg bench.Config, enough func(bench.Result) bool) (bench.Result, error) {
	t.Helper()
	for {
		res, err := bench.Run(t.Context(), cfg)
		if err != nil || enough(res) || cfg.Duration >= 20*time.Second {
			return res, err
		}
		cfg.Duration *= 10
	}
}

// anything is enough where one message is.
func anything(res bench.Result) bool { return res.Messages > 0 || res.Config.Mode == bench.Idle }

// noFault is never enough where there must be a fault.
func noFault(bench.Result) bool { return false }

func TestHonestServer(t *testing.T) {
	tests := []struct {
		name   string
		mode   bench.Mode
		server conduct
		change func(*bench.Config)
	}{
		{name: "echo", mode: bench.Echo},
		{name: "echo in flight", mode: bench.Echo, change: func(c *bench.Config) { c.InFlight = 16 }},
		{name: "echo of one byte", mode: bench.Echo, change: func(c *bench.Config) { c.Size = 1; c.InFlight = 4 }},
		{name: "echo binary 100 KiB", mode: bench.Echo, change: func(c *bench.Config) { c.Size = 100 << 10; c.Binary = true }},
		{name: "echo in pieces", mode: bench.Echo, server: conduct{pieces: 3}},
		{name: "echo with pings", mode: bench.Echo, server: conduct{pingEach: true}},
		{name: "echo deflated", mode: bench.Echo, server: conduct{deflate: true}, change: func(c *bench.Config) { c.Size = 1024; c.Deflate = true }},
		{name: "paced", mode: bench.Paced},
		{name: "paced deflated in pieces", mode: bench.Paced, server: conduct{deflate: true, pieces: 2}, change: func(c *bench.Config) { c.Size = 300; c.Deflate = true }},
		{name: "fan-out", mode: bench.Fanout},
		{name: "fan-out of four", mode: bench.Fanout, change: func(c *bench.Config) { c.Publishers = 4; c.Window = 16 }},
		{name: "fan-out by others", mode: bench.Fanout, change: func(c *bench.Config) {
			c.Publishers = 2
			c.PublishURL = strings.Replace(c.URL, "/topics/x", "/topics/x?mode=pub", 1)
		}, server: conduct{}},
		{name: "fan-out paced", mode: bench.Fanout, change: func(c *bench.Config) { c.Publishers = 3; c.Rate = 500 }},
		{name: "idle", mode: bench.Idle},
		{name: "idle after messages", mode: bench.Idle, change: func(c *bench.Config) { c.Messages = 3 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := short(startServer(t, tt.server), tt.mode)
			if tt.change != nil {
				tt.change(&cfg)
			}
			res, err := lasting(t, cfg, anything)
			if err != nil {
				t.Fatal(err)
			}
			if res.Faults != (bench.Faults{}) {
				t.Errorf("faults: %+v", res.Faults)
			}
			if cfg.Mode == bench.Idle {
				return
			}
			l := res.Latency
			if res.Messages == 0 || res.PerSecond <= 0 || l.P50 <= 0 || l.P50 > l.P99 || l.P99 > l.Max {
				t.Errorf("implausible figures: %+v", res)
			}
			if cfg.Deflate && res.BytesPerMessage >= float64(cfg.Size) {
				t.Errorf("%.0f bytes a message of %d, deflated", res.BytesPerMessage, cfg.Size)
			}
		})
	}
}

// TestLyingServer has a server do one thing wrong with its sixth message, and
// the client must count exactly that.
func TestLyingServer(t *testing.T) {
	const at = 5
	once := func(lie func(p []byte) [][]byte) func(int, []byte) ([][]byte, bool) {
		return func(n int, p []byte) ([][]byte, bool) {
			if n == at {
				return lie(p), true
			}
			return [][]byte{p}, true
		}
	}
	change := func(i int) func([]byte) [][]byte {
		return func(p []byte) [][]byte {
			p = bytes.Clone(p)
			p[i] ^= 1
			return [][]byte{p}
		}
	}
	drop := func([]byte) [][]byte { return nil }
	double := func(p []byte) [][]byte { return [][]byte{p, p} }
	swap := func() func(int, []byte) ([][]byte, bool) {
		var held []byte
		return func(n int, p []byte) ([][]byte, bool) {
			switch n {
			case at:
				held = p
				return nil, true
			case at + 1:
				return [][]byte{p, held}, true
			}
			return [][]byte{p}, true
		}
	}
	tests := []struct {
		name   string
		mode   bench.Mode
		server conduct
		want   bench.Faults
		more   func(*bench.Config)
	}{
		{name: "echo lost", mode: bench.Echo, server: conduct{answer: once(drop)}, want: bench.Faults{Lost: 1}},
		{name: "echo twice", mode: bench.Echo, server: conduct{answer: once(double)}, want: bench.Faults{Duplicated: 1}},
		{name: "echo text changed", mode: bench.Echo, server: conduct{answer: once(change(40))}, want: bench.Faults{Corrupt: 1}},
		{name: "echo number changed", mode: bench.Echo, server: conduct{answer: once(change(3))}, want: bench.Faults{Corrupt: 1}},
		{name: "echo cut short", mode: bench.Echo, server: conduct{answer: once(func(p []byte) [][]byte { return [][]byte{p[:len(p)-1]} })}, want: bench.Faults{Corrupt: 1}},
		{name: "echo made longer", mode: bench.Echo, server: conduct{answer: once(func(p []byte) [][]byte { return [][]byte{append(p, 'x')} })}, want: bench.Faults{Corrupt: 1}},
		{name: "echo emptied", mode: bench.Echo, server: conduct{answer: once(func([]byte) [][]byte { return [][]byte{{}} })}, want: bench.Faults{Corrupt: 1}},
		{name: "echo out of order", mode: bench.Echo, server: conduct{answer: swap()}, want: bench.Faults{Reordered: 1},
			more: func(c *bench.Config) { c.Connections = 1; c.InFlight = 8 }},
		{name: "short echo lost", mode: bench.Echo, server: conduct{answer: once(drop)}, want: bench.Faults{Lost: 1},
			more: func(c *bench.Config) { c.Size = 1; c.InFlight = 4 }},
		{name: "paced lost", mode: bench.Paced, server: conduct{answer: once(drop)}, want: bench.Faults{Lost: 1}},
		{name: "paced twice", mode: bench.Paced, server: conduct{answer: once(double)}, want: bench.Faults{Duplicated: 1}},
		{name: "paced text changed", mode: bench.Paced, server: conduct{answer: once(change(50))}, want: bench.Faults{Corrupt: 1}},
		{name: "idle lost", mode: bench.Idle, server: conduct{answer: once(drop)}, want: bench.Faults{Lost: 1},
			more: func(c *bench.Config) { c.Messages = 10 }},
		// Five subscribers, one publisher.
		{name: "publication lost", mode: bench.Fanout, server: conduct{answer: once(drop)}, want: bench.Faults{Lost: 5},
			more: func(c *bench.Config) { c.Rate = 2000 }},
		{name: "publication twice", mode: bench.Fanout, server: conduct{answer: once(double)}, want: bench.Faults{Duplicated: 5}},
		{name: "publication text changed", mode: bench.Fanout, server: conduct{answer: once(change(60))}, want: bench.Faults{Corrupt: 5}},
		{name: "publication number unknown", mode: bench.Fanout, server: conduct{answer: once(func(p []byte) [][]byte {
			return [][]byte{append([]byte("~ffffffff"), p[9:]...)}
		})}, want: bench.Faults{Corrupt: 5, Lost: 5}, more: func(c *bench.Config) { c.Rate = 2000 }},
		{name: "publication out of order", mode: bench.Fanout, server: conduct{answer: swap()}, want: bench.Faults{Reordered: 5},
			more: func(c *bench.Config) { c.Window = 8 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := short(startServer(t, tt.server), tt.mode)
			cfg.Size = 64
			if tt.more != nil {
				tt.more(&cfg)
			}
			res, err := lasting(t, cfg, noFault)
			if !errors.Is(err, bench.ErrFaults) {
				t.Fatalf("err = %v, want ErrFaults", err)
			}
			if res.Faults != tt.want {
				t.Errorf("faults = %+v, want %+v", res.Faults, tt.want)
			}
		})
	}
}

// TestSelfDelivery catches a server that sends publications to their sender.
func TestSelfDelivery(t *testing.T) {
	for _, publishers := range []int{1, 3} {
		cfg := short(startServer(t, conduct{self: true}), bench.Fanout)
		cfg.Publishers = publishers
		res, err := lasting(t, cfg, noFault)
		f := res.Faults
		if !errors.Is(err, bench.ErrFaults) || f.Unexpected == 0 || f.Lost+f.Duplicated+f.Corrupt > 0 {
			t.Errorf("%d publishers: %v, %+v", publishers, err, f)
		}
	}
}

func TestBrokenServer(t *testing.T) {
	closeAt := func(n int, p []byte) ([][]byte, bool) { return [][]byte{p}, n != 5 }
	tests := []struct {
		name   string
		server conduct
		want   error
		closed uint64
		change func(*bench.Config)
	}{
		{name: "closes", server: conduct{answer: closeAt}, want: bench.ErrFaults, closed: 1},
		{name: "never answers a ping", server: conduct{deaf: true}, want: bench.ErrFaults, closed: 5, change: func(c *bench.Config) {
			c.Timeout = 2 * time.Second // of the handshake as well
		}},
		{name: "refuses", server: conduct{status: 403}, want: bench.ErrHandshake},
		{name: "no deflate", want: bench.ErrNoDeflate, change: func(c *bench.Config) { c.Deflate = true }},
		{name: "nobody subscribed", want: bench.ErrFaults, change: func(c *bench.Config) {
			c.Mode = bench.Fanout // the path echoes
			c.Timeout = 2 * time.Second
		}},
		{name: "unknown mode", want: bench.ErrConfig, change: func(c *bench.Config) { c.Mode = "sing" }},
		{name: "not a WebSocket URL", want: bench.ErrConfig, change: func(c *bench.Config) { c.URL = "http://127.0.0.1/" }},
		{name: "no room for the number", want: bench.ErrConfig, change: func(c *bench.Config) { c.Mode = bench.Fanout; c.Size = 16 }},
		{name: "negative size", want: bench.ErrConfig, change: func(c *bench.Config) { c.Size = -1 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := short(startServer(t, tt.server), bench.Echo)
			if tt.change != nil {
				tt.change(&cfg)
			}
			res, err := lasting(t, cfg, noFault)
			if !errors.Is(err, tt.want) || res.Faults.Closed != tt.closed {
				t.Errorf("err = %v, %d closed; want %v, %d closed", err, res.Faults.Closed, tt.want, tt.closed)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(testkit.FreePort(t)))
	if _, err := bench.Run(t.Context(), short(addr, bench.Echo)); err == nil {
		t.Error("no error")
	}
}

// TestCancel ends a run in each mode while it is under way.
func TestCancel(t *testing.T) {
	for _, mode := range []bench.Mode{bench.Echo, bench.Paced, bench.Fanout, bench.Idle} {
		t.Run(string(mode), func(t *testing.T) {
			started := make(chan struct{}, 1)
			s := conduct{answer: func(_ int, p []byte) ([][]byte, bool) {
				select {
				case started <- struct{}{}:
				default:
				}
				return [][]byte{p}, true
			}}
			cfg := short(startServer(t, s), mode)
			cfg.Duration = time.Hour
			cfg.Messages = 1
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				<-started
				cancel()
			}()
			if _, err := bench.Run(ctx, cfg); !errors.Is(err, context.Canceled) {
				t.Errorf("err = %v, want context.Canceled", err)
			}
		})
	}
}

// TestServerFigures measures the test's own process.
func TestServerFigures(t *testing.T) {
	addr := startServer(t, conduct{})
	cfg := short(addr, bench.Echo)
	cfg.PID = os.Getpid()
	res, err := lasting(t, cfg, anything)
	if runtime.GOOS != "linux" {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("err = %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if s := res.Server; s == nil || s.CPUPerMessage < 0 || s.RSS < 1<<20 {
		t.Errorf("server figures: %+v", s)
	}
	cfg = short(addr, bench.Idle)
	cfg.PID = os.Getpid()
	if res, err = bench.Run(t.Context(), cfg); err != nil || res.Server == nil || res.Server.RSS < 1<<20 {
		t.Errorf("idle: %v, %+v", err, res.Server)
	}
}

func TestOutput(t *testing.T) {
	res := bench.Result{
		Config:    bench.Config{Mode: bench.Fanout, URL: "ws://127.0.0.1:1/topics/x", Connections: 10, Publishers: 2, Window: 4, Size: 64},
		Elapsed:   2 * time.Second,
		Messages:  1000,
		PerSecond: 500,
		Latency:   bench.Latency{P50: 10, P99: 20},
		Server:    &bench.Server{CPUPerMessage: 1.5, RSS: 5 << 20},
	}
	var text, doc bytes.Buffer
	if err := res.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2 publishers to 10 subscribers, 4 outstanding", "1000 in 2.00 s", "p50 10.0, ", "1.500 us per message", "5.0 MiB", "every message right"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("text lacks %q:\n%s", want, &text)
		}
	}
	if err := res.WriteJSON(&doc); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(doc.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"mode": "fanout", "per_second": 500.0, "seconds": 2.0, "window": 4.0, "size": 64.0} {
		if got[key] != want {
			t.Errorf("JSON %s = %v, want %v", key, got[key], want)
		}
	}
	if _, ok := got["in_flight"]; ok {
		t.Error("JSON has a setting of another mode")
	}
}
