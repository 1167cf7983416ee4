package engine_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/codec/handshake"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// upgradeHead is a handshake request for a path with further field lines.
func upgradeHead(path string, fields ...string) string {
	head := "GET " + path + " HTTP/1.1\r\nHost: example.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
	for _, f := range fields {
		head += f + "\r\n"
	}
	return head + "\r\n"
}

// sent is a client's frame on the wire.
func sent(op ws.OpCode, msg string) string {
	return string(ws.MustCompileFrame(ws.MaskFrameWith(ws.NewFrame(op, true, []byte(msg)), [4]byte{1, 2, 3, 4})))
}

// knock connects and sends bytes.
func knock(t testing.TB, addr, bytes string) *client {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	c := wrap(t, nc)
	c.raw(bytes)
	return c
}

// wrap makes a client of a connection whose handshake is still to come.
func wrap(t testing.TB, nc net.Conn) *client {
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(4 * patience))
	return &client{nc, t, bufio.NewReader(nc)}
}

func (c *client) raw(bytes string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, bytes); err != nil {
		c.t.Fatal(err)
	}
}

// response reads an HTTP response.
func (c *client) response() (status int, header http.Header, body string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		c.t.Fatal(err)
	}
	if resp.Close { // net/http keeps it apart
		resp.Header.Set("Connection", "close")
	}
	return resp.StatusCode, resp.Header, string(b)
}

// wantStatus reads an HTTP response of a status.
func (c *client) wantStatus(want int) http.Header {
	c.t.Helper()
	status, header, body := c.response()
	if status != want {
		c.t.Fatalf("got status %d %q, want %d", status, body, want)
	}
	return header
}

