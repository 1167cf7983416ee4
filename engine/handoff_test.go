package engine_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// handingOff is an App that keeps requests below /here and gives others to back.
func handingOff(back *engine.App) *engine.App {
	app := engine.New(engine.Options{Loops: 2, Logger: quiet()})
	give := func(nc net.Conn, data []byte) { _ = back.Adopt(nc, data) }
	app.WS("/*", engine.Behavior{Message: echo, Upgrade: func(u *engine.Handshake) {
		if u.Path() != "/here" {
			if err := u.Detach(give); err != nil {
				panic(err)
			}
			if u.Detach(give) != engine.ErrDecided || u.Accept(engine.Accept{}) != engine.ErrDecided {
				panic("decided twice")
			}
		}
	}})
	app.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/here") {
			b, err := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "here %s %v", b, err)
			return
		}
		nc, data, err := engine.Detach(w, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
		give(nc, data)
	}))
	return app
}

// Every request that an App gives away is answered by the other one, wherever in
// the stream of requests it stands and however much of it was read.
func TestHandOff(t *testing.T) {
	for _, kind := range []string{"TCP", "TLS"} {
		t.Run(kind, func(t *testing.T) {
			back := web(engine.Options{Loops: 2})
			serve(t, back)
			front := handingOff(back)
			var addr string
			connect := func() *client { return knock(t, addr, "") }
			if kind == "TLS" {
				l := listen(t)
				addr = l.Addr().String()
				serveOn(t, front, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}))
				connect = func() *client {
					nc, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
					if err != nil {
						t.Fatal(err)
					}
					return wrap(t, nc)
				}
			} else {
				addr = serve(t, front)
			}
			want := func(c *client, text string) {
				t.Helper()
				if status, _, body := c.response(); status != 200 || body != text {
					t.Fatalf("%d %.80q, want %.80q", status, body, text)
				}
			}
			big := strings.Repeat("b", 300<<10)
			t.Run("requests", func(t *testing.T) {
				c := connect()
				c.raw(request("POST", "/here", "one"))
				want(c, "here one <nil>")
				// The first is the front's, the others are pipelined behind it.
				c.raw(request("POST", "/here", "two") + request("POST", "/body", "three") + request("GET", "/body", "") + request("PUT", "/body", big))
				want(c, "here two <nil>")
				want(c, "POST three <nil>")
				want(c, "GET  <nil>")
				want(c, "PUT "+big+" <nil>")
			})
			t.Run("body to come", func(t *testing.T) {
				c := connect()
				text := request("POST", "/body", big)
				c.raw(text[:len(text)-len(big)/2])
				c.raw(text[len(text)-len(big)/2:])
				want(c, "POST "+big+" <nil>")
			})
			t.Run("chunked, expecting 100", func(t *testing.T) {
				c := connect()
				c.raw("POST /body HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
				if status, _, _ := c.response(); status != 100 {
					t.Fatalf("status %d", status)
				}
				c.raw("3\r\nabc\r\n0\r\n\r\n")
				want(c, "POST abc <nil>")
			})
			t.Run("WebSocket", func(t *testing.T) {
				c := connect()
				c.raw(upgradeHead("/ws") + sent(ws.OpText, "ahead") + sent(ws.OpText, "of time"))
				c.wantStatus(101)
				c.wantText("ahead")
				c.wantText("of time")
				c.text(big)
				c.wantText(big)
				c = connect()
				c.raw(upgradeHead("/here") + sent(ws.OpText, "stays"))
				c.wantStatus(101)
				c.wantText("stays")
				_ = c.Close()
			})
			t.Run("WebSocket behind requests", func(t *testing.T) {
				c := connect()
				c.raw(request("POST", "/body", "one") + upgradeHead("/ws"))
				want(c, "POST one <nil>")
				c.wantStatus(101)
				c.text("x")
				c.wantText("x")
			})
			testkit.Eventually(t, func() bool { return front.Leftovers() == "" }, patience)
		})
	}
}

func TestAdoptMistakes(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	if err := engine.New(engine.Options{}).WS("x", engine.Behavior{}).Adopt(far, nil); err == nil {
		t.Error("an App with a mistake serves")
	}
	if _, err := near.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection was left open: %v", err)
	}
	// Nothing read yet.
	near, far = net.Pipe()
	app := stopped(t, web(engine.Options{Loops: 1}))
	if err := app.Adopt(far, nil); err != nil {
		t.Fatal(err)
	}
	c := wrap(t, near)
	go c.raw(request("GET", "/body", ""))
	if status, _, body := c.response(); status != 200 || body != "GET  <nil>" {
		t.Errorf("%d %q", status, body)
	}
}
