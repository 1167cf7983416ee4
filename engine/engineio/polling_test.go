package engineio_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestPollingSession(t *testing.T) {
	srv := serve(t, engineio.Options{ServerID: "node-1"}, nil)
	p := &poller{t: t, srv: srv, query: v4, http: client(t)}
	r := p.do("GET", "", nil)
	if r.status != 200 {
		t.Fatalf("%d %q", r.status, r.body)
	}
	sid := strings.TrimPrefix(r.body, `0{"sid":"`)[:20]
	want := `0{"sid":"` + sid + `","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`
	if r.body != want {
		t.Errorf("open packet %q, want %q", r.body, want)
	}
	for name, value := range map[string]string{
		"Content-Type": "text/plain; charset=UTF-8", "Content-Length": "118", "Cache-Control": "no-store", "Set-Cookie": "",
	} {
		if got := r.header.Get(name); got != value {
			t.Errorf("%s %q, want %q", name, got, value)
		}
	}
	if !srv.Owns(sid) || !strings.HasPrefix(sid, engineio.Prefix("node-1")) || srv.Owns(sid[1:]+"x") {
		t.Errorf("sid %q", sid)
	}
	p.sid = sid

	r = p.post("4one\x1e4two")
	r.want(t, 200, "ok")
	for name, value := range map[string]string{"Content-Type": "text/html", "Content-Length": "2", "Cache-Control": "no-store"} {
		if got := r.header.Get(name); got != value {
			t.Errorf("POST: %s %q, want %q", name, got, value)
		}
	}
	p.wantGet("4one\x1e4two")
	got := p.park()
	p.wantPost("bAQID\x1e4€😀")
	received(t, got).want(t, 200, "bAQID\x1e4€😀")

	got = p.park()
	p.wantPost("1")
	received(t, got).want(t, 200, "6")
	srv.wantEnd(sid, engineio.TransportClose, "")
	p.get().wantRefused(t, 400, 1, "Session ID unknown")
	p.post("4x").wantRefused(t, 400, 1, "Session ID unknown")
}

func TestMessagesThatPollersSend(t *testing.T) {
	for _, c := range []struct{ name, post, get string }{
		{"no data", "4", "4"},
		{"base64 without padding", "bAQIDBA", "bAQIDBA=="},
		{"base64 for URLs", "b-_8=", "b+/8="},
		{"empty binary", "b", "b"},
		{"an unsolicited pong", "3\x1e4x", "4x"},
		{"what a server ignores", "0\x1e5\x1e6\x1e4x", "4x"},
		{"no UTF-8", "4a\xffb", "4a\uFFFDb"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serve(t, engineio.Options{}, nil)
			p := srv.poll(v4)
			p.wantPost(c.post)
			p.wantGet(c.get)
			srv.wantOpen(p.sid)
		})
	}
}

func TestPayloadsThatEndASession(t *testing.T) {
	for _, c := range []struct {
		name, body, contentType string
		reason                  engineio.Reason
		description             string
		parked                  string // what the parked GET gets
		messages                uint64
	}{
		{name: "unknown type", body: "abc", reason: engineio.ParseError, description: "eio: unknown packet type", parked: "1"},
		{name: "empty", body: "", reason: engineio.ParseError, description: "eio: empty packet", parked: "1"},
		{name: "trailing separator", body: "4x\x1e", reason: engineio.ParseError, description: "eio: empty packet", parked: "1", messages: 1},
		{name: "good before bad", body: "4x\x1e4y\x1e7\x1e4z", reason: engineio.ParseError, description: "eio: unknown packet type", parked: "1", messages: 2},
		{name: "ping", body: "2", reason: engineio.TransportError, description: "invalid heartbeat direction", parked: "1"},
		{name: "close", body: "4x\x1e1\x1e4y", reason: engineio.TransportClose, parked: "6", messages: 1},
		{name: "panic", body: "4!panic\x1e4y", reason: engineio.TransportError, description: "a handler panicked", parked: "1", messages: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serve(t, engineio.Options{}, &app{message: func(_ *engineio.Session, data []byte, _ bool) bool { return data[0] != '!' }})
			p := srv.poll(v4)
			got := p.park()
			p.wantPost(c.body)
			received(t, got).want(t, 200, c.parked)
			srv.wantEnd(p.sid, c.reason, c.description)
			p.get().wantRefused(t, 400, 1, "Session ID unknown")
			s := srv.Stats()
			if s.Received != c.messages || s.Closed[c.reason] != 1 {
				t.Errorf("%d messages, %d closed by %s", s.Received, s.Closed[c.reason], c.reason)
			}
			srv.poll(v4).wantPost("4others live")
		})
	}
}