func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	late := time.NewTimer(4 * patience)
	defer late.Stop()
	select {
	case v := <-ch:
		return v
	case <-late.C:
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func TestHandshakeResponse(t *testing.T) {
	addr := serve(t, engine.New(engine.Options{Loops: 1, Logger: quiet()}).WS("/*", engine.Behavior{Message: echo}))
	c := knock(t, addr, upgradeHead("/"))
	header := c.wantStatus(http.StatusSwitchingProtocols)
	// RFC 6455 1.3's example.
	if got := header.Get("Sec-WebSocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("Sec-WebSocket-Accept %q", got)
	}
	if !strings.EqualFold(header.Get("Upgrade"), "websocket") || !strings.EqualFold(header.Get("Connection"), "Upgrade") {
		t.Errorf("header %v", header)
	}
	if _, has := header["Sec-Websocket-Extensions"]; has {
		t.Error("an extension was agreed that nobody offered")
	}
}

func TestHandshakeRefusals(t *testing.T) {
	good := upgradeHead("/")
	with := func(old, line string) string {
		if !strings.Contains(good, old) {
			panic(old)
		}
		return strings.Replace(good, old, line, 1)
	}
	const (
		host    = "Host: example.test\r\n"
		connect = "Connection: Upgrade\r\n"
		key     = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		version = "Sec-WebSocket-Version: 13\r\n"
	)
	tests := []struct {
		name, head string
		status     int
	}{
		{"no Host", with(host, ""), 400},
		{"empty Host", with(host, "Host:\r\n"), 400},
		{"two Hosts", with(host, host+host), 400},
		{"no Connection", with(connect, ""), 400},
		{"other Connection", with(connect, "Connection: keep-alive\r\n"), 400},
		{"no key", with(key, ""), 400},
		{"empty key", with(key, "Sec-WebSocket-Key:\r\n"), 400},
		{"short key", with(key, "Sec-WebSocket-Key: AAAA\r\n"), 400},
		{"key of no base64", with(key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!==\r\n"), 400},
		{"two keys", with(key, key+key), 400},
		{"two versions", with(version, version+version), 400},
		{"body", with(key, key+"Content-Length: 5\r\n") + "hello", 400},
		{"chunked body", with(key, key+"Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400},
		{"folded field", with(key, key+"X: a\r\n b\r\n"), 400},
		{"space before colon", with(key, key+"X : a\r\n"), 400},
		{"bare LF", with(key, key+"X: a\nY: b\r\n"), 400},
		{"NUL in a field", with(key, key+"X: a\x00b\r\n"), 400},
		{"CR in a field", with(key, key+"X: a\rb\r\n"), 400},
		{"field without colon", with(key, key+"X\r\n"), 400},
		{"target without slash", with("GET / ", "GET x "), 400},
		{"two spaces", with("GET / ", "GET  / "), 400},
		{"POST", with("GET", "POST"), 405},
		{"DELETE", with("GET", "DELETE"), 405},
		{"HTTP/1.0", with("HTTP/1.1", "HTTP/1.0"), 426},
		{"no version", with(version, ""), 426},
		{"version 8", with(version, "Sec-WebSocket-Version: 8\r\n"), 426},
		{"version 013", with(version, "Sec-WebSocket-Version: 013\r\n"), 426},
		{"HTTP/2.0", with("HTTP/1.1", "HTTP/2.0"), 505},
		{"other origin", with(key, key+"Origin: http://evil.test\r\n"), 403},
		{"other port", with(key, key+"Origin: http://example.test:81\r\n"), 403},
		{"opaque origin", with(key, key+"Origin: null\r\n"), 403},
		{"many fields", with(key, key+strings.Repeat("X: y\r\n", 200)), 431},
		{"long field", with(key, key+"X: "+strings.Repeat("y", 16<<10)+"\r\n"), 431},
		{"head without end", strings.TrimSuffix(good, "\r\n") + "X: " + strings.Repeat("y", 16<<10), 431},
	}
	app := engine.New(engine.Options{Loops: 2, Logger: quiet()}).WS("/*", engine.Behavior{
		Message: echo,
		Open:    func(c *engine.Conn) { c.Send([]byte("open"), engine.Text) },
	})
	addr := serve(t, app)
	bystander := dial(t, addr, "/")
	bystander.wantText("open")
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			c := knock(t, addr, x.head)
			status, header, _ := c.response()
			if status != x.status {
				t.Fatalf("status %d, want %d", status, x.status)
			}
			if header.Get("Connection") != "close" {
				t.Errorf("header %v", header)
			}
			if status == 426 && (header.Get("Sec-WebSocket-Version") != "13" || header.Get("Upgrade") != "websocket") {
				t.Errorf("426 with %v", header)
			}
			if status == 405 && header.Get("Allow") != "GET" {
				t.Errorf("405 with %v", header)
			}
			c.wantEOF()
		})
	}
	bystander.text("well?")
	bystander.wantText("well?")
	if n := app.Stats().Connections; n != 1 {
		t.Errorf("%d connections, want the bystander's", n)
	}
}

func TestUpgradeNamedInOtherForms(t *testing.T) {
	addr := serve(t, engine.New(engine.Options{Loops: 1, Logger: quiet()}).WS("/*", engine.Behavior{Message: echo}))
	for _, x := range []struct{ name, old, line string }{
		{"case of the names", "Upgrade: websocket", "uPGRADE: WebSocket"},
		{"several upgrades", "Upgrade: websocket", "Upgrade: h2c, websocket"},
		{"Connection list", "Connection: Upgrade", "Connection: keep-alive , upgrade"},
		{"spaces", "Connection: Upgrade", "Connection:\t Upgrade \t"},
		{"absolute target", "GET /", "GET http://example.test/"},
		{"Content-Length 0", "Host:", "Content-Length: 0\r\nHost:"},
		{"same origin", "Host:", "Origin: http://example.test\r\nHost:"},
		{"same secure origin", "Host:", "Origin: https://example.test:443\r\nHost:"},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := knock(t, addr, strings.Replace(upgradeHead("/"), x.old, x.line, 1))
			c.wantStatus(101)
			c.text("hi")
			c.wantText("hi")
		})
	}
}

func TestMaxHandshakeBytes(t *testing.T) {
	head := upgradeHead("/")
	for _, x := range []struct{ limit, status int }{{len(head), 101}, {len(head) - 1, 431}} {
		app := engine.New(engine.Options{Loops: 1, Logger: quiet(), MaxHandshakeBytes: x.limit})
		addr := serve(t, app.WS("/", engine.Behavior{}))
		knock(t, addr, head+sent(ws.OpText, "first")).wantStatus(x.status)
	}
}

