package engine_test

import (
	"context"
	"crypto/tls"
	"errors"
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

// start serves an App on a free port; stop, which may be called again, shuts it
// down within d and returns Shutdown's error.
func start(t testing.TB, app *engine.App, d time.Duration) (addr string, stop func() error) {
	t.Helper()
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- app.Serve(l) }()
	stop = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		return app.Shutdown(ctx)
	}
	t.Cleanup(func() {
		_ = stop()
		if err := receive(t, served); err != engine.ErrShutdown {
			t.Errorf("Serve: %v, want ErrShutdown", err)
		}
	})
	return l.Addr().String(), stop
}

func TestShutdownClosesClients(t *testing.T) {
	var opened, closed atomic.Int32
	app := engine.New(engine.Options{Loops: 2, Logger: quiet()}).WS("/*", engine.Behavior{
		Open: func(*engine.Conn) { opened.Add(1) },
		Close: func(_ *engine.Conn, code engine.StatusCode, reason string) {
			if code == 1001 && reason == "server is shutting down" {
				closed.Add(1)
			}
		},
	})
	before, beforeFDs := testkit.GoroutinesAndFDs()
	addr, stop := start(t, app, 2*patience)
	var clients []*client
	for range 600 { // more than a batch on each loop
		clients = append(clients, dial(t, addr, "/"))
	}
	clients = append(clients, dialPipe(t, app), dialPipe(t, app))
	silent, slow := knock(t, addr, ""), knock(t, addr, "GET / HTTP/1.1\r\n")
	testkit.Eventually(t, func() bool { return app.Stats().Sockets == len(clients)+2 }, patience)
	result := make(chan error, 2)
	for range 2 { // the second waits for the first
		go func() { result <- stop() }()
	}
	for _, c := range clients {
		f := c.frame()
		if code, reason := ws.ParseCloseFrameData(f.Payload); code != 1001 || reason != "server is shutting down" {
			t.Fatalf("got opcode %d, %d %q", f.Header.OpCode, code, reason)
		}
		if len(result) > 0 {
			t.Fatalf("Shutdown did not wait: %v", <-result)
		}
	}
	for _, c := range clients {
		c.raw(sent(ws.OpClose, "\x03\xe9"))
		c.wantEOF()
		_ = c.Close()
	}
	silent.wantEOF()
	slow.wantEOF()
	for range 2 {
		if err := receive(t, result); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("a later Shutdown: %v", err)
	}
	if o, c := opened.Load(), closed.Load(); int(o) != len(clients) || o != c {
		t.Errorf("%d opened, %d closed by shutdown, want %d", o, c, len(clients))
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Errorf("the port is not free: %v", err)
	} else {
		_ = l.Close()
	}
	_, _ = silent.Conn.Close(), slow.Conn.Close()
	testkit.Eventually(t, func() bool {
		g, f := testkit.GoroutinesAndFDs()
		return g <= before && f <= beforeFDs
	}, patience)
}

func TestShutdownForcesWhoDoesNotAnswer(t *testing.T) {
	closed := make(chan string, 10)
	flooded := make(chan struct{}, 10)
	app := engine.New(engine.Options{Loops: 2, Logger: quiet()}).WS("/*", engine.Behavior{
		MaxBackpressure: -1,
		Message: func(c *engine.Conn, _ []byte, op engine.OpCode) {
			c.Send(make([]byte, 16<<20), op) // nobody reads it
			flooded <- struct{}{}
		},
		Close: func(_ *engine.Conn, code engine.StatusCode, _ string) { closed <- fmt.Sprint(code) },
	})
	before, beforeFDs := testkit.GoroutinesAndFDs()
	addr, stop := start(t, app, 100*time.Millisecond)
	clients := []*client{dial(t, addr, "/"), dialPipe(t, app)}
	for _, c := range []*client{dial(t, addr, "/"), dialPipe(t, app)} {
		c.text("flood")
		receive(t, flooded)
		clients = append(clients, c)
	}
	if err := stop(); err != context.DeadlineExceeded {
		t.Errorf("Shutdown: %v, want the context's error", err)
	}
	if err := stop(); err != context.DeadlineExceeded {
		t.Errorf("second Shutdown: %v, want the first's error", err)
	}
	for range clients {
		if got := receive(t, closed); got != "1001" {
			t.Errorf("Close was told %s", got)
		}
	}
	for _, c := range clients {
		for {
			if _, err := c.r.Discard(1 << 20); err != nil {
				if e, ok := err.(net.Error); ok && e.Timeout() {
					t.Error("a client is still connected")
				}
				break
			}
		}
		_ = c.Close()
	}
	testkit.Eventually(t, func() bool {
		g, f := testkit.GoroutinesAndFDs()
		return g <= before && f <= beforeFDs
	}, patience)
}

