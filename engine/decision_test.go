package engine_test

import (
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

func TestDeferredAccept(t *testing.T) {
	app := upgrading(engine.Options{Loops: 2}, func(u *engine.Handshake) {
		u.Defer()
		u.Defer() // once more changes nothing
		go func() {
			_ = u.Accept(engine.Accept{UserData: fmt.Sprint(u.Path(), u.Query("q"), u.Header("X"), u.Protocols()), Subprotocol: "p"})
		}()
	})
	addr := serve(t, app)
	for range 50 {
		c := knock(t, addr, upgradeHead("/a/b?q=1", "X: y", "Sec-WebSocket-Protocol: p"))
		if got := c.wantStatus(101).Get("Sec-WebSocket-Protocol"); got != "p" {
			t.Fatalf("subprotocol %q", got)
		}
		c.wantText("/a/b1y[p]")
		c.text("hi")
		c.wantText("hi")
	}
}

func TestDeferredReject(t *testing.T) {
	app := upgrading(engine.Options{Loops: 1}, func(u *engine.Handshake) {
		u.Defer()
		go func() { _ = u.Reject(418, "tea", engine.HeaderField{Name: "X", Value: "y"}) }()
	})
	c := knock(t, serve(t, app), upgradeHead("/a/")+sent(ws.OpText, "unheard"))
	status, header, body := c.response()
	if status != 418 || body != "tea" || header.Get("X") != "y" {
		t.Errorf("got %d %q %v", status, body, header)
	}
	c.wantEOF()
}

// deferring is an App whose handshakes come out of a channel.
func deferring(opts engine.Options) (*engine.App, <-chan *engine.Handshake) {
	later := make(chan *engine.Handshake, 16)
	return upgrading(opts, func(u *engine.Handshake) {
		u.Defer()
		later <- u
	}), later
}

func TestFramesBeforeADeferredDecision(t *testing.T) {
	app, later := deferring(engine.Options{Loops: 1})
	head := upgradeHead("/a/")
	frames := sent(ws.OpText, "one") + sent(ws.OpPing, "two") + sent(ws.OpText, "three")
	addr := serve(t, app)
	for cut := 0; cut <= len(frames); cut += 5 {
		before := snapshot(t, app)
		c := knock(t, addr, head+frames[:cut/2])
		u := receive(t, later)
		c.raw(frames[cut/2 : cut])
		testkit.Eventually(t, func() bool {
			s := app.Stats()
			return s.Total().BytesIn == before.Total().BytesIn+uint64(len(head)+cut)
		}, patience)
		if err := u.Accept(engine.Accept{UserData: "open"}); err != nil {
			t.Fatal(err)
		}
		receive(t, u.Done())
		c.raw(frames[cut:])
		c.wantStatus(101)
		c.wantText("open")
		c.wantText("one")
		c.want(ws.OpPong, "two")
		c.wantText("three")
		_ = c.Close()
		// The next round counts bytes again: nothing of this one may come late.
		testkit.Eventually(t, func() bool { return app.Stats().Sockets == 0 }, patience)
	}
}

func TestTooMuchBeforeADeferredDecision(t *testing.T) {
	app, later := deferring(engine.Options{Loops: 1})
	c := knock(t, serve(t, app), upgradeHead("/a/"))
	u := receive(t, later)
	go func() { _, _ = c.Write(make([]byte, 1<<20)) }() // refused halfway
	c.wantStatus(400)
	receive(t, u.Done())
	if err := u.Accept(engine.Accept{}); err != engine.ErrDecided {
		t.Errorf("Accept: %v", err)
	}
}

func TestClientLeavesBeforeADeferredDecision(t *testing.T) {
	app, later := deferring(engine.Options{Loops: 1})
	c := knock(t, serve(t, app), upgradeHead("/a/"))
	u := receive(t, later)
	select {
	case <-u.Done():
		t.Fatal("Done is closed before anything happened")
	default:
	}
	_ = c.Close()
	receive(t, u.Done())
	if err := u.Accept(engine.Accept{}); err != engine.ErrDecided {
		t.Errorf("Accept: %v, want ErrDecided", err)
	}
	if err := u.Reject(400, ""); err != engine.ErrDecided {
		t.Errorf("Reject: %v, want ErrDecided", err)
	}
	testkit.Eventually(t, func() bool { return app.Stats().Sockets == 0 }, patience)
	testkit.Eventually(t, func() bool { return app.Leftovers() == "" }, patience)
}

func TestDecisionTimeout(t *testing.T) {
	t.Parallel()
	app, later := deferring(engine.Options{Loops: 1, DecisionTimeout: time.Second})
	c := knock(t, serve(t, app), upgradeHead("/a/"))
	u := receive(t, later)
	c.wantStatus(http.StatusServiceUnavailable)
	c.wantEOF()
	receive(t, u.Done())
	if err := u.Accept(engine.Accept{}); err != engine.ErrDecided {
		t.Errorf("Accept: %v, want ErrDecided", err)
	}
}

func TestSecondDecision(t *testing.T) {
	results := make(chan error, 4)
	twice := func(u *engine.Handshake) {
		results <- u.Accept(engine.Accept{UserData: "first"})
		results <- u.Accept(engine.Accept{UserData: "second"})
		results <- u.Reject(400, "third")
	}
	app := upgrading(engine.Options{Loops: 2}, func(u *engine.Handshake) {
		if u.Param("room") == "later" {
			u.Defer()
			go twice(u)
			return
		}
		twice(u)
	})
	addr := serve(t, app)
	for _, path := range []string{"/now/", "/later/"} {
		c := dial(t, addr, path)
		c.wantText("first")
		for i := range 3 {
			want := error(nil)
			if i > 0 {
				want = engine.ErrDecided
			}
			if err := receive(t, results); err != want {
				t.Errorf("%s: decision %d: %v, want %v", path, i, err, want)
			}
		}
		c.text("hi")
		c.wantText("hi")
	}
}

func TestDeferredSecondDecisionAfterAMove(t *testing.T) {
	app, later := deferring(engine.Options{Loops: 2})
	addr := serve(t, app)
	for range 20 {
		c := knock(t, addr, upgradeHead("/a/"))
		u := receive(t, later)
		for i, l := range app.Loops() {
			err := u.Accept(engine.Accept{Loop: l, UserData: "open"})
			if i == 0 && err != nil || i > 0 && err != engine.ErrDecided {
				t.Errorf("decision %d: %v", i, err)
			}
		}
		c.wantStatus(101)
		c.wantText("open")
	}
}

// A decision may be made in the callback of another connection. What the new
// connection's callbacks do is no matter of that one.
func TestDecisionInAnotherConnectionsCallback(t *testing.T) {
	later := make(chan *engine.Handshake, 1)
	closed := make(chan engine.StatusCode, 2)
	app := engine.New(engine.Options{Loops: 1, Logger: quiet()})
	app.WS("/guest", engine.Behavior{
		Upgrade: func(u *engine.Handshake) { u.Defer(); later <- u },
		Open: func(c *engine.Conn) {
			if c.UserData() == "panic" {
				panic("open")
			}
			c.Send([]byte("open"), engine.Text)
		},
		Message: echo,
		Close:   func(_ *engine.Conn, code engine.StatusCode, _ string) { closed <- code },
	})
	app.WS("/host", engine.Behavior{
		Message: func(c *engine.Conn, msg []byte, op engine.OpCode) {
			c.Send([]byte("before"), op)
			err := (<-later).Accept(engine.Accept{UserData: string(msg)})
			c.Send([]byte(fmt.Sprint("after ", err)), op)
		},
	})
	addr := serve(t, app)
	host := dial(t, addr, "/host")

	guest := knock(t, addr, upgradeHead("/guest")+sent(ws.OpText, "first"))
	u := receive(t, later)
	later <- u
	host.text("welcome")
	host.wantText("before")
	host.wantText("after <nil>")
	guest.wantStatus(101)
	guest.wantText("open")
	guest.wantText("first")

	guest = knock(t, addr, upgradeHead("/guest"))
	u = receive(t, later)
	later <- u
	host.text("panic")
	guest.wantStatus(101)
	guest.wantClose(1011, "")
	host.wantText("before")
	host.wantText("after <nil>")
	if code := receive(t, closed); code != 1011 {
		t.Errorf("Close with %d", code)
	}
}

func TestMaxConnections(t *testing.T) {
	var opened, closed atomic.Int32
	app := engine.New(engine.Options{Loops: 2, Logger: quiet(), MaxConnections: 2}).WS("/*", engine.Behavior{
		Open:    func(*engine.Conn) { opened.Add(1) },
		Message: echo,
		Close:   func(*engine.Conn, engine.StatusCode, string) { closed.Add(1) },
	})
	addr := serve(t, app)
	first, second := dial(t, addr, "/"), dial(t, addr, "/")
	for range 10 {
		c := knock(t, addr, upgradeHead("/")+sent(ws.OpText, "unheard"))
		c.wantStatus(101)
		c.wantClose(1008, "Server at capacity")
	}
	if n := opened.Load(); n != 2 {
		t.Errorf("Open was called %d times, want 2", n)
	}
	second.text("still")
	second.wantText("still")
	_ = first.Close()
	testkit.Eventually(t, func() bool { return app.Stats().Connections == 1 }, patience)
	third := dial(t, addr, "/")
	third.text("in")
	third.wantText("in")
	fourth := dial(t, addr, "/")
	fourth.wantClose(1008, "Server at capacity")
	s := snapshot(t, app)
	if n := s.Total().Closed[engine.CauseCapacity]; n != 11 {
		t.Errorf("%d closed for capacity, want 11", n)
	}
	testkit.Eventually(t, func() bool { return closed.Load() > 0 }, patience)
	if n := closed.Load(); n != 1 {
		t.Errorf("Close was called %d times, want 1", n)
	}
}

// goroutine names the caller's goroutine.
func goroutine() string {
	b := make([]byte, 64)
	b = b[:runtime.Stack(b, false)]
	id, _, _ := strings.Cut(string(b), "[")
	return id
}

func TestAcceptOnAnotherLoop(t *testing.T) {
	var app *engine.App
	place := func(c *engine.Conn, callback string) []byte {
		return fmt.Append(nil, callback, " ", c.Loop().ID(), " ", goroutine())
	}
	closed := make(chan string, 1)
	app = engine.New(engine.Options{Loops: 3, Logger: quiet()}).WS("/{loop}/{when}", engine.Behavior{
		Upgrade: func(u *engine.Handshake) {
			var i int
			if _, err := fmt.Sscan(u.Param("loop"), &i); err != nil {
				panic(err)
			}
			a := engine.Accept{Loop: app.Loops()[i], UserData: u.Query("q"), Subprotocol: u.Protocols()[0]}
			if u.Param("when") == "later" {
				u.Defer()
				go func() { _ = u.Accept(a) }()
				return
			}
			_ = u.Accept(a)
		},
		Open: func(c *engine.Conn) { c.Send(append(place(c, "open"), c.UserData().(string)...), engine.Text) },
		Message: func(c *engine.Conn, msg []byte, op engine.OpCode) {
			c.Send(place(c, string(msg)), op)
		},
		Pong: func(c *engine.Conn, p []byte) { c.Send(place(c, string(p)), engine.Text) },
		Close: func(c *engine.Conn, code engine.StatusCode, _ string) {
			closed <- string(place(c, fmt.Sprint(code)))
		},
	})
	addr := serve(t, app)
	testkit.Eventually(t, func() bool { return len(app.Loops()) == 3 }, patience)
	ids := make([]string, len(app.Loops()))
	for i, l := range app.Loops() {
		id := make(chan string, 1)
		l.Post(func() { id <- goroutine() })
		ids[i] = receive(t, id)
	}
	transports := map[string]func(t *testing.T) net.Conn{
		"socket": func(t *testing.T) net.Conn {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			return nc
		},
		"stream": func(*testing.T) net.Conn {
			near, far := net.Pipe()
			app.ServeConn(far)
			return near
		},
	}
	for name, connect := range transports {
		for _, when := range []string{"now", "later"} {
			t.Run(name+" "+when, func(t *testing.T) {
				for i := range 12 { // whatever loop accepts, it moves
					target := i % len(ids)
					at := func(callback string) string { return fmt.Sprint(callback, " ", target, " ", ids[target]) }
					c := wrap(t, connect(t))
					frame := sent(ws.OpText, "cut")
					c.raw(upgradeHead(fmt.Sprintf("/%d/%s?q=data", target, when), "Sec-WebSocket-Protocol: p") +
						sent(ws.OpText, "one") + sent(ws.OpPong, "two") + frame[:4])
					if got := c.wantStatus(101).Get("Sec-WebSocket-Protocol"); got != "p" {
						t.Errorf("subprotocol %q", got)
					}
					c.wantText(at("open") + "data")
					c.wantText(at("one"))
					c.wantText(at("two"))
					c.raw(frame[4:])
					c.wantText(at("cut"))
					c.raw(sent(ws.OpClose, "\x0f\xa0"))
					c.wantClose(4000, "")
					if got := receive(t, closed); got != at("4000") {
						t.Errorf("Close: %q, want %q", got, at("4000"))
					}
				}
			})
		}
	}
	testkit.Eventually(t, func() bool { return app.Stats().Sockets == 0 }, patience)
	testkit.Eventually(t, func() bool { return app.Leftovers() == "" }, patience)
}
