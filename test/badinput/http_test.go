package badinput

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/test/rawws"
)

// asked is a request and the statuses it may be answered with; 0 stands for
// hanging up without an answer.
type asked struct {
	name   string
	raw    string
	status []int
}

func (tg *target) ask(a asked) {
	tg.Helper()
	c := tg.dial()
	defer c.Close()
	c.Send([]byte(a.raw)) // a server may hang up before it has all of it
	r, err := c.ReadResponse()
	status := 0
	if err == nil {
		status = r.Status
	}
	if !slices.Contains(a.status, status) {
		tg.Errorf("%s: status %d (%v), want %v", a.name, status, err, a.status)
		return
	}
	switch status {
	case 0, 307:
		return
	case 101:
		if err := echoesPlain(c); err != nil {
			tg.Errorf("%s: %v", a.name, err)
		}
		return
	case 426:
		if r.Header.Get("Sec-WebSocket-Version") != "13" {
			tg.Errorf("%s: 426 names version %q", a.name, r.Header.Get("Sec-WebSocket-Version"))
		}
	}
	// A path that is none, or no request for a WebSocket, is net/http's to
	// answer, which keeps the connection; a bad request ends it.
	if (status == 404 || status == 426) && !r.Close {
		return
	}
	if e, err := c.Next(); !r.Close || err != nil || e.Kind != rawws.End {
		tg.Errorf("%s: status %d, close announced: %v, then %v, %v", a.name, status, r.Close, e, err)
	}
}

func echoesPlain(c *rawws.Conn) error {
	if err := c.Send(rawws.Frame{Fin: true, Op: rawws.Text, Payload: []byte("hi")}.Bytes()); err != nil {
		return err
	}
	return expect(c, rawws.TextMessage, []byte("hi"))
}

func (tg *target) askAll(all []asked) {
	tg.Helper()
	tg.attack(func() {
		for _, a := range all {
			tg.ask(a)
		}
	})
}

var refused = []int{400}

func TestHandshakeFields(t *testing.T) {
	tg := start(t, engine.Options{})
	host := "Host: " + tg.addr + "\r\n"
	const (
		upgrade    = "Upgrade: websocket\r\n"
		connection = "Connection: Upgrade\r\n"
		key        = "Sec-WebSocket-Key: " + rawws.Key + "\r\n"
		version    = "Sec-WebSocket-Version: 13\r\n"
	)
	with := func(name, old, new string, status ...int) asked { return asked{name, tg.request(old, new), status} }
	tg.askAll([]asked{
		with("as it should be", "\r\n", "\r\n", 101),
		with("any case", upgrade+connection, "uPGRADE: WebSocket\r\nCONNECTION: keep-alive, UPGRADE\r\n", 101),
		with("absolute URI", "GET /echo", "GET http://"+tg.addr+"/echo", 101),
		with("query", "/echo", "/echo?a=b&c", 101),
		with("empty body announced", upgrade, upgrade+"Content-Length: 0\r\n", 101),

		with("POST", "GET", "POST", 405),
		with("PUT", "GET", "PUT", 405),
		with("CONNECT", "GET", "CONNECT", 400, 405),
		with("lower-case method", "GET", "get", 400, 405),
		with("HTTP/1.0", "HTTP/1.1", "HTTP/1.0", 426, 505),
		with("HTTP/2.0", "HTTP/1.1", "HTTP/2.0", 505),
		with("HTTP/0.9", "HTTP/1.1", "HTTP/0.9", 505),
		with("HTTP/11", "HTTP/1.1", "HTTP/11", 400),
		with("no version", " HTTP/1.1", "", 400),
		with("other protocol", "HTTP/1.1", "HTCP/1.1", 400),

		with("no Host", host, "", 400),
		with("two Hosts", host, host+host, 400),
		with("two different Hosts", host, host+"Host: other.example\r\n", 400),
		with("empty Host", host, "Host:\r\n", 400),
		with("Host with a path", host, "Host: "+tg.addr+"/x\r\n", 400),
		with("Host with a blank", host, "Host: a b\r\n", 400),
		with("Host with a user", host, "Host: user@"+tg.addr+"\r\n", 400),

		with("no Upgrade", upgrade, "", 400, 404, 426),
		with("Upgrade to something else", "websocket", "h2c", 400, 404, 426),
		with("no Connection", connection, "", 400),
		with("Connection: close", "Connection: Upgrade", "Connection: close", 400),
		with("Connection: xupgrade", "Connection: Upgrade", "Connection: xupgrade", 400),

		with("no key", key, "", 400),
		with("empty key", rawws.Key, "", 400),
		with("two keys", key, key+key, 400),
		with("key of 15 bytes", rawws.Key, "AAAAAAAAAAAAAAAAAAAA", 400),
		with("key of 17 bytes", rawws.Key, "AAAAAAAAAAAAAAAAAAAAAAA=", 400),
		with("key of 16 characters", rawws.Key, "0123456789abcdef", 400),
		with("key that is no base64", rawws.Key, "!!!!!!!!!!!!!!!!!!!!!!==", 400),
		with("long key", rawws.Key, strings.Repeat("A", 8000), 400),

		with("no version field", version, "", 426),
		with("version 8", ": 13", ": 8", 426),
		with("version 14", ": 13", ": 14", 426),
		with("version 130", ": 13", ": 130", 426),
		with("version 013", ": 13", ": 013", 426),
		with("two versions", version, version+version, 400, 426),
		with("versions as a list", ": 13", ": 13, 8", 400, 426),

		with("unknown path", "/echo", "/nothing", 404),
		with("path that climbs", "/echo", "/../../echo", 307, 400, 404), // net/http redirects
		with("NUL in the path", "/echo", "/ec\x00ho", 400),
		with("escaped NUL in the path", "/echo", "/echo%00", 400, 404),
		with("bad escape in the path", "/echo", "/echo%zz", 400),
		with("no path", "/echo", "echo", 400),
		with("asterisk", "/echo", "*", 400),
		with("blank in the path", "/echo", "/ec ho", 400),
		with("8,000 bytes of path", "/echo", "/"+strings.Repeat("x", 8000), 404),
	})
}