func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	app := engine.New(engine.Options{Loops: 1, Logger: quiet(), HandshakeTimeout: time.Second})
	addr := serve(t, app.WS("/*", engine.Behavior{}))
	silent, slow := knock(t, addr, ""), knock(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n")
	slow.wantStatus(http.StatusRequestTimeout)
	slow.wantEOF()
	silent.wantEOF()
	testkit.Eventually(t, func() bool { return app.Stats().Sockets == 0 }, patience)
	s := snapshot(t, app)
	if total := s.Total(); total.Closed[engine.CauseHandshake] != 2 || total.Opened != 0 {
		t.Errorf("%d handshakes failed, %d opened", total.Closed[engine.CauseHandshake], total.Opened)
	}
}

func TestRequestSplitAtEveryByte(t *testing.T) {
	opts := engine.Options{Loops: 1, Logger: quiet(), HandshakeTimeout: 4 * patience} // each byte waits for the one before
	app := engine.New(opts).WS("/*", engine.Behavior{Message: echo})
	addr := serve(t, app)
	all := upgradeHead("/") + sent(ws.OpText, "one") + sent(ws.OpPing, "two") + sent(ws.OpBinary, "three")
	want := func(c *client) {
		t.Helper()
		c.wantStatus(101)
		c.wantText("one")
		c.want(ws.OpPong, "two")
		c.want(ws.OpBinary, "three")
	}
	received := func() uint64 {
		s := snapshot(t, app)
		return s.Total().BytesIn
	}
	for i := 1; i < len(all); i++ {
		before := received()
		c := knock(t, addr, all[:i])
		testkit.Eventually(t, func() bool { return received() == before+uint64(i) }, patience)
		c.raw(all[i:])
		want(c)
		_ = c.Close()
	}
	t.Run("each byte alone", func(t *testing.T) {
		before := received()
		c := knock(t, addr, "")
		for i := range len(all) {
			c.raw(all[i : i+1])
			testkit.Eventually(t, func() bool { return received() == before+uint64(i)+1 }, patience)
		}
		want(c)
	})
}

func TestFramesBehindTheHead(t *testing.T) {
	addr := serve(t, engine.New(engine.Options{Loops: 1, Logger: quiet()}).WS("/*", engine.Behavior{
		Open:    func(c *engine.Conn) { c.Send([]byte("open"), engine.Text) },
		Message: echo,
	}))
	t.Run("many", func(t *testing.T) {
		var b strings.Builder
		b.WriteString(upgradeHead("/"))
		for i := range 500 {
			b.WriteString(sent(ws.OpText, fmt.Sprint(i)))
		}
		c := knock(t, addr, b.String())
		c.wantStatus(101)
		c.wantText("open")
		for i := range 500 {
			c.wantText(fmt.Sprint(i))
		}
	})
	t.Run("large and cut", func(t *testing.T) {
		msg := strings.Repeat("x", 16<<10)
		frame := sent(ws.OpText, msg)
		c := knock(t, addr, upgradeHead("/")+frame[:1000])
		c.wantStatus(101)
		c.wantText("open")
		c.raw(frame[1000:])
		c.wantText(msg)
	})
	t.Run("bad", func(t *testing.T) {
		c := knock(t, addr, upgradeHead("/")+"\x81\x01x")
		c.wantStatus(101)
		c.wantText("open")
		c.wantClose(1002, "frame from a client is not masked")
	})
	t.Run("close", func(t *testing.T) {
		c := knock(t, addr, upgradeHead("/")+sent(ws.OpClose, "\x03\xe8bye")+sent(ws.OpText, "late"))
		c.wantStatus(101)
		c.wantText("open")
		c.wantClose(1000, "")
	})
}