func TestShutdownRefusesDeferredHandshakes(t *testing.T) {
	app, later := deferring(engine.Options{Loops: 1})
	addr, stop := start(t, app, patience)
	c := knock(t, addr, upgradeHead("/a/"))
	u := receive(t, later)
	result := make(chan error, 1)
	go func() { result <- stop() }()
	c.wantStatus(http.StatusServiceUnavailable)
	_ = c.Close()
	if err := receive(t, result); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	receive(t, u.Done())
	if err := u.Accept(engine.Accept{}); err != engine.ErrDecided {
		t.Errorf("Accept after Shutdown: %v", err)
	}
}

// A handshake that is being answered when Shutdown begins gets 101 and 1001,
// and no callback.
func TestShutdownDuringAHandshake(t *testing.T) {
	var calls atomic.Int32
	entered, release := make(chan struct{}), make(chan struct{})
	app := engine.New(engine.Options{Loops: 1, Logger: quiet()}).WS("/*", engine.Behavior{
		Upgrade: func(*engine.Handshake) {
			close(entered)
			<-release
		},
		Open:  func(*engine.Conn) { calls.Add(1) },
		Close: func(*engine.Conn, engine.StatusCode, string) { calls.Add(1) },
	})
	l := listen(t)
	served, result := make(chan error, 1), make(chan error, 1)
	go func() { served <- app.Serve(l) }()
	c := knock(t, l.Addr().String(), upgradeHead("/"))
	receive(t, entered)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
		defer cancel()
		result <- app.Shutdown(ctx)
	}()
	if err := receive(t, served); err != engine.ErrShutdown { // so it has begun
		t.Errorf("Serve: %v", err)
	}
	close(release)
	c.wantStatus(101)
	if code, _ := ws.ParseCloseFrameData(c.frame().Payload); code != 1001 {
		t.Errorf("close code %d", code)
	}
	_ = c.Close()
	if err := receive(t, result); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d callbacks", n)
	}
}

// TestServeOfADeafApp has an App that listens no more be given a listener, whose client
// holds up the loop: Serve returns all the same.
func TestServeOfADeafApp(t *testing.T) {
	for range 20 {
		entered, release := make(chan struct{}, 1), make(chan struct{})
		app := engine.New(engine.Options{Loops: 1, Logger: quiet()}).WS("/*", engine.Behavior{
			Upgrade: func(*engine.Handshake) {
				entered <- struct{}{}
				<-release
			},
		})
		app.StopListening(t.Context())
		l := listen(t)
		c := knock(t, l.Addr().String(), upgradeHead("/"))
		served, result := make(chan error, 1), make(chan error, 1)
		go func() { served <- app.Serve(l) }()
		receive(t, entered)
		go func() { result <- app.Shutdown(t.Context()) }()
		if err := receive(t, served); err != engine.ErrShutdown {
			t.Errorf("Serve: %v", err)
		}
		close(release)
		_ = c.Close()
		if err := receive(t, result); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	}
}

