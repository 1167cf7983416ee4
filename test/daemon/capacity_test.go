package daemon

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/test/rawws"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// The beginnings of a Socket.IO session.
const (
	sioPolling = "/socket.io/?EIO=4&transport=polling"
	sioSocket  = "/socket.io/?EIO=4&transport=websocket"
)

// upgrade asks for a WebSocket and returns the connection with the server's answer.
func upgrade(t *testing.T, address, path string) *rawws.Conn {
	t.Helper()
	c, err := rawws.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Conn.Close() })
	if err := c.Send([]byte(rawws.Request(address, path))); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadResponse(); err != nil {
		t.Fatal(err)
	}
	return c
}

// poll opens a Socket.IO session by polling and returns the answer.
func poll(t *testing.T, address string) *rawws.Response {
	t.Helper()
	c, err := rawws.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Conn.Close()
	if err := c.Send([]byte("GET " + sioPolling + " HTTP/1.1\r\nHost: " + address + "\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	r, err := c.ReadResponse()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// expectClose fails the test unless the server closes with code and reason.
func expectClose(t *testing.T, c *rawws.Conn, code int, reason string) {
	t.Helper()
	for {
		e, err := c.Next()
		switch {
		case err != nil:
			t.Errorf("want close %d %q: %v", code, reason, err)
			return
		case e.Kind == rawws.CloseFrame && (e.Code != code || string(e.Payload) != reason):
			t.Errorf("%v, want close %d %q", e, code, reason)
			return
		case e.Kind == rawws.CloseFrame:
			return
		case e.Kind == rawws.End:
			t.Errorf("the end without close %d %q", code, reason)
			return
		}
	}
}

// Who comes when the server is full is told so: WebSockets by 101 and 1008, Socket.IO
// by 503, both as --at-capacity says, and pollers always by 503; who is there stays.
func TestCapacity(t *testing.T) {
	const full, answer = "Server at capacity", `{"code":4,"message":"Server at capacity"}`
	for _, tt := range []struct {
		policy   string
		raw, sio int // status
	}{
		{"default", 101, 503},
		{"http503", 503, 503},
		{"close", 101, 101},
	} {
		t.Run(tt.policy, func(t *testing.T) {
			s := wsdproc.Start(t, "serve", "--max-connections", "2", "--at-capacity", tt.policy, "--drain-lb-wait", "0s")
			first := upgrade(t, s.Addr, "/echo")
			if r := poll(t, s.Addr); r.Status != http.StatusOK {
				t.Fatalf("polling: %d %s", r.Status, r.Body)
			}
			for path, want := range map[string]int{"/echo": tt.raw, "/topics/a": tt.raw, sioSocket: tt.sio} {
				c := upgrade(t, s.Addr, path)
				switch {
				case c.Response.Status != want:
					t.Errorf("%s: status %d, want %d", path, c.Response.Status, want)
				case want == http.StatusSwitchingProtocols:
					expectClose(t, c, 1008, full)
				case c.Response.Header.Get("Retry-After") == "":
					t.Errorf("%s: no Retry-After", path)
				}
			}
			if r := poll(t, s.Addr); r.Status != http.StatusServiceUnavailable || r.Body != answer {
				t.Errorf("polling: %d %s", r.Status, r.Body)
			}
			if _, err := first.Write(rawws.Frame{Fin: true, Op: rawws.Text, Payload: []byte("still here")}.Bytes()); err != nil {
				t.Fatal(err)
			}
			if e, err := first.Next(); err != nil || string(e.Payload) != "still here" {
				t.Errorf("who was there: %v, %v", e, err)
			}
		})
	}
}

// The cookie that balancers read is on every Socket.IO handshake, of both kinds.
func TestAffinityCookie(t *testing.T) {
	s := wsdproc.Start(t, "serve", "--server-id", "ws7", "--drain-lb-wait", "0s")
	const want = "io=ws7; Path=/; HttpOnly; SameSite=Lax"
	if got := poll(t, s.Addr).Header.Get("Set-Cookie"); got != want {
		t.Errorf("polling: %q, want %q", got, want)
	}
	if c := upgrade(t, s.Addr, sioSocket); c.Response.Header.Get("Set-Cookie") != want {
		t.Errorf("WebSocket: %q, want %q", c.Response.Header.Get("Set-Cookie"), want)
	}
	if c := upgrade(t, s.Addr, "/echo"); strings.Contains(c.Response.Header.Get("Set-Cookie"), "ws7") {
		t.Errorf("/echo: %q", c.Response.Header.Get("Set-Cookie"))
	}
}