func TestCheckOrigin(t *testing.T) {
	evil := upgradeHead("/", "Origin: http://evil.test")
	for _, x := range []struct {
		name   string
		check  func(*engine.Handshake) bool
		status int
	}{
		{"any", engine.AnyOrigin, 101},
		{"none", func(*engine.Handshake) bool { return false }, 403},
		{"listed", func(u *engine.Handshake) bool { return u.SameOrigin() || u.Origin() == "http://evil.test" }, 101},
		{"panics", func(*engine.Handshake) bool { panic("origin") }, 500},
	} {
		t.Run(x.name, func(t *testing.T) {
			app := engine.New(engine.Options{Loops: 1, Logger: quiet(), CheckOrigin: x.check})
			addr := serve(t, app.WS("/", engine.Behavior{}))
			knock(t, addr, evil).wantStatus(x.status)
		})
	}
	t.Run("before Upgrade", func(t *testing.T) {
		var asked atomic.Int32
		addr := serve(t, engine.New(engine.Options{Loops: 1, Logger: quiet()}).WS("/", engine.Behavior{
			Upgrade: func(*engine.Handshake) { asked.Add(1) },
		}))
		knock(t, addr, evil).wantStatus(403)
		if asked.Load() != 0 {
			t.Error("Upgrade was asked about a foreign page")
		}
	})
}

// upgrading is an App whose only route decides with fn, echoes, and greets with
// its user data when that is a string.
func upgrading(opts engine.Options, fn func(u *engine.Handshake)) *engine.App {
	opts.Logger = quiet()
	return engine.New(opts).WS("/{room}/{rest...}", engine.Behavior{
		Upgrade: fn,
		Open: func(c *engine.Conn) {
			if s, ok := c.UserData().(string); ok {
				c.Send([]byte(s), engine.Text)
			}
		},
		Message: echo,
	})
}

func TestHandshakeTellsTheRequest(t *testing.T) {
	app := upgrading(engine.Options{Loops: 1}, func(u *engine.Handshake) {
		_ = u.Accept(engine.Accept{UserData: fmt.Sprint(u.Path(), " ", u.Param("room"), " ", u.Param("rest"), " ",
			u.Query("q"), " ", u.QueryValues()["q"], " ", u.Header("x-more"), " ", u.Host(), " ",
			u.Origin(), " ", u.SameOrigin(), " ", u.Protocols(), " ", u.RemoteAddr())})
	})
	c := knock(t, serve(t, app), upgradeHead("/a%2Fb/c/d?q=1%202&q=3&bad=%zz", "X-More: yes", "x-more: no",
		"Origin: http://example.test", "Sec-WebSocket-Protocol: one, two", "Sec-WebSocket-Protocol: three"))
	c.wantStatus(101)
	c.wantText("/a%2Fb/c/d a/b c/d 1 2 [1 2 3] yes example.test http://example.test true [one two three] " + c.LocalAddr().String())
}

func TestAcceptSaysMore(t *testing.T) {
	said := make(chan string, 1)
	app := engine.New(engine.Options{Loops: 1, Logger: quiet()}).WS("/*", engine.Behavior{
		Upgrade: func(u *engine.Handshake) {
			_ = u.Accept(engine.Accept{Subprotocol: u.Protocols()[1], UserData: 7, Header: []engine.HeaderField{
				{Name: "Set-Cookie", Value: "a=1; HttpOnly"}, {Name: "Set-Cookie", Value: "b=2"},
			}})
		},
		Open: func(c *engine.Conn) {
			said <- fmt.Sprint(c.Subprotocol(), " ", c.UserData())
			c.SetUserData("changed")
		},
		Message: func(c *engine.Conn, _ []byte, op engine.OpCode) { c.Send([]byte(c.UserData().(string)), op) },
	})
	c := knock(t, serve(t, app), upgradeHead("/", "Sec-WebSocket-Protocol: one, two"))
	header := c.wantStatus(101)
	if got := header["Set-Cookie"]; !slices.Equal(got, []string{"a=1; HttpOnly", "b=2"}) {
		t.Errorf("Set-Cookie: %q", got)
	}
	if got := header["Sec-Websocket-Protocol"]; !slices.Equal(got, []string{"two"}) {
		t.Errorf("Sec-WebSocket-Protocol: %q", got)
	}
	if got := receive(t, said); got != "two 7" {
		t.Errorf("the connection has %q", got)
	}
	c.text("?")
	c.wantText("changed")
}