func TestBinaryContentType(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	p := srv.poll(v4)
	p.do("POST", "4x", http.Header{"Content-Type": {"application/octet-stream"}}).want(t, 400, "")
	srv.wantEnd(p.sid, engineio.TransportError, "invalid content")
	q := srv.poll(v4)
	q.do("POST", "4x", http.Header{"Content-Type": {"application/json"}}).want(t, 200, "ok")
}

func TestOverlappingGETs(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	p := srv.poll(v4)
	got := p.park()
	p.get().want(t, 400, "")
	received(t, got).want(t, 200, "1")
	srv.wantEnd(p.sid, engineio.TransportError, "overlap from client")
	p.get().wantRefused(t, 400, 1, "Session ID unknown")
}

// slowPost begins a POST whose body does not come.
func (p *poller) slowPost() *socket {
	p.t.Helper()
	c := p.srv.knock("POST /engine.io/?" + p.query + "&sid=" + p.sid + " HTTP/1.1\r\nHost: example.test\r\n" +
		"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n")
	// The server asks for the body when it begins to read.
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil || resp.StatusCode != 100 {
		p.t.Fatalf("%v %v", resp, err)
	}
	c.raw("4")
	return c
}

func TestOverlappingPOSTs(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	p := srv.poll(v4)
	first := p.slowPost()
	p.post("4x").want(t, 400, "")
	got, err := io.ReadAll(first.r)
	if errors.Is(err, os.ErrDeadlineExceeded) || len(got) > 0 {
		t.Errorf("the first got %q, %v", got, err)
	}
	srv.wantEnd(p.sid, engineio.TransportError, "data request overlap from client")
}

func TestVanishedPoller(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	p := srv.poll(v4)
	ctx, vanish := context.WithCancel(context.Background())
	gone := make(chan reply, 1)
	go func() { gone <- p.doCtx(ctx, "GET", "", nil) }()
	srv.wantParked(1)
	vanish()
	if r := received(t, gone); r.err == nil {
		t.Fatalf("got %d", r.status)
	}
	srv.wantEnd(p.sid, engineio.TransportError, "poll connection closed prematurely")
	p.get().wantRefused(t, 400, 1, "Session ID unknown")
}

func TestVanishedPOST(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	p := srv.poll(v4)
	_ = p.slowPost().Close()
	srv.wantEnd(p.sid, engineio.TransportError, "data request connection closed prematurely")
}

func TestSlowPOST(t *testing.T) {
	srv := serve(t, engineio.Options{PingInterval: 500 * time.Millisecond, PingTimeout: 1500 * time.Millisecond}, nil)
	p := srv.poll(v4)
	c := p.slowPost()
	if got := c.rest(); got != "" {
		t.Errorf("got %q", got)
	}
	// Its own time and the heartbeat's are the same, so either may have been first.
	testkit.Eventually(t, func() bool { _, ok := srv.app.endOf(p.sid); return ok }, patience)
}

func TestSlowBodyOfARefusedRequest(t *testing.T) {
	srv := serve(t, engineio.Options{PingInterval: 100 * time.Millisecond, PingTimeout: 100 * time.Millisecond}, nil)
	c := srv.knock("POST /engine.io/?" + v4 + "&sid=nobody HTTP/1.1\r\nHost: example.test\r\nContent-Length: 10\r\n\r\n4")
	if _, err := io.ReadAll(c.r); err != nil {
		t.Errorf("the connection stays: %v", err)
	}
}