func TestShutdownBeforeServe(t *testing.T) {
	for name, app := range map[string]*engine.App{
		"fresh":   engine.New(engine.Options{Logger: quiet()}),
		"mistake": engine.New(engine.Options{Logger: quiet()}).WS("bad", engine.Behavior{}),
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				if err := app.Shutdown(t.Context()); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
			}
			want := engine.ErrShutdown
			if name == "mistake" {
				want = engine.ErrPattern
			}
			if err := app.Listen("127.0.0.1:0"); !errors.Is(err, want) {
				t.Errorf("Listen: %v, want %v", err, want)
			}
			l := listen(t)
			if err := app.Serve(l); !errors.Is(err, want) {
				t.Errorf("Serve: %v, want %v", err, want)
			}
			if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the listener is open: %v", err)
			}
		})
	}
}

// Whatever a Shutdown meets of a start, nothing of it stays. The leak check of
// the package's tests counts, too.
func TestShutdownWhileStarting(t *testing.T) {
	before, beforeFDs := testkit.GoroutinesAndFDs()
	for i := range 200 {
		app := engine.New(engine.Options{Loops: 2, Logger: quiet()}).WS("/*", engine.Behavior{})
		var l net.Listener = listen(t)
		if i%4 == 0 {
			l = tls.NewListener(l, &tls.Config{})
		}
		served := make(chan error, 1)
		go func() { served <- app.Serve(l) }()
		if i%2 == 0 {
			runtime.Gosched()
		}
		if err := app.Shutdown(t.Context()); err != nil {
			t.Fatalf("Shutdown: %v", err)
		}
		if err := receive(t, served); err != engine.ErrShutdown {
			t.Fatalf("Serve: %v", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("the listener is open: %v", err)
		}
	}
	testkit.Eventually(t, func() bool {
		g, f := testkit.GoroutinesAndFDs()
		return g <= before && f <= beforeFDs
	}, patience)
}

func TestShutdownOfSeveralListeners(t *testing.T) {
	app := engine.New(engine.Options{Loops: 2, Logger: quiet(), ReusePort: true}).WS("/*", engine.Behavior{Message: echo})
	served := make(chan error, 4)
	var addrs []string
	for range 2 {
		l := listen(t)
		addrs = append(addrs, l.Addr().String())
		go func() { served <- app.Serve(l) }()
	}
	shared := fmt.Sprint("127.0.0.1:", testkit.FreePort(t))
	for range 2 {
		go func() { served <- app.Listen(shared) }()
	}
	for _, addr := range addrs {
		c := dial(t, addr, "/")
		c.text("hi")
		c.wantText("hi")
		_ = c.Close()
	}
	testkit.Eventually(t, func() bool {
		nc, err := net.Dial("tcp", shared)
		if err == nil {
			_ = nc.Close()
		}
		return err == nil
	}, patience)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	if err := app.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	for range 4 {
		if err := receive(t, served); err != engine.ErrShutdown {
			t.Errorf("Serve: %v", err)
		}
	}
	for _, addr := range append(addrs, shared) {
		if nc, err := net.Dial("tcp", addr); err == nil {
			_ = nc.Close()
			t.Errorf("%s is still listened on", addr)
		}
	}
}

func TestAfterShutdown(t *testing.T) {
	app := engine.New(engine.Options{Loops: 1, Logger: quiet()}).WS("/*", engine.Behavior{})
	_, stop := start(t, app, patience)
	testkit.Eventually(t, func() bool { return len(app.Loops()) == 1 }, patience)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	var called atomic.Bool
	app.Loops()[0].Post(func() { called.Store(true) })
	if err := app.Publish("nobody", []byte("x"), engine.Text); err != nil {
		t.Errorf("Publish to nobody: %v", err)
	}
	if s := app.Stats(); s.Connections != 0 || s.Sockets != 0 || s.Topics != 0 {
		t.Errorf("stats %+v", s)
	}
	near, far := net.Pipe()
	_ = app.ServeConn(far)
	c := wrap(t, near)
	if _, err := c.r.ReadByte(); err == nil {
		t.Error("a connection is served")
	}
	if called.Load() {
		t.Error("a posted function was called")
	}
}

func TestStatsAddUp(t *testing.T) {
	app := web(engine.Options{Loops: 2})
	app.WS("/topic", engine.Behavior{
		Open: func(c *engine.Conn) { c.Subscribe("t") },
		Message: func(c *engine.Conn, msg []byte, op engine.OpCode) {
			_ = c.Publish("t", msg, op)
			c.Send(msg, op)
		},
	})
	if s := app.Stats(); len(s.Loops) != 0 || s.Connections != 0 || s.Stale {
		t.Errorf("before Serve: %+v", s)
	}
	addr := serve(t, app)
	a, b := dial(t, addr, "/topic"), knock(t, addr, upgradeHead("/topic"))
	b.wantStatus(101)
	first := snapshot(t, app)
	if first.Connections != 2 || first.Sockets != 2 || first.Topics != 1 || first.Stale || len(first.Loops) != 2 {
		t.Errorf("with two connections: %+v", first)
	}
	frames := sent(ws.OpText, "hello") + sent(ws.OpPing, "ping")
	a.raw(frames)
	a.wantText("hello")
	a.want(ws.OpPong, "ping")
	b.wantText("hello")
	if err := app.Publish("t", []byte("outside"), engine.Text); err != nil {
		t.Fatal(err)
	}
	a.wantText("outside")
	b.wantText("outside")
	a.raw(sent(ws.OpClose, "\x03\xe8"))
	a.wantClose(1000, "")
	_ = b.Close()
	c := knock(t, addr, request("POST", "/body", ""))
	c.wantStatus(200)
	knock(t, addr, upgradeHead("/topic", "Origin: http://evil.test")).wantStatus(403)
	testkit.Eventually(t, func() bool { return app.Stats().Connections == 0 }, patience)

	s := snapshot(t, app)
	total, from := s.Total(), first.Total()
	for _, x := range []struct {
		name      string
		got, want uint64
	}{
		{"Accepted", total.Accepted, 4},
		{"Opened", total.Opened, 2},
		{"HandedOver", total.HandedOver, 1},
		{"MessagesIn", total.MessagesIn, 1},
		{"FramesOut", total.FramesOut, 6}, // hello, hello, pong, outside, outside, close
		{"BytesOut", total.BytesOut, uint64(len("hello")*2+len("ping")+len("outside")*2+2) + 6*2},
		{"Published", total.Published, 1},
		{"PublishedOutside", s.PublishedOutside, 1},
		{"Closed by the peer", total.Closed[engine.CausePeer], 1},
		{"Closed by the network", total.Closed[engine.CauseNetwork], 1},
		{"Closed in the handshake", total.Closed[engine.CauseHandshake], 1},
		{"Panics", total.Panics, 0},
		{"Dropped", total.Dropped, 0},
		{"BytesIn", total.BytesIn - from.BytesIn, uint64(len(frames) + len(sent(ws.OpClose, "\x03\xe8")) +
			len(request("POST", "/body", "")) + len(upgradeHead("/topic", "Origin: http://evil.test")))},
	} {
		if x.got != x.want {
			t.Errorf("%s: %d, want %d", x.name, x.got, x.want)
		}
	}
	if s.Topics != 0 {
		t.Errorf("%d topics are left", s.Topics)
	}
	var closed uint64
	for cause, n := range total.Closed {
		closed += n
		if engine.CloseCause(cause).String() == "" {
			t.Errorf("cause %d has no name", cause)
		}
	}
	if closed != 3 {
		t.Errorf("%d connections are counted as closed, want 3", closed)
	}
}

func TestStatsFromALoop(t *testing.T) {
	app := engine.New(engine.Options{Loops: 1, Logger: quiet()})
	app.WS("/*", engine.Behavior{Message: func(c *engine.Conn, _ []byte, op engine.OpCode) {
		s := app.Stats()
		c.Send(fmt.Append(nil, s.Connections, s.Total().MessagesIn, s.Stale), op)
	}})
	c := dial(t, serve(t, app), "/")
	for i := 1; i <= 3; i++ {
		c.text("?")
		c.wantText(fmt.Sprint(1, i, false))
	}
}

func TestPanicsCloseTheirConnectionOnly(t *testing.T) {
	for _, transport := range []string{"socket", "stream"} {
		t.Run(transport, func(t *testing.T) {
			var closes atomic.Int32
			drained := make(chan struct{}, 1)
			when := func(c *engine.Conn, callback string) {
				if c.UserData() == callback {
					panic(callback)
				}
			}
			app := engine.New(engine.Options{Loops: 1, Logger: quiet()}).WS("/*", engine.Behavior{
				MaxBackpressure: -1,
				Upgrade:         func(u *engine.Handshake) { _ = u.Accept(engine.Accept{UserData: u.Query("at")}) },
				Open:            func(c *engine.Conn) { c.Send([]byte("open"), engine.Text); when(c, "Open") },
				Message: func(c *engine.Conn, msg []byte, op engine.OpCode) {
					c.Send(msg, op)
					when(c, "Message")
					switch string(msg) {
					case "flood":
						c.Send(make([]byte, 8<<20), op)
					case "subscribe":
						c.Subscribe("t")
					}
				},
				Ping:         func(c *engine.Conn, _ []byte) { when(c, "Ping") },
				Pong:         func(c *engine.Conn, _ []byte) { when(c, "Pong") },
				Subscription: func(c *engine.Conn, _ string, _, _ int) { when(c, "Subscription") },
				Drain:        func(c *engine.Conn) { drained <- struct{}{}; when(c, "Drain") },
				Close:        func(c *engine.Conn, _ engine.StatusCode, _ string) { closes.Add(1); when(c, "Close") },
			})
			addr := serve(t, app)
			connect := func(at string) *client {
				if transport == "socket" {
					return knock(t, addr, upgradeHead("/?at="+at))
				}
				near, far := net.Pipe()
				if err := app.ServeConn(far); err != nil {
					t.Fatal(err)
				}
				c := wrap(t, near)
				c.raw(upgradeHead("/?at=" + at))
				return c
			}
			bystander := dial(t, addr, "/")
			bystander.wantText("open")
			tests := []struct {
				at, input string
				before    func(*client)
			}{
				{"Open", "", func(*client) {}},
				{"Message", sent(ws.OpText, "hi") + sent(ws.OpText, "unheard"), func(c *client) { c.wantText("hi") }},
				{"Ping", sent(ws.OpPing, "p"), func(c *client) { c.want(ws.OpPong, "p") }},
				{"Pong", sent(ws.OpPong, "p"), func(*client) {}},
				{"Subscription", sent(ws.OpText, "subscribe"), func(c *client) { c.wantText("subscribe") }},
				{"Drain", sent(ws.OpText, "flood"), func(c *client) {
					c.wantText("flood")
					if n := len(c.frame().Payload); n != 8<<20 {
						t.Errorf("a message of %d bytes", n)
					}
					receive(t, drained)
				}},
			}
			for i, x := range tests {
				c := connect(x.at)
				c.wantStatus(101)
				c.wantText("open")
				if x.input != "" {
					c.raw(x.input)
				}
				x.before(c)
				c.wantClose(1011, "")
				_ = c.Close()
				testkit.Eventually(t, func() bool { return int(closes.Load()) == i+1 }, patience)
				bystander.text("well?")
				bystander.wantText("well?")
			}
			c := connect("Close")
			c.wantStatus(101)
			c.wantText("open")
			c.raw(sent(ws.OpClose, "\x03\xe8"))
			c.wantClose(1000, "")
			bystander.text("well?")
			bystander.wantText("well?")
			s := snapshot(t, app)
			total := s.Total()
			// Subscription panics again when the connection leaves its topic.
			if want := uint64(len(tests) + 1); total.Panics < want || total.Closed[engine.CausePanic] != want-1 {
				t.Errorf("%d panics, %d closed, want %d and %d", total.Panics, total.Closed[engine.CausePanic], want, want-1)
			}
			if n := int(closes.Load()); n != len(tests)+1 {
				t.Errorf("Close was called %d times, want %d", n, len(tests)+1)
			}
			testkit.Eventually(t, func() bool { return app.Stats().Sockets == 1 }, patience)
		})
	}
}

func TestPostedPanicHarmsNobody(t *testing.T) {
	app := engine.New(engine.Options{Loops: 1, Logger: quiet()}).WS("/*", engine.Behavior{Message: echo})
	c := dial(t, serve(t, app), "/")
	app.Loops()[0].Post(func() { panic("posted") })
	c.text("well?")
	c.wantText("well?")
	s := snapshot(t, app)
	if n := s.Total().Panics; n != 1 {
		t.Errorf("%d panics counted, want 1", n)
	}
}

// Close is called once, also where writing the Close frame finds out that the
// connection broke.
func TestCloseIsCalledOnceWhenTheCloseFrameFails(t *testing.T) {
	for _, how := range []string{"answer", "protocol error", "panic"} {
		t.Run(how, func(t *testing.T) {
			entered, release := make(chan struct{}), make(chan struct{})
			closed := make(chan engine.StatusCode, 4)
			app := engine.New(engine.Options{Loops: 1, Logger: quiet()}).WS("/*", engine.Behavior{
				Message: func(c *engine.Conn, _ []byte, op engine.OpCode) {
					close(entered)
					<-release
					// Nearly fills the 64 KiB that are written at once, so that the
					// Close frame does not fit in.
					for range 65 {
						c.Send(make([]byte, 1000), op)
					}
					c.Send(make([]byte, 260), op)
					if n := c.BufferedAmount(); n != 65*1004+264 {
						t.Errorf("%d bytes wait", n)
					}
					if how == "panic" {
						panic(how)
					}
				},
				Close: func(_ *engine.Conn, code engine.StatusCode, _ string) { closed <- code },
			})
			addr := serve(t, app)
			c := dial(t, addr, "/")
			last := sent(ws.OpClose, "\x03\xe8")
			if how == "protocol error" {
				last = "\x81\x00"
			}
			c.raw(sent(ws.OpText, "x") + last)
			receive(t, entered)
			reset(t, c)
			close(release)
			testkit.Eventually(t, func() bool { return app.Stats().Sockets == 0 }, 2*patience)
			receive(t, closed)
			if len(closed) != 0 {
				t.Errorf("Close was called again, with %d", <-closed)
			}
			s := snapshot(t, app)
			total := s.Total()
			var n uint64
			for _, count := range total.Closed {
				n += count
			}
			if n != 1 {
				t.Errorf("%d connections are counted as closed: %v", n, total.Closed)
			}
		})
	}
}

// reset ends a connection with a RST.
func reset(t testing.TB, c *client) {
	t.Helper()
	if err := c.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// A goroutine that a callback starts makes progress while everything idles,
// however few processors there are and whatever loops wait for them.
func TestGoroutinesRunBesideIdleLoops(t *testing.T) {
	procs := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(procs)
	for _, p := range []int{1, 2} {
		for _, loops := range []int{1, 2} {
			for _, exclusive := range []bool{false, true} {
				t.Run(fmt.Sprint("GOMAXPROCS ", p, ", loops ", loops, ", exclusive ", exclusive), func(t *testing.T) {
					runtime.GOMAXPROCS(p)
					app := engine.New(engine.Options{Loops: loops, Exclusive: exclusive, Logger: quiet()})
					app.WS("/*", engine.Behavior{Message: func(c *engine.Conn, msg []byte, op engine.OpCode) {
						answer := strings.ToUpper(string(msg))
						hops := make(chan string)
						go func() { hops <- answer }()
						go func() {
							answer := <-hops
							c.Loop().Post(func() { c.Send([]byte(answer), op) })
						}()
					}})
					addr := serve(t, app)
					var clients []*client
					for range loops {
						clients = append(clients, dial(t, addr, "/"))
					}
					for _, c := range clients {
						_ = c.SetDeadline(time.Now().Add(patience))
						for range 5 {
							c.text("work")
							c.wantText("WORK")
						}
					}
				})
			}
		}
	}
}