func TestRejectWithAnyStatus(t *testing.T) {
	app := upgrading(engine.Options{Loops: 1}, func(u *engine.Handshake) {
		var status int
		if _, err := fmt.Sscan(u.Param("room"), &status); err != nil {
			panic(err)
		}
		_ = u.Reject(status, "no: "+u.Param("room"), engine.HeaderField{Name: "Location", Value: "/else"},
			engine.HeaderField{Name: "Retry-After", Value: "3"})
	})
	addr := serve(t, app)
	for _, status := range []int{200, 302, 401, 403, 404, 429, 500, 503, 599} {
		c := knock(t, addr, upgradeHead(fmt.Sprint("/", status, "/"))+sent(ws.OpText, "unheard"))
		got, header, body := c.response()
		if got != status || body != fmt.Sprint("no: ", status) {
			t.Errorf("got %d %q, want %d", got, body, status)
		}
		if header.Get("Location") != "/else" || header.Get("Retry-After") != "3" {
			t.Errorf("header %v", header)
		}
		c.wantEOF()
	}
}

func TestAcceptThatCannotBeSent(t *testing.T) {
	other := engine.New(engine.Options{Loops: 1, Logger: quiet()})
	serve(t, other)
	testkit.Eventually(t, func() bool { return len(other.Loops()) == 1 }, patience)
	for _, x := range []struct {
		name   string
		accept engine.Accept
		want   error
	}{
		{"subprotocol not offered", engine.Accept{Subprotocol: "q"}, engine.ErrAccept},
		{"part of a subprotocol", engine.Accept{Subprotocol: "offere"}, engine.ErrAccept},
		{"loop of another App", engine.Accept{Loop: other.Loops()[0]}, engine.ErrAccept},
		{"line break", engine.Accept{Header: []engine.HeaderField{{Name: "X", Value: "a\r\nY: b"}}}, handshake.ErrResponseField},
		{"field name", engine.Accept{Header: []engine.HeaderField{{Name: "X:", Value: "a"}}}, handshake.ErrResponseField},
		{"own field", engine.Accept{Header: []engine.HeaderField{{Name: "upgrade", Value: "a"}}}, handshake.ErrResponseReserved},
	} {
		for _, later := range []bool{false, true} {
			t.Run(fmt.Sprint(x.name, " later:", later), func(t *testing.T) {
				result := make(chan error, 1)
				app := upgrading(engine.Options{Loops: 1}, func(u *engine.Handshake) {
					if !later {
						result <- u.Accept(x.accept)
						return
					}
					u.Defer()
					go func() { result <- u.Accept(x.accept) }()
				})
				c := knock(t, serve(t, app), upgradeHead("/a/", "Sec-WebSocket-Protocol: offered, p"))
				c.wantStatus(500)
				c.wantEOF()
				if err := receive(t, result); !errors.Is(err, x.want) {
					t.Errorf("Accept: %v, want %v", err, x.want)
				}
			})
		}
	}
}

func TestUpgradePanics(t *testing.T) {
	later := make(chan *engine.Handshake, 1)
	app := upgrading(engine.Options{Loops: 1}, func(u *engine.Handshake) {
		switch u.Param("room") {
		case "deferred":
			u.Defer()
			later <- u
			panic("upgrade")
		case "accepted":
			_ = u.Accept(engine.Accept{})
			panic("upgrade")
		case "at-once":
			panic("upgrade")
		}
	})
	addr := serve(t, app)
	bystander := dial(t, addr, "/a/")
	knock(t, addr, upgradeHead("/at-once/")).wantStatus(500)
	knock(t, addr, upgradeHead("/deferred/")).wantStatus(500)
	u := receive(t, later)
	receive(t, u.Done())
	if err := u.Accept(engine.Accept{}); err != engine.ErrDecided {
		t.Errorf("Accept after the panic: %v", err)
	}
	c := knock(t, addr, upgradeHead("/accepted/"))
	c.wantStatus(101)
	c.wantClose(1011, "")
	bystander.text("well?")
	bystander.wantText("well?")
	s := snapshot(t, app)
	if n := s.Total().Panics; n != 3 {
		t.Errorf("%d panics counted, want 3", n)
	}
}
