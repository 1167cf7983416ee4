package handshake_test

import (
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/handshake"
)

// browser is a handshake as a browser sends it: 18 fields.
var browser = []byte("GET /topics/room-17?token=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9 HTTP/1.1\r\n" +
	"Host: server.example.com:9001\r\n" +
	"Connection: Upgrade\r\n" +
	"Pragma: no-cache\r\n" +
	"Cache-Control: no-cache\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
	"Upgrade: websocket\r\n" +
	"Origin: http://server.example.com:9001\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Accept-Language: en-GB,en;q=0.9\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" +
	"Sec-WebSocket-Protocol: chat, superchat\r\n" +
	"Sec-Fetch-Dest: empty\r\n" +
	"Sec-Fetch-Mode: websocket\r\n" +
	"Sec-Fetch-Site: same-origin\r\n" +
	"DNT: 1\r\n\r\n")

// A handshake's whole way through the package, good or bad, allocates nothing
// once the Request is warm.
func TestNoAllocations(t *testing.T) {
	var r handshake.Request
	out := make([]byte, 0, 1024)
	extra := []handshake.Field{{Name: "Set-Cookie", Value: "io=node1; Path=/"}}
	lists := []byte("GET / HTTP/1.1\r\n" + strings.Repeat("Sec-WebSocket-Extensions: a; b\r\nSec-WebSocket-Protocol: c\r\n", 20) + "\r\n")
	refused := []byte("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n")

	accept := func() {
		n := handshake.HeadLen(browser, 0)
		if !handshake.Sniff(browser) || n != len(browser) {
			t.Fatal(n)
		}
		if err := r.Parse(browser[:n]); err != nil {
			t.Fatal(err)
		}
		if err := r.Check(); err != nil || !r.IsUpgrade() || !r.SameOrigin() {
			t.Fatal(err)
		}
		cookies := 0
		for range r.Each("cookie") {
			cookies++
		}
		protocol, _ := handshake.NextItem(r.Protocols)
		var err error
		if out, err = handshake.AppendResponse(out[:0], r.Key, protocol, r.Extensions, extra); err != nil || cookies != 1 {
			t.Fatal(err, cookies)
		}
	}
	join := func() {
		if err := r.Parse(lists); err != nil {
			t.Fatal(err)
		}
	}
	refuse := func() {
		if err := r.Parse(refused); err != nil {
			t.Fatal(err)
		}
		if err := r.Check(); err != handshake.ErrConnection {
			t.Fatal(err)
		}
		out = handshake.AppendError(out[:0], handshake.ErrConnection.Status, extra, handshake.ErrConnection.Text)
	}
	feed := func() {
		r.Reset()
		if err := r.SetLine("GET", "/chat?x", "HTTP/1.1"); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if err := r.Add("Sec-WebSocket-Protocol", "chat"); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, f := range map[string]func(){"accept": accept, "join": join, "refuse": refuse, "feed": feed} {
		f()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