func TestOrigins(t *testing.T) {
	tg := start(t, engine.Options{})
	origin := func(status int, origin string) asked {
		return asked{origin, rawws.Request(tg.addr, "/echo", "Origin: "+origin), []int{status}}
	}
	_, port, _ := strings.Cut(tg.addr, ":")
	tg.askAll([]asked{
		origin(101, "http://"+tg.addr),
		origin(101, "https://"+tg.addr),
		origin(403, "http://127.0.0.1"),
		origin(403, "http://localhost:"+port),
		origin(403, "http://"+tg.addr+".example.com"),
		origin(403, "http://example.com/"+tg.addr),
		origin(403, "http://example.com:"+port),
		origin(403, "http://user@"+tg.addr),
		origin(403, "http://"+tg.addr+"0"),
		origin(403, "http://x127.0.0.1:"+port),
		origin(403, "null"),
		origin(403, ""),
		origin(403, tg.addr),
		origin(403, "file://"),
		origin(403, "http://"+tg.addr+"\r\nOrigin: http://example.com"),
	})
}

// TestSmuggling: forms that another server in front might read differently.
func TestSmuggling(t *testing.T) {
	tg := start(t, engine.Options{HandshakeTimeout: time.Second})
	field := func(name, lines string) asked {
		return asked{name, tg.request("Sec-WebSocket-Version", lines+"\r\nSec-WebSocket-Version"), refused}
	}
	all := []asked{
		field("length and chunked", "Content-Length: 4\r\nTransfer-Encoding: chunked"),
		field("chunked", "Transfer-Encoding: chunked"),
		field("chunked in disguise", "Transfer-Encoding: xchunked"),
		field("identity", "Transfer-Encoding: identity"),
		field("length", "Content-Length: 4"),
		field("two lengths", "Content-Length: 0\r\nContent-Length: 4"),
		field("two lengths, reversed", "Content-Length: 4\r\nContent-Length: 0"),
		field("lengths as a list", "Content-Length: 0, 4"),
		field("length +0", "Content-Length: +0"),
		field("length -1", "Content-Length: -1"),
		field("length 0x0", "Content-Length: 0x0"),
		field("length beyond 64 bits", "Content-Length: 18446744073709551616"),
		field("length empty", "Content-Length:"),
		field("length with a letter", "Content-Length: 0a"),
		field("folded line", "X-Fold: a\r\n b"),
		field("folded line with a tab", "X-Fold: a\r\n\tContent-Length: 4"),
		field("space before the colon", "Content-Length : 4"),
		field("tab before the colon", "X-Tab\t: 4"),
		field("no colon", "X-Nothing"),
		field("no name", ": value"),
		field("bare LF", "X-A: b\nX-C: d"),
		field("bare CR", "X-A: b\rX-C: d"),
		field("NUL in a value", "X-A: b\x00c"),
		field("NUL in a name", "X\x00A: b"),
		field("DEL in a value", "X-A: b\x7fc"),
		field("vertical tab in a value", "X-A: b\x0bc"),
		field("non-ASCII name", "X-\xc3\xa9: b"),
		field("quote in a name", `X"A: b`),
		{"blank in front of the first field", tg.request("Host:", " Host:"), refused},
		{"LF only", strings.ReplaceAll(rawws.Request(tg.addr, "/echo"), "\r\n", "\n"), []int{400, 408}},
		{"two blanks in the request line", tg.request("GET /", "GET  /"), refused},
		{"tab in the request line", tg.request("GET /", "GET\t/"), refused},
		{"blank behind the version", tg.request("HTTP/1.1", "HTTP/1.1 "), refused},
		{"absolute URI without a host", tg.request("/echo", "http:///echo"), refused},
		{"absolute URI of another scheme", tg.request("/echo", "ftp://x/echo"), refused},
	}
	tg.askAll(all)
}

