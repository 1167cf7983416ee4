package badinput

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/test/rawws"
)

// limit is the payload cap of every route, in bytes.
const limit = 16 << 10

const pmd = "permessage-deflate"

// target is a server in this process, and a good client that stays connected
// whatever others do.
type target struct {
	*testing.T
	app  *engine.App
	addr string
	good *rawws.Conn
}

// start serves /echo, and what routes adds, until the test ends.
func start(t *testing.T, o engine.Options, routes ...func(*engine.App)) *target {
	t.Helper()
	o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	app := engine.New(o)
	app.WS("/echo", engine.Behavior{
		Compression: engine.CompressionShared,
		Message:     func(ws *engine.Conn, msg []byte, op engine.OpCode) { ws.Send(msg, op) },
	})
	for _, add := range routes {
		add(app)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Serve(l) }()
	tg := &target{T: t, app: app, addr: l.Addr().String()}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := app.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; !errors.Is(err, engine.ErrShutdown) {
			t.Errorf("Serve: %v", err)
		}
		l.Close()
	})
	tg.good = tg.open("/echo")
	t.Cleanup(func() { tg.good.Close() })
	return tg
}

func (tg *target) open(path string) *rawws.Conn {
	tg.Helper()
	c, err := rawws.Open(tg.addr, path, pmd)
	if err != nil {
		tg.Fatal(err)
	}
	return c
}

func (tg *target) dial() *rawws.Conn {
	tg.Helper()
	c, err := rawws.Dial(tg.addr)
	if err != nil {
		tg.Fatal(err)
	}
	return c
}

// slack is what the counts of a run may differ by at its end.
const (
	slackGoroutines = 4       // a loop's helpers come and go
	slackHeap       = 4 << 20 // pools, in bytes
)

// attack runs f and asserts that nothing of it stays, and that good clients,
// the old and a new one, are served after it.
func (tg *target) attack(f func()) {
	tg.Helper()
	tg.served(tg.good)
	settle := func() usage { runtime.GC(); return measure() }
	before := settle()
	f()
	tg.served(tg.good)
	fresh := tg.open("/echo")
	tg.served(fresh)
	fresh.Close()
	var after usage
	ok := eventually(func() bool {
		after = settle()
		return after.fds <= before.fds &&
			after.goroutines <= before.goroutines+slackGoroutines &&
			after.heap <= before.heap+slackHeap
	})
	if !ok {
		tg.Errorf("before %v, and for long after %v", before, after)
	}
}

// eventually waits for cond, as long as a closing connection may take.
func eventually(cond func() bool) bool {
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			return false
		}
		<-tick.C
	}
	return true
}

// served asserts that c echoes, compressed and plain.
func (tg *target) served(c *rawws.Conn) {
	tg.Helper()
	if err := echoes(c); err != nil {
		tg.Fatalf("a good client is not served: %v", err)
	}
}

func echoes(c *rawws.Conn) error {
	plain := []byte("are you there?")
	long := bytes.Repeat(plain, 100)
	if err := c.Send(rawws.Frame{Fin: true, Op: rawws.Text, Payload: plain}.Bytes()); err != nil {
		return err
	}
	if err := expect(c, rawws.TextMessage, plain); err != nil {
		return err
	}
	compressed := rawws.Frame{Fin: true, Op: rawws.Binary, Rsv: rawws.Rsv1, Payload: c.Compress(long)}
	if err := c.Send(compressed.Bytes()); err != nil {
		return err
	}
	return expect(c, rawws.BinaryMessage, long)
}

func expect(c *rawws.Conn, kind rawws.Kind, payload []byte) error {
	e, err := c.Next()
	if err == nil && (e.Kind != kind || !bytes.Equal(e.Payload, payload)) {
		err = fmt.Errorf("got %v, want %v", e, rawws.Event{Kind: kind, Payload: payload})
	}
	return err
}

// total adds up a counter of all loops.
func (tg *target) total(counter func(engine.LoopStats) uint64) (sum uint64) {
	for _, l := range tg.app.Stats().Loops {
		sum += counter(l)
	}
	return sum
}

// closedWith reads up to the end and returns an error unless a Close frame with
// code came right before it.
func closedWith(c *rawws.Conn, code int) error {
	var last rawws.Event
	for {
		e, err := c.Next()
		switch {
		case err != nil:
			return err
		case e.Kind != rawws.End:
			last = e
			continue
		case last.Kind != rawws.CloseFrame || last.Code != code:
			return fmt.Errorf("the last event is %v, want close %d", last, code)
		}
		return nil
	}
}

// usage is what this process holds.
type usage struct {
	fds, goroutines int
	heap            uint64 // live bytes
}

func (u usage) String() string {
	return fmt.Sprintf("%d descriptors, %d goroutines, %d KiB", u.fds, u.goroutines, u.heap>>10)
}

func measure() usage {
	names, _ := os.ReadDir("/proc/self/fd")
	return usage{len(names), runtime.NumGoroutine(), heap()}
}

func heap() uint64 { return metric("/memory/classes/heap/objects:bytes") }

func metric(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// allocated runs f and returns the bytes that it, and the server, allocated
// meanwhile: a bound for what the heap grew by at any moment.
func allocated(f func()) uint64 {
	before := metric("/gc/heap/allocs:bytes")
	f()
	return metric("/gc/heap/allocs:bytes") - before
}

// held runs f and returns by how many bytes the live heap has grown when it ends.
func held(f func()) uint64 {
	runtime.GC()
	before := heap()
	f()
	runtime.GC()
	return max(heap(), before) - before
}

// request is a well-formed upgrade request to /echo with old replaced by new.
func (tg *target) request(old, new string) string {
	tg.Helper()
	r := rawws.Request(tg.addr, "/echo")
	if !strings.Contains(r, old) {
		tg.Fatalf("the request has no %q", old)
	}
	return strings.Replace(r, old, new, 1)
}
