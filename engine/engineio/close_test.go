package engineio_test

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

func TestCloseWhilePolling(t *testing.T) {
	for _, c := range []struct {
		name, message string
		parked        string   // what a parked GET gets
		later         []string // what further GETs get
	}{
		{name: "a GET is parked, nothing waits", message: "4!close", parked: "1"},
		{name: "a GET is parked, a message waits", message: "4!bye", parked: "4bye", later: []string{"6\x1e1"}},
		{name: "no GET is parked, nothing waits", message: "4!close", later: []string{"6\x1e1"}},
		{name: "no GET is parked, a message waits", message: "4!bye", later: []string{"4bye", "6\x1e1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serve(t, engineio.Options{}, nil)
			p := srv.poll(v4)
			var got <-chan reply
			if c.parked != "" {
				got = p.park()
			}
			p.wantPost(c.message)
			srv.wantEnd(p.sid, engineio.ForcedClose, "")
			if got != nil {
				received(t, got).want(t, 200, c.parked)
			}
			if n := srv.Sessions(); n != 0 {
				t.Errorf("%d sessions", n)
			}
			if len(c.later) > 0 {
				p.wantPost("4ignored")
			}
			for _, want := range c.later {
				p.wantGet(want)
			}
			p.get().wantRefused(t, 400, 1, "Session ID unknown")
			p.post("4x").wantRefused(t, 400, 1, "Session ID unknown")
		})
	}
}

func TestPollerOfAClosedSessionSaysGoodbye(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	p := srv.poll(v4)
	p.wantPost("4!bye")
	p.wantPost("1")
	p.get().wantRefused(t, 400, 1, "Session ID unknown")
}

func TestCloseWhileOpening(t *testing.T) {
	srv := serve(t, engineio.Options{}, &app{open: func(s *engineio.Session) { s.Close(engineio.ForcedClose) }})
	p := srv.poll(v4)
	p.wantGet("6\x1e1")
	c, sid := srv.session(w4)
	c.wantClose(0, "")
	srv.wantEnd(sid, engineio.ForcedClose, "")
}

func TestEndsOfAWebSocketSession(t *testing.T) {
	for _, c := range []struct {
		name        string
		frame       []byte // nil: the client drops the connection
		code        uint16
		reason      engineio.Reason
		description string
	}{
		{name: "unknown type", frame: frameOf(ws.OpText, "abc"), reason: engineio.ParseError, description: "eio: unknown packet type"},
		{name: "empty text", frame: frameOf(ws.OpText, ""), reason: engineio.ParseError, description: "eio: empty packet"},
		{name: "ping", frame: frameOf(ws.OpText, "2"), reason: engineio.TransportError, description: "invalid heartbeat direction"},
		{name: "invalid UTF-8", frame: frameOf(ws.OpText, "4\xff\xfe"), code: 1007, reason: engineio.TransportError},
		{name: "too large", frame: frameOf(ws.OpText, "4"+strings.Repeat("a", 100)), code: 1009, reason: engineio.TransportError},
		{name: "panic", frame: frameOf(ws.OpText, "4!panic"), code: 1011, reason: engineio.TransportError},
		{name: "closed by the application", frame: frameOf(ws.OpText, "4!close"), reason: engineio.ForcedClose},
		{name: "close frame", frame: ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(nil))), reason: engineio.TransportClose},
		{name: "connection lost", reason: engineio.TransportClose},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serve(t, engineio.Options{MaxPayload: 100}, nil)
			other, _ := srv.session(w4)
			s, sid := srv.session(w4)
			switch {
			case c.frame == nil:
				_ = s.Close()
			default:
				s.raw(string(c.frame))
				f := s.frame()
				if f.Header.OpCode != ws.OpClose {
					t.Fatalf("got %q", f.Payload)
				}
				if code, _ := ws.ParseCloseFrameDataUnsafe(f.Payload); c.code != 0 && code != ws.StatusCode(c.code) || c.code == 0 && len(f.Payload) > 0 {
					t.Errorf("Close frame %q", f.Payload)
				}
			}
			testkit.Eventually(t, func() bool { _, ok := srv.app.endOf(sid); return ok }, patience)
			if e, _ := srv.app.endOf(sid); e.reason != c.reason || c.description != "" && e.description != c.description {
				t.Errorf("ended by %q (%s)", e.reason, e.description)
			}
			other.send("4others live")
			other.want("4others live")
			if n := srv.Stats().Closed[c.reason]; n != 1 {
				t.Errorf("%d closed", n)
			}
		})
	}
}

