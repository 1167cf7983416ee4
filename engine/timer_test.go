package engine_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// The engine's clock has a granularity of one second, so these tests last some
// seconds. None of them measures time.

// timed is a client of a route of its own, and what Close was told.
type timed struct {
	*client
	app    *engine.App
	closed chan engine.StatusCode
}

// timedClients opens a socket and a stream to a route that echoes.
func timedClients(t *testing.T, b engine.Behavior) []timed {
	var clients []timed
	for _, stream := range []bool{false, true} {
		x := timed{closed: make(chan engine.StatusCode, 1)}
		b.Message = echo
		b.Close = func(_ *engine.Conn, code engine.StatusCode, _ string) { x.closed <- code }
		app := engine.New(engine.Options{Loops: 1, Logger: quiet()}).WS("/", b)
		if addr := serve(t, app); stream {
			x.client = dialPipe(t, app)
		} else {
			x.client = dial(t, addr, "/")
		}
		x.app = app
		clients = append(clients, x)
	}
	return clients
}

// wantPing reads a ping and returns its payload.
func (x timed) wantPing() string {
	x.t.Helper()
	f := x.frame()
	if f.Header.OpCode != ws.OpPing || len(f.Payload) != 4 {
		x.t.Fatalf("got opcode %d %.60q, want a ping that tells its time", f.Header.OpCode, f.Payload)
	}
	return string(f.Payload)
}

// wantEnd reads a Close frame, answers it, and reads the end.
func (x timed) wantEnd(code engine.StatusCode, reason string) {
	x.t.Helper()
	f := x.frame()
	if got, text := ws.ParseCloseFrameData(f.Payload); f.Header.OpCode != ws.OpClose || got != code || text != reason {
		x.t.Fatalf("got opcode %d, %d %q, want close %d %q", f.Header.OpCode, got, text, code, reason)
	}
	// It may have hung up already, which the next line sees.
	_, _ = x.Write([]byte(sent(ws.OpClose, string(ws.NewCloseFrameBody(code, "")))))
	x.wantEOF()
	x.wantCode(code)
}

func (x timed) wantCode(code engine.StatusCode) {
	x.t.Helper()
	if got := receive(x.t, x.closed); got != code {
		x.t.Errorf("Close was told %d, want %d", got, code)
	}
}

// The connections of all these cases are opened first, so that their times pass
// together.
func TestTimersOfSilentConnections(t *testing.T) {
	t.Parallel()
	ping := func(x timed) { x.wantPing() }
	pings := func(x timed) {
		ping(x)
		for {
			if head, err := x.r.Peek(1); err != nil || ws.OpCode(head[0]&0x0f) != ws.OpPing {
				return
			}
			ping(x)
		}
	}
	none := func(timed) {}
	const second = time.Second
	idle, old := "idle timeout", "maximum lifetime reached"
	tests := []struct {
		name     string
		behavior engine.Behavior
		before   func(timed)
		reason   string
	}{
		{"idle", engine.Behavior{IdleTimeout: second, SendPings: -1}, none, idle},
		{"idle, pings off", engine.Behavior{IdleTimeout: 3 * second, SendPings: -1}, none, idle},
		{"idle, pings too late", engine.Behavior{IdleTimeout: 2 * second, SendPings: 3 * second}, none, idle},
		{"idle, ping unanswered", engine.Behavior{IdleTimeout: 2 * second}, ping, idle},
		{"old", engine.Behavior{MaxLifetime: 2 * second, IdleTimeout: -1, SendPings: -1}, none, old},
		{"old before idle", engine.Behavior{MaxLifetime: 2 * second, IdleTimeout: 5 * second, SendPings: -1}, none, old},
		{"old, pinged, never idle", engine.Behavior{MaxLifetime: 3 * second, IdleTimeout: -1, SendPings: second}, pings, old},
	}
	var clients [][]timed
	for _, x := range tests {
		clients = append(clients, timedClients(t, x.behavior))
	}
	for i, x := range tests {
		for j, c := range clients[i] {
			t.Run(fmt.Sprint(x.name, "/", []string{"socket", "stream"}[j]), func(t *testing.T) {
				c.t = t
				x.before(c)
				c.wantEnd(1001, x.reason)
			})
		}
	}
}