// TestPipelining: what stands behind an upgrade request is frames, and nothing
// else; what stands in front of it is another request.
func TestPipelining(t *testing.T) {
	tg := start(t, engine.Options{})
	upgrade := rawws.Request(tg.addr, "/echo")
	plain := "GET /nothing HTTP/1.1\r\nHost: " + tg.addr + "\r\n\r\n"
	hello := string(rawws.Frame{Fin: true, Op: rawws.Text, Payload: []byte("hello")}.Bytes())

	conversation := func(raw string, then func(c *rawws.Conn) error) {
		tg.Helper()
		c := tg.dial()
		defer c.Close()
		if err := c.Send([]byte(raw)); err != nil {
			t.Fatal(err)
		}
		if err := then(c); err != nil {
			t.Errorf("%.20q...: %v", raw, err)
		}
	}
	upgraded := func(then func(*rawws.Conn) error) func(*rawws.Conn) error {
		return func(c *rawws.Conn) error {
			if err := c.ReadUpgrade(""); err != nil {
				return err
			}
			return then(c)
		}
	}
	status := func(want int, then func(*rawws.Conn) error) func(*rawws.Conn) error {
		return func(c *rawws.Conn) error {
			r, err := c.ReadResponse()
			if err != nil || r.Status != want {
				return fmt.Errorf("status of %v, %v, want %d", r, err, want)
			}
			return then(c)
		}
	}
	echo := func(c *rawws.Conn) error { return expect(c, rawws.TextMessage, []byte("hello")) }
	failed := func(c *rawws.Conn) error { return closedWith(c, 1002) }
	body := fmt.Sprintf("POST /nothing HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", tg.addr, len(upgrade), upgrade)

	tg.attack(func() {
		conversation(upgrade+hello, upgraded(echo))
		conversation(upgrade+upgrade, upgraded(failed))
		conversation(upgrade+plain, upgraded(failed))
		conversation(plain+upgrade+hello, status(404, upgraded(echo)))
		conversation(plain+plain+upgrade+hello, status(404, status(404, upgraded(echo))))
		// An upgrade request inside a body is no request.
		conversation(body+plain, status(404, status(404, func(c *rawws.Conn) error {
			c.HalfClose()
			return expect(c, rawws.End, nil)
		})))
	})
}