func TestWhatAWebSocketServerIgnores(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	c, _ := srv.session(w4)
	for _, text := range []string{"0", "1", "5", "6", "3", "3probe"} {
		c.send(text)
	}
	c.send("bAQID")
	c.wantBinary("\x01\x02\x03")
	c.raw(string(frameOf(ws.OpPing, "x")))
	if f := c.frame(); f.Header.OpCode != ws.OpPong || string(f.Payload) != "x" {
		t.Errorf("got %q", f.Payload)
	}
}

func TestBase64WebSocket(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	c, sid := srv.session(w4 + "&b64=1")
	c.sendBinary("\x01\x02\x03")
	c.want("bAQID")
	srv.do(sid, func(s *engineio.Session) {
		s.SendPrepared(engineio.Prepare([]byte("4x"), false, [][]byte{{4}}, false))
	})
	c.want("4x")
	c.want("bBA==")
	// The parameter is the transport's: that of the socket that takes over counts.
	p := srv.poll(v4)
	c = srv.dial(w4 + "&b64=1&sid=" + p.sid)
	c.send("5")
	c.sendBinary("\x01\x02\x03")
	c.want("bAQID")
}

func TestCloseWith(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	c, sid := srv.session(w4)
	srv.do(sid, func(s *engineio.Session) {
		s.SendText([]byte("4last"))
		s.CloseWith(4001, "moved", engineio.ForcedClose)
		s.SendText([]byte("4never"))
		s.Close(engineio.ForcedClose)
	})
	c.want("4last")
	c.wantClose(4001, "moved")
	srv.wantEnd(sid, engineio.ForcedClose, "")
}

func TestSlowReaderOfAWebSocket(t *testing.T) {
	srv := serve(t, engineio.Options{MaxBackpressure: 64 << 10}, nil)
	_, sid := srv.session(w4)
	message := append([]byte("4"), make([]byte, 64<<10)...)
	testkit.Eventually(t, func() bool {
		if _, over := srv.app.endOf(sid); over {
			return true
		}
		srv.do(sid, func(s *engineio.Session) { s.SendText(message) })
		return false
	}, patience)
	srv.wantEnd(sid, engineio.TransportError, "too slow")
	if n := srv.Stats().Slow; n != 1 {
		t.Errorf("%d too slow", n)
	}
}

func TestServerClose(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	parked, away := srv.poll(v4), srv.poll(v4)
	got := parked.park()
	c, sid := srv.session(w4)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := srv.Server.Close(ctx); err != nil {
		t.Fatal(err)
	}
	received(t, got).want(t, 200, "1")
	c.wantClose(0, "")
	for _, sid := range []string{parked.sid, away.sid, sid} {
		srv.wantEnd(sid, engineio.ShuttingDown, "")
	}
	away.wantGet("6\x1e1")
	(&poller{t: t, srv: srv, query: v4, http: away.http}).get().wantRefused(t, 503, 4, "Server is shutting down")
	if got := srv.knock(upgradeHead(w4)).rest(); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("got %q", got)
	}
}

func TestMaxSessions(t *testing.T) {
	srv := serve(t, engineio.Options{MaxSessions: 2}, nil)
	p := srv.poll(v4)
	_, _ = srv.session(w4)
	one := &poller{t: t, srv: srv, query: v4, http: p.http}
	r := one.get()
	r.wantRefused(t, 503, 4, "Server at capacity")
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	got := srv.knock(upgradeHead(w4)).rest()
	if !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "\r\nRetry-After: ") || !strings.HasSuffix(got, "\r\n\r\nServer at capacity") {
		t.Errorf("got %q", got)
	}
	srv.upgradeOf(p) // no further session
	if n := srv.Stats().AtCapacity; n != 2 {
		t.Errorf("%d at capacity", n)
	}
	srv.do(p.sid, func(s *engineio.Session) { s.Close(engineio.ForcedClose) })
	srv.session(w4)
}

