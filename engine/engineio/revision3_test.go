package engineio_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/engine/engineio"
)

const (
	v3 = "EIO=3&transport=polling"
	w3 = "EIO=3&transport=websocket"
)

func TestRevision3Polling(t *testing.T) {
	srv := serve(t, engineio.Options{AllowEIO3: true}, nil)
	p := &poller{t: t, srv: srv, query: v3, http: client(t)}
	r := p.do("GET", "", nil)
	if !strings.HasPrefix(r.body, `118:0{"sid":"`) || r.header.Get("Content-Type") != "text/plain; charset=UTF-8" {
		t.Fatalf("%q %v", r.body, r.header)
	}
	p.sid = strings.TrimPrefix(r.body, `118:0{"sid":"`)[:20]
	if n := srv.app.sessionOf(t, p.sid).Protocol(); n != 3 {
		t.Errorf("protocol %d", n)
	}
	p.wantPost("2:4€3:4😀")
	p.wantGet("2:4€3:4😀")
	p.wantPost("1:2")
	p.wantGet("1:3")

	p.wantPost("6:b4AQID2:4x")
	r = p.get()
	r.want(t, 200, "\x01\x04\xff\x04\x01\x02\x03\x00\x02\xff4x")
	if got := r.header.Get("Content-Type"); got != "application/octet-stream" {
		t.Errorf("Content-Type %q", got)
	}
	p.do("POST", "\x01\x04\xff\x04\x01\xff\x03", http.Header{"Content-Type": {"application/octet-stream"}}).want(t, 200, "ok")
	p.wantGet("\x01\x04\xff\x04\x01\xff\x03")

	got := p.park()
	p.wantPost("1:1")
	received(t, got).want(t, 200, "1:6")
	srv.wantEnd(p.sid, engineio.TransportClose, "")
}

func TestRevision3Base64(t *testing.T) {
	srv := serve(t, engineio.Options{AllowEIO3: true}, nil)
	p := srv.poll(v3 + "&b64=1")
	p.wantPost("6:b4AQID2:4x")
	p.wantGet("6:b4AQID2:4x")
	p.wantPost("4:4!!!")
	srv.do(p.sid, func(s *engineio.Session) { s.Close(engineio.ForcedClose) })
	p.wantGet("4:4!!!")
	p.wantGet("1:61:1")
}

func TestRevision3Faults(t *testing.T) {
	for _, c := range []struct {
		name, body  string
		reason      engineio.Reason
		description string
	}{
		{"no length", "4x", engineio.ParseError, "eio: malformed payload"},
		{"a length too long", "9:4x", engineio.ParseError, "eio: malformed payload"},
		{"empty", "", engineio.ParseError, "eio: empty packet"},
		{"unknown type", "1:7", engineio.ParseError, "eio: unknown packet type"},
		{"pong", "1:3", engineio.TransportError, "invalid heartbeat direction"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serve(t, engineio.Options{AllowEIO3: true}, nil)
			p := srv.poll(v3)
			got := p.park()
			p.wantPost(c.body)
			received(t, got).want(t, 200, "1:1")
			srv.wantEnd(p.sid, c.reason, c.description)
		})
	}
}

func TestRevision3WebSocket(t *testing.T) {
	srv := serve(t, engineio.Options{AllowEIO3: true}, nil)
	c, sid := srv.session(w3)
	c.send("2")
	c.want("3")
	c.send("4x")
	c.want("4x")
	c.sendBinary("\x04\x01\x02")
	c.wantBinary("\x04\x01\x02")
	c.send("b4AQID")
	c.wantBinary("\x04\x01\x02\x03")
	srv.do(sid, func(s *engineio.Session) {
		s.SendPrepared(engineio.Prepare([]byte("4x"), false, [][]byte{{5}}, true))
	})
	c.want("4x")
	c.wantBinary("\x04\x05")

	c, _ = srv.session(w3 + "&b64=1")
	c.sendBinary("\x04\x01\x02\x03")
	c.want("b4AQID")

	c, sid = srv.session(w3)
	c.sendBinary("\x07x")
	c.wantClose(0, "")
	srv.wantEnd(sid, engineio.ParseError, "eio: unknown packet type")
}

func TestRevision3Upgrade(t *testing.T) {
	srv := serve(t, engineio.Options{AllowEIO3: true}, nil)
	p := srv.poll(v3)
	got := p.park()
	c := srv.dial(w3 + "&sid=" + p.sid)
	c.send("2probe")
	c.want("3probe")
	received(t, got).want(t, 200, "1:6")
	p.wantPost("6:b4AQID2:4x")
	c.send("5")
	c.wantBinary("\x04\x01\x02\x03")
	c.want("4x")
}

func TestRevision3Heartbeat(t *testing.T) {
	o := beat(50, 150)
	o.AllowEIO3 = true
	srv := serve(t, o, nil)
	c, sid := srv.session(w3)
	for range 5 {
		c.send("2")
		c.want("3")
	}
	c.wantClose(0, "")
	srv.wantEnd(sid, engineio.PingTimeout, "")
}
