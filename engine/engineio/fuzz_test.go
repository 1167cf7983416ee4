package engineio_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/engine/engineio"
)

// FuzzPOST gives bodies to sessions of either revision that run: the answer is
// "ok", 413, and either the session lives and answers, or it has ended for a
// reason, and is forgotten.
func FuzzPOST(f *testing.F) {
	for _, body := range []string{
		"4x", "40", "", "\x1e", "4\x1e", "4a\x1ebAQID\x1e3", "b\x1eb", "bAQI", "1", "4a\x1e1\x1e4b", "2", "2probe", "5", "0", "6", "7", "4\xff\xfe",
		"2:4x", "6:b4AQID2:4x", "1:2", "1:1", "0:", "99999999999999999999:4", ":", "-1:4", "2:4\xf0",
		"\x01\x04\xff\x04\x01\x02\x03\x00\x02\xff4x", "\x00\xff", "\x01\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\xff\x04", "\x02",
		strings.Repeat("4\x1e", 500) + "4", strings.Repeat("b", 4096),
	} {
		f.Add(body, false)
		f.Add(body, true)
	}
	served := serve(f, engineio.Options{AllowEIO3: true, MaxPayload: 4000, HTTPCompression: -1}, nil)
	f.Fuzz(func(t *testing.T, body string, old bool) {
		srv := served.in(t)
		query, ping := v4, "3"
		if old {
			query, ping = v3+"&b64=1", "1:2"
		}
		p := srv.poll(query)
		r := p.post(body)
		switch {
		case r.err != nil:
			t.Fatalf("%q: %v", body, r.err)
		case r.status == 413 && len(body) > 4000:
		case r.status != 200 || r.body != "ok":
			t.Fatalf("%q: %d %q", body, r.status, r.body)
		}
		if e, ended := srv.app.endOf(p.sid); ended {
			switch e.reason {
			case engineio.ParseError, engineio.TransportError, engineio.TransportClose, engineio.ForcedClose:
			default:
				t.Fatalf("%q: ended by %q", body, e.reason)
			}
			srv.app.forget()
			return
		}
		p.post(ping).want(t, 200, "ok")
		p.post(map[bool]string{false: "4!close", true: "7:4!close"}[old]).want(t, 200, "ok")
		if e, ended := srv.app.endOf(p.sid); !ended || e.reason != engineio.ForcedClose {
			t.Fatalf("%q: %v %q", body, ended, e.reason)
		}
		srv.app.forget()
	})
}

// FuzzHandshake gives query strings to the handshake, over HTTP and as a
// WebSocket: every one is answered, with a session or the protocol's refusal.
func FuzzHandshake(f *testing.F) {
	for _, query := range []string{
		v4, v3, w4, w3, "", "EIO=4", "EIO=4&transport=polling&sid=", "EIO=4&transport=polling&sid=%00", "transport=polling&EIO=4&EIO=3",
		"EIO=4&transport=websocket&sid=../../etc", "%45IO=4&transport=polling", "EIO=4&transport=polling&b64=1&j=0&t=x", "&&&===", "EIO=%zz&transport=%",
		"EIO=4;transport=polling", "EIO=4&transport=polling#x",
	} {
		f.Add(query, false)
		f.Add(query, true)
	}
	served := serve(f, engineio.Options{AllowEIO3: true, HTTPCompression: -1}, nil)
	f.Fuzz(func(t *testing.T, query string, socket bool) {
		srv := served.in(t)
		for _, c := range []byte(query) {
			if c <= ' ' || c >= 0x7f {
				return // net/http's and the engine's business
			}
		}
		head := "GET /engine.io/?" + query + " HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n"
		if socket {
			head = upgradeHead(query)
		}
		c := srv.knock(head)
		defer c.Close()
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatalf("%q: %v", query, err)
		}
		defer resp.Body.Close()
		switch resp.StatusCode {
		case 200, 101, 400:
		default:
			t.Fatalf("%q: %s", query, resp.Status)
		}
		srv.app.closeAll()
	})
}

// FuzzFrames gives messages to WebSocket sessions and to WebSockets that try to
// take over.
func FuzzFrames(f *testing.F) {
	for _, text := range []string{"4x", "", "3", "2", "2probe", "5", "1", "b", "bAQID", "\x04x", "\x07", "7"} {
		for mode := range uint8(6) {
			f.Add(text, mode)
		}
	}
	served := serve(f, engineio.Options{AllowEIO3: true}, nil)
	f.Fuzz(func(t *testing.T, message string, mode uint8) {
		srv := served.in(t)
		eio := 4 - mode%2
		var c *socket
		if mode%3 == 0 {
			p := srv.poll(fmt.Sprintf("EIO=%d&transport=polling", eio))
			c = srv.dial(fmt.Sprintf("EIO=%d&transport=websocket&sid=%s", eio, p.sid))
		} else {
			c, _ = srv.session(fmt.Sprintf("EIO=%d&transport=websocket", eio))
		}
		defer c.Close()
		op := 1 + int(mode/6%2)
		c.raw(string(frameOf(opcode(op), message)))
		c.send("4!close")
		for {
			if f := c.frame(); f.Header.OpCode == 8 {
				break
			}
		}
		srv.app.closeAll()
	})
}