func TestGarbage(t *testing.T) {
	tg := start(t, engine.Options{HandshakeTimeout: time.Second})
	any := []int{0, 400, 405, 408, 431, 505}
	rng := rand.New(rand.NewPCG(3, 4))
	random := make([]byte, 4096)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	all := []asked{
		{"zeros", strings.Repeat("\x00", 1000), any},
		{"0xff", strings.Repeat("\xff", 1000), any},
		{"random", string(random), any},
		{"TLS", "\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03" + string(random[:200]), any},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", []int{404, 505}},
		{"frames without a handshake", strings.Repeat("\x81\x85\x00\x00\x00\x00hello\r\n\r\n", 10), any},
		{"SSH", "SSH-2.0-x\r\n\r\n", any},
		{"Redis", "*1\r\n$4\r\nPING\r\n\r\n", any},
		{"GET and garbage", "GET " + string(random[:500]) + "\r\n\r\n", any},
		{"only blanks", strings.Repeat(" ", 2000) + "\r\n\r\n", any},
		{"a GET without end", "GET /" + strings.Repeat("x", 1<<20), any},
	}
	tg.askAll(all)
	tg.attack(func() {
		for range size(200, 5000) {
			n := rng.IntN(200)
			junk := make([]byte, n)
			for i := range junk {
				junk[i] = byte(rng.Uint32())
			}
			c := tg.dial()
			c.Send(junk)
			c.Reset()
		}
	})
}

func TestOversizedRequests(t *testing.T) {
	tg := start(t, engine.Options{})
	large := []int{431}
	fields := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "X-%d: constructor\r\n", i)
		}
		return b.String()
	}
	last := "Sec-WebSocket-Version: 13\r\n"
	tg.askAll([]asked{
		{"just below 16 KiB", tg.request(last, last+"X-A: "+strings.Repeat("a", 15<<10)+"\r\n"), []int{101}},
		{"17 KiB of one field", tg.request(last, last+"X-A: "+strings.Repeat("a", 17<<10)+"\r\n"), large},
		{"1 MB of one field", tg.request(last, last+"X-A: "+strings.Repeat("a", 1<<20)+"\r\n"), large},
		{"200 fields", tg.request(last, last+fields(200)), large},
		{"10,000 fields", tg.request(last, last+fields(10000)), large},
		{"1 MB of path", tg.request("/echo", "/"+strings.Repeat("p", 1<<20)), []int{414, 431}},
		{"no end of fields", strings.TrimSuffix(tg.request(last, fields(5000)), "\r\n\r\n"), large},
		{"plain request with 2 MB of fields", "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 2000) + "\r\n", large},
	})
}

func TestExtensionFields(t *testing.T) {
	tg := start(t, engine.Options{})
	offers := []string{
		"", ",", ";", "=", ";;;;", ",,,,", `"`, `permessage-deflate; x="`, `permessage-deflate; x="\`, "permessage-deflate;",
		"permessage-deflate; ; client_max_window_bits", "permessage-deflate=1", "permessage-deflate; =1", "constructor", "__proto__; toString",
		strings.Repeat("a;", 7000), strings.Repeat("a,", 7000), strings.Repeat(" ", 15000), strings.Repeat("permessage-deflate; a,", 600),
		`permessage-deflate; server_max_window_bits="1` + strings.Repeat("0", 5000) + `"`,
	}
	tg.attack(func() {
		for _, offer := range offers {
			tg.ask(asked{fmt.Sprintf("%.40q", offer), rawws.Request(tg.addr, "/echo", "Sec-WebSocket-Extensions: "+offer), []int{101, 400}})
		}
	})
}

// TestReadsTheAnswer: a client that still sends must not lose the answer to a reset.
func TestReadsTheAnswer(t *testing.T) {
	tg := start(t, engine.Options{})
	tg.attack(func() {
		for range size(50, 500) {
			c := tg.dial()
			c.Send([]byte(tg.request("GET /", "GET  /")))
			c.Send(bytes.Repeat([]byte("x"), 30000))
			if r, err := c.ReadResponse(); err != nil || r.Status != 400 {
				tg.Errorf("answer %v, %v", r, err)
			}
			c.Close()
		}
	})
}
