package engine_test

import (
	"bytes"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// held waits until the app's connections hold what ok allows.
func held(t *testing.T, app *engine.App, ok func(int) bool) {
	t.Helper()
	testkit.Eventually(t, func() bool { return ok(app.Held()) }, patience)
}

func ended(app *engine.App) uint64 {
	s := app.Stats()
	return s.Total().Closed[engine.CauseMemory]
}

// Beyond the bound those are closed that hold most, and nobody else.
func TestMaxHeldClosesWhoHoldsMost(t *testing.T) {
	const each = 256 << 10
	for _, dedicated := range []bool{false, true} {
		opened, closed := make(chan uint64, 8), make(chan uint64, 8)
		behavior := engine.Behavior{
			Message:         echo,
			MaxPayload:      1 << 20,
			MaxBackpressure: -1,
			Open:            func(c *engine.Conn) { opened <- c.ID() },
			Close:           func(c *engine.Conn, _ engine.StatusCode, _ string) { closed <- c.ID() },
		}
		if dedicated {
			behavior.Compression = engine.CompressionDedicated
		}
		app := engine.New(engine.Options{Loops: 1}).WS("/", behavior)
		addr := serve(t, app)
		good := dial(t, addr, "/")
		<-opened
		good.text("hello")
		good.wantText("hello")
		// fill has a client that does not read send what comes back to it, one message
		// after the other, until enough waits.
		fill := func(enough func() bool) (c *client, id uint64) {
			c = dial(t, addr, "/")
			id = <-opened
			_ = c.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			for !enough() {
				s := app.Stats()
				before := s.Total().MessagesIn
				c.send(ws.OpBinary, strings.Repeat("x", 64<<10))
				testkit.Eventually(t, func() bool {
					s := app.Stats()
					return s.Total().MessagesIn > before
				}, patience)
			}
			return c, id
		}
		little, _ := fill(func() bool { return app.Held() >= each })
		_, much := fill(func() bool { return app.Held() >= 5*each })
		app.SetMaxHeld(6 * each)
		more, _ := fill(func() bool { return ended(app) > 0 })
		if n := ended(app); n != 1 {
			t.Fatalf("%d closed", n)
		}
		held(t, app, func(n int) bool { return n >= each && n < 6*each })
		if id := <-closed; id != much {
			t.Errorf("connection %d is closed, not %d", id, much)
		}
		good.text("again")
		good.wantText("again")
		_, _ = little.Close(), more.Close()
		held(t, app, func(n int) bool { return n == 0 })
	}
}

// A message that is too much while it comes is its client's end, with a Close frame.
func TestMaxHeldRefusesMessage(t *testing.T) {
	app := engine.New(engine.Options{Loops: 1}).WS("/", engine.Behavior{Message: echo, MaxPayload: 1 << 20})
	addr := serve(t, app)
	c, whole := dial(t, addr, "/"), dial(t, addr, "/")
	app.SetMaxHeld(256 << 10)
	frame := ws.MustCompileFrame(ws.MaskFrame(ws.NewBinaryFrame(bytes.Repeat([]byte("x"), 512<<10))))
	if _, err := c.Write(frame[:128<<10]); err != nil {
		t.Fatal(err)
	}
	held(t, app, func(n int) bool { return n > 100<<10 })
	_, _ = c.Write(frame[128<<10:])
	c.wantClose(1013, "server is short of memory")
	held(t, app, func(n int) bool { return n == 0 })
	app.SetMaxHeld(0)
	if _, err := whole.Write(frame); err != nil {
		t.Fatal(err)
	}
	if f := whole.frame(); f.Header.Length != 512<<10 {
		t.Errorf("got %d bytes", f.Header.Length)
	}
	if n := ended(app); n != 1 {
		t.Errorf("%d closed", n)
	}
}

// Whoever set the bound may allow more, and is asked again beyond that.
func TestMoreHeld(t *testing.T) {
	const bound, more = 256 << 10, 512 << 10
	var asked atomic.Int64
	app := engine.New(engine.Options{Loops: 1, MoreHeld: func(held int) int {
		asked.Add(1)
		if held <= bound {
			t.Errorf("asked for %d", held)
		}
		return more
	}}).WS("/", engine.Behavior{Message: echo, MaxPayload: 2 << 20})
	addr := serve(t, app)
	c := dial(t, addr, "/")
	app.SetMaxHeld(bound)
	frame := ws.MustCompileFrame(ws.MaskFrame(ws.NewBinaryFrame(bytes.Repeat([]byte("x"), 2<<20))))
	if _, err := c.Write(frame[:(bound+more)/2]); err != nil {
		t.Fatal(err)
	}
	held(t, app, func(n int) bool { return n >= (bound+more)/2-ws.MaxHeaderSize })
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	_, _ = c.Write(frame[(bound+more)/2:])
	c.wantClose(1013, "server is short of memory")
	held(t, app, func(n int) bool { return n == 0 })
	if asked, ended := asked.Load(), ended(app); asked < 2 || ended != 1 {
		t.Errorf("asked %d times, %d closed", asked, ended)
	}
}