func TestMaxPayload(t *testing.T) {
	srv := serve(t, engineio.Options{MaxPayload: 100}, nil)
	p := srv.poll(v4)
	if p.open.MaxPayload != 100 {
		t.Errorf("maxPayload %d", p.open.MaxPayload)
	}
	p.post("4"+strings.Repeat("a", 100)).want(t, 413, "")
	srv.wantOpen(p.sid)

	chunked := func(n int) int {
		body := io.MultiReader(strings.NewReader("4"), strings.NewReader(strings.Repeat("a", n-1)))
		resp, err := p.http.Post(srv.url(v4+"&sid="+p.sid), "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if status := chunked(101); status != 413 {
		t.Errorf("chunked: %d", status)
	}
	srv.wantOpen(p.sid)
	if status := chunked(100); status != 200 {
		t.Errorf("chunked, just fitting: %d", status)
	}
	p.wantGet("4" + strings.Repeat("a", 99))
	// Bytes count, not characters.
	p.post("4"+strings.Repeat("€", 33)).want(t, 200, "ok")
	p.post("4"+strings.Repeat("€", 33)+"a").want(t, 413, "")
	if n := srv.Stats().TooLarge; n != 3 {
		t.Errorf("%d too large", n)
	}
	// A length that nobody could hold.
	got := srv.knock("POST /engine.io/?" + v4 + "&sid=" + p.sid + " HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\nContent-Length: 9000000000000000000\r\n\r\n4")
	resp, err := http.ReadResponse(got.r, nil)
	if err != nil || resp.StatusCode != 413 {
		t.Errorf("huge: %v %v", resp, err)
	}
	srv.wantOpen(p.sid)
}

func TestSlowReaderOfPolls(t *testing.T) {
	srv := serve(t, engineio.Options{MaxBackpressure: 1000}, nil)
	p := srv.poll(v4)
	// One message fits, whatever its size.
	p.wantPost("4" + strings.Repeat("a", 2000))
	srv.wantOpen(p.sid)
	p.wantPost("4b")
	srv.wantEnd(p.sid, engineio.TransportError, "too slow")
	if n := srv.Stats().Slow; n != 1 {
		t.Errorf("%d too slow", n)
	}
}

func TestManySmallMessagesCount(t *testing.T) {
	srv := serve(t, engineio.Options{MaxBackpressure: 10_000}, nil)
	p := srv.poll(v4)
	p.post(strings.TrimSuffix(strings.Repeat("4\x1e", 1000), "\x1e")).want(t, 200, "ok")
	srv.wantEnd(p.sid, engineio.TransportError, "too slow")
}

func TestUnitStaysTogetherInAPoll(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	p := srv.poll(v4)
	got := p.park()
	srv.do(p.sid, func(s *engineio.Session) {
		if !s.Writable() {
			t.Error("not writable with a poll parked")
		}
		s.SendUnit([]byte(`451-["b",{"_placeholder":true,"num":0}]`), false, [][]byte{{1, 2, 3}}, true)
		s.SendPrepared(engineio.Prepare([]byte("4x"), false, [][]byte{{4}, {}}, true))
		s.SendPrepared(engineio.Prepare([]byte{5}, true, nil, true))
		if s.Writable() || s.Buffered() == 0 {
			t.Error("writable with messages queued")
		}
	})
	received(t, got).want(t, 200, `451-["b",{"_placeholder":true,"num":0}]`+"\x1ebAQID\x1e4x\x1ebBA==\x1eb\x1ebBQ==")
	srv.do(p.sid, func(s *engineio.Session) {
		if s.Writable() || s.Buffered() != 0 || s.Transport() != engineio.Polling || s.Protocol() != 4 {
			t.Error("state")
		}
	})
}

func TestSendCopies(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	p := srv.poll(v4)
	srv.do(p.sid, func(s *engineio.Session) {
		b := []byte("4one")
		s.SendText(b)
		copy(b, "4two")
		s.SendBinary(b)
		copy(b, "XXXX")
	})
	p.wantGet("4one\x1ebNHR3bw==")
}

func TestPanicWhileOpening(t *testing.T) {
	srv := serve(t, engineio.Options{}, &app{open: func(*engineio.Session) { panic("as told") }})
	p := &poller{t: t, srv: srv, query: v4, http: client(t)}
	if a := p.get(); a.status != 200 || !strings.HasPrefix(a.body, "0{") {
		t.Errorf("got %d %q", a.status, a.body)
	}
	srv.dial(w4) // gets its open packet, or not
	testkit.Eventually(t, func() bool { return srv.Stats().Panics == 2 && srv.Sessions() == 0 }, patience)
}

func TestRequestOfASession(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	check := func(sid, host string) {
		t.Helper()
		r := srv.app.sessionOf(t, sid).Request()
		if r.Host() != host || r.Header("x-TOKEN") != "a b" || r.Headers().Get("X-Token") != "a b" || r.Headers().Get("Host") != host {
			t.Errorf("host %q, headers %v", r.Host(), r.Headers())
		}
		if q := r.Query(); q.Get("room") != "a&b" || q.Get("EIO") != "4" {
			t.Errorf("query %v", q)
		}
		if !strings.HasPrefix(r.URL(), "/engine.io/?") || !strings.HasPrefix(r.RemoteAddr(), "127.0.0.1:") || r.Secure() {
			t.Errorf("%s from %s", r.URL(), r.RemoteAddr())
		}
		if d := time.Since(r.Time()); d < -time.Second || d > patience {
			t.Errorf("issued %s ago", d)
		}
		if r.Header("X-None") != "" || r.Origin() != "http://page.test" {
			t.Errorf("origin %q", r.Origin())
		}
	}
	p := &poller{t: t, srv: srv, query: v4 + "&room=a%26b", http: client(t)}
	r := p.do("GET", "", http.Header{"X-Token": {"a b"}, "Origin": {"http://page.test"}})
	check(strings.TrimPrefix(r.body, `0{"sid":"`)[:20], srv.addr)
	c := srv.dial(w4+"&room=a%26b", "X-Token:  a b ", "Origin: http://page.test")
	check(strings.TrimPrefix(c.text(), `0{"sid":"`)[:20], "example.test")
}