func TestAnsweredPingsKeepAConnectionOpen(t *testing.T) {
	t.Parallel()
	clients := timedClients(t, engine.Behavior{IdleTimeout: 4 * time.Second})
	for range 3 { // longer than IdleTimeout
		for _, c := range clients {
			c.raw(sent(ws.OpPong, c.wantPing()))
		}
	}
	for _, c := range clients {
		c.text("still open")
		c.wantText("still open")
		var rtt engine.Histogram
		testkit.Eventually(t, func() bool { // a busy loop may not have answered
			s := c.app.Stats()
			rtt = s.Total().RTT
			return count(rtt) >= 3
		}, patience)
		if count(rtt) != 3 || rtt.Sum == 0 {
			t.Errorf("%d pongs timed, %d ns in all", count(rtt), rtt.Sum)
		}
	}
}

// eachTick calls fn every 20 ms until it returns false or, at the latest, for
// the patience of a test.
func eachTick(t *testing.T, fn func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(4 * patience); time.Now().Before(end); <-tick.C {
		if !fn() {
			return
		}
	}
	t.Fatal("it goes on for ever")
}

func TestActiveConnectionIsNotIdle(t *testing.T) {
	t.Parallel()
	clients := timedClients(t, engine.Behavior{IdleTimeout: 3 * time.Second, SendPings: -1})
	end := time.Now().Add(6 * time.Second)
	eachTick(t, func() bool {
		for _, c := range clients {
			c.text("busy")
			c.wantText("busy")
		}
		return time.Now().Before(end)
	})
	for _, c := range clients {
		c.wantEnd(1001, "idle timeout")
	}
}

func TestPartsOfAFrameAreNoActivity(t *testing.T) {
	t.Parallel()
	clients := timedClients(t, engine.Behavior{IdleTimeout: time.Second, SendPings: -1})
	frame := sent(ws.OpBinary, string(make([]byte, 16<<10)))
	i := 0
	eachTick(t, func() bool {
		open := false
		for _, c := range clients {
			if len(c.closed) > 0 {
				continue
			}
			open = true
			// Fails when the server has hung up meanwhile.
			_, _ = c.Write([]byte(frame[i : i+1]))
		}
		i++
		return open
	})
	for _, c := range clients {
		c.wantCode(1001)
	}
}

func TestMaxLifetimeOfAnActiveConnection(t *testing.T) {
	t.Parallel()
	clients := timedClients(t, engine.Behavior{MaxLifetime: time.Second})
	for _, c := range clients {
		eachTick(t, func() bool {
			if head, err := c.r.Peek(c.r.Buffered()); err == nil && len(head) > 0 {
				return false
			}
			c.text("busy")
			if head, err := c.r.Peek(1); err != nil || ws.OpCode(head[0]&0x0f) == ws.OpClose {
				return false
			}
			c.wantText("busy")
			return true
		})
		c.wantEnd(1001, "maximum lifetime reached")
	}
}

// A client that neither answers a Close frame nor hangs up is let go.
func TestUnansweredClose(t *testing.T) {
	t.Parallel()
	clients := timedClients(t, engine.Behavior{Open: func(c *engine.Conn) { c.Close(4000, "leave") }})
	for _, c := range clients {
		if f := c.frame(); f.Header.OpCode != ws.OpClose {
			t.Errorf("got opcode %d", f.Header.OpCode)
		}
		c.wantEOF()
		c.wantCode(4000)
	}
}

// A client that never hangs up after it was refused is let go.
func TestLingeringEnds(t *testing.T) {
	t.Parallel()
	app := engine.New(engine.Options{Loops: 1, Logger: quiet()}).WS("/", engine.Behavior{})
	c := knock(t, serve(t, app), "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
	c.wantStatus(400)
	c.wantEOF()
	eachTick(t, func() bool {
		_, err := c.Write([]byte("more"))
		if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Fatalf("got %v, want a reset", err)
		}
		return err == nil
	})
}