// Sessions that begin at once are all counted before any is held against a limit that
// they share with others: each of two waits for the other there.
func TestFullCountsWhoComes(t *testing.T) {
	var srv *server
	asked, both := make(chan struct{}, 2), make(chan struct{})
	srv = serve(t, engineio.Options{Full: func() bool {
		asked <- struct{}{}
		<-both
		return srv.Sessions() > 1
	}}, nil)
	answers := make(chan reply, 2)
	for range 2 {
		one := &poller{t: t, srv: srv, query: v4, http: client(t)}
		go func() { answers <- one.get() }()
	}
	<-asked
	<-asked
	close(both)
	open := 0
	for range 2 {
		if r := <-answers; r.status == 200 {
			open++
		} else {
			r.wantRefused(t, 503, 4, "Server at capacity")
		}
	}
	if n := srv.Sessions(); open > 1 || n != open {
		t.Errorf("%d were let in, and there are %d sessions", open, n)
	}
}

func TestCloseAfterOpen(t *testing.T) {
	srv := serve(t, engineio.Options{MaxSessions: 1, AtCapacity: engineio.CloseAfterOpen}, nil)
	c, _ := srv.session(w4)
	full, sid := srv.session(w4)
	full.wantClose(1008, "Server at capacity")
	if _, ok := srv.app.endOf(sid); ok || srv.Session(sid) != nil {
		t.Error("the handler knows of it")
	}
	p := &poller{t: t, srv: srv, query: v4, http: client(t)}
	p.get().wantRefused(t, 503, 4, "Server at capacity")
	c.send("4x")
	c.want("4x")
	if n := srv.Sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// A session that the App has no room for is not counted for ever.
func TestAppAtCapacity(t *testing.T) {
	for _, c := range []struct {
		name string
		opts engineio.Options
	}{
		{"decided on the loop", engineio.Options{}},
		{"decided elsewhere", engineio.Options{AllowRequest: func(*engineio.Request) error { return nil }}},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serveOn(t, engine.Options{Loops: 2, MaxConnections: 1}, c.opts, nil)
			srv.session(w4)
			for range 3 {
				srv.dial(w4).wantClose(1008, "Server at capacity")
			}
			testkit.Eventually(t, func() bool { return srv.Sessions() == 1 }, patience)
		})
	}
}

func TestAllowRequestMayBlock(t *testing.T) {
	asked, answer := make(chan string, 2), make(chan error)
	srv := serve(t, engineio.Options{AllowRequest: func(r *engineio.Request) error {
		asked <- r.Header("X-Token")
		return <-answer
	}}, nil)
	c := srv.knock(upgradeHead(w4, "X-Token: a"))
	if token := received(t, asked); token != "a" {
		t.Errorf("token %q", token)
	}
	// Both loops serve others meanwhile.
	gone := srv.knock(upgradeHead(w4, "X-Token: b"))
	received(t, asked)
	_ = gone.Close()
	answer <- nil
	answer <- nil
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("%v %v", resp, err)
	}
	if text := c.text(); text[0] != '0' {
		t.Errorf("got %q", text)
	}
	testkit.Eventually(t, func() bool { return srv.Sessions() == 1 }, patience)
}

// An App under a foreign http.Server begins with the first request.
func TestHTTPStartsTheLoops(t *testing.T) {
	srv, err := engineio.New(engineio.Options{Logger: quiet()}, new(app))
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Options{Logger: quiet()}).Mount("/engine.io/", srv)
	w := &recorder{header: http.Header{}}
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET /engine.io/?" + v4 + " HTTP/1.1\r\nHost: a.test\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	e.ServeHTTP(w, req)
	if body := w.body.String(); !strings.HasPrefix(body, `0{"sid":`) {
		t.Errorf("%d %q", w.status, body)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := e.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if n := srv.Sessions(); n != 0 {
		t.Errorf("%d sessions after Shutdown", n)
	}
}

// recorder is a ResponseWriter without a connection.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
