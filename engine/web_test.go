package engine_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// request is a plain HTTP request.
func request(method, path, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: example.test\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
}

// web is an App with an echo at /ws, the same behind a handler at /manual, and
// handlers for other requests.
func web(opts engine.Options) *engine.App {
	opts.Logger = quiet()
	app := engine.New(opts)
	app.WS("/ws", engine.Behavior{Message: echo, MaxPayload: 1 << 20, MaxBackpressure: -1})
	app.WS("/manual", engine.Behavior{Message: echo, Manual: true})
	app.Handle("/body", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %v", r.Method, b, err)
	}))
	app.Handle("GET /users/{id}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.PathValue("id"), " ", r.Pattern)
	}))
	app.Handle("/manual", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "let me" {
			http.Error(w, "who?", http.StatusUnauthorized)
			return
		}
		if err := engine.Upgrade(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
		}
	}))
	app.Handle("/lost", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, engine.Upgrade(w, r))
	}))
	return app
}

func TestOtherRequestsReachTheirHandlers(t *testing.T) {
	addr := serve(t, web(engine.Options{Loops: 2}))
	big := strings.Repeat("b", 300<<10)
	for _, x := range []struct {
		name, request string
		status        int
		body          string
	}{
		{"GET", request("GET", "/body", ""), 200, "GET  <nil>"},
		{"GET with a body", request("GET", "/body", "abc"), 200, "GET abc <nil>"},
		{"POST", request("POST", "/body", "abc"), 200, "POST abc <nil>"},
		{"large body", request("PUT", "/body", big), 200, "PUT " + big + " <nil>"},
		{"path value", request("GET", "/users/42", ""), 200, "42 GET /users/{id}"},
		{"wrong method", request("POST", "/users/42", ""), 405, "Method Not Allowed\n"},
		{"unknown path", request("GET", "/none", ""), 404, "404 page not found\n"},
		{"WebSocket path", request("GET", "/ws", ""), 426, "this path is a WebSocket\n"},
		{"Manual path", request("GET", "/manual", ""), 401, "who?\n"},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := knock(t, addr, "")
			// Twice, for the connection is kept alive.
			for range 2 {
				c.raw(x.request)
				status, header, body := c.response()
				if status != x.status || body != x.body {
					t.Fatalf("got %d %.80q, want %d %.80q", status, body, x.status, x.body)
				}
				if status == 426 && header.Get("Sec-WebSocket-Version") != "13" {
					t.Errorf("426 with %v", header)
				}
			}
		})
	}
	t.Run("byte by byte", func(t *testing.T) {
		for _, method := range []string{"GET", "POST", "G"} {
			c := knock(t, addr, "")
			for _, b := range []byte(request(method, "/body", "abc")) {
				c.raw(string(b))
			}
			if status, _, body := c.response(); status != 200 || body != method+" abc <nil>" {
				t.Errorf("got %d %q", status, body)
			}
		}
	})
	t.Run("malformed", func(t *testing.T) {
		for _, garbage := range []string{"\x16\x03\x01\x02\x00\x01\r\n\r\n", "hello\r\n\r\n", "GET\r\n\r\n"} {
			knock(t, addr, garbage).wantStatus(400)
		}
	})
}

func TestUpgradeOnAKeptAliveConnection(t *testing.T) {
	app := web(engine.Options{Loops: 2})
	addr := serve(t, app)
	for _, x := range []struct {
		name   string
		chunks []string
	}{
		{"in turn", []string{request("POST", "/body", "x"), upgradeHead("/ws"), sent(ws.OpText, "hi")}},
		{"frame behind", []string{request("POST", "/body", "x"), upgradeHead("/ws") + sent(ws.OpText, "hi")}},
		{"all at once", []string{request("POST", "/body", "x") + upgradeHead("/ws") + sent(ws.OpText, "hi")}},
		{"frame cut", []string{request("POST", "/body", "x") + upgradeHead("/ws") + sent(ws.OpText, "hi")[:3], sent(ws.OpText, "hi")[3:]}},
		{"behind a GET", []string{request("GET", "/body", "x") + upgradeHead("/ws"), sent(ws.OpText, "hi")}},
		{"Manual", []string{request("POST", "/body", "x"), upgradeHead("/manual", "Authorization: let me"), sent(ws.OpText, "hi")}},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := knock(t, addr, x.chunks[0])
			if status, _, body := c.response(); status != 200 || !strings.HasSuffix(body, " x <nil>") {
				t.Fatalf("got %d %q", status, body)
			}
			for i, chunk := range x.chunks[1:] {
				c.raw(chunk)
				if i == 0 {
					c.wantStatus(101)
				}
			}
			if len(x.chunks) == 1 {
				c.wantStatus(101)
			}
			c.wantText("hi")
			c.raw(sent(ws.OpClose, "\x03\xe8"))
			c.wantClose(1000, "")
		})
	}
	testkit.Eventually(t, func() bool { return app.Stats().Sockets == 0 }, patience)
}

func TestRefusalsOnAKeptAliveConnection(t *testing.T) {
	app := web(engine.Options{Loops: 2})
	addr := serve(t, app)
	good := upgradeHead("/ws")
	for _, x := range []struct {
		name, head string
		status     int
	}{
		{"POST", strings.Replace(good, "GET", "POST", 1), 405},
		{"POST with a body", strings.Replace(good, "GET /ws HTTP/1.1\r\n", "POST /ws HTTP/1.1\r\nContent-Length: 3\r\n", 1) + "abc", 405},
		{"version", strings.Replace(good, "13", "8", 1), 426},
		{"key", strings.Replace(good, "dGhl", "", 1), 400},
		{"two keys", strings.Replace(good, "Sec-WebSocket-V", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-V", 1), 400},
		{"Connection", strings.Replace(good, "Connection: Upgrade", "Connection: keep-alive", 1), 400},
		{"body", strings.Replace(good, "Host:", "Content-Length: 3\r\nHost:", 1) + "abc", 400},
		{"chunked body", strings.Replace(good, "Host:", "Transfer-Encoding: chunked\r\nHost:", 1) + "0\r\n\r\n", 400},
		{"origin", strings.Replace(good, "Host:", "Origin: http://evil.test\r\nHost:", 1), 403},
		{"no such path", upgradeHead("/none"), 404},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := knock(t, addr, request("POST", "/body", "x"))
			c.wantStatus(200)
			c.raw(x.head)
			c.wantStatus(x.status)
		})
	}
	testkit.Eventually(t, func() bool { return app.Stats().Sockets == 0 }, patience)
}

func TestManualRoute(t *testing.T) {
	addr := serve(t, web(engine.Options{Loops: 2}))
	c := knock(t, addr, upgradeHead("/manual"))
	c.wantStatus(401)
	c.raw(upgradeHead("/manual", "Authorization: let me") + sent(ws.OpText, "early"))
	c.wantStatus(101)
	c.wantText("early")
	c.text("hi")
	c.wantText("hi")

	c = knock(t, addr, "GET /manual HTTP/1.1\r\nHost: x\r\nAuthorization: let me\r\n\r\n")
	if status, _, body := c.response(); status != http.StatusTeapot || body != engine.ErrNotUpgrade.Error()+"\n" {
		t.Errorf("got %d %q", status, body)
	}
	c = knock(t, addr, upgradeHead("/lost"))
	if status, _, body := c.response(); status != 200 || body != engine.ErrNoRoute.Error() {
		t.Errorf("got %d %q", status, body)
	}
}

func TestUpgradeErrors(t *testing.T) {
	app := web(engine.Options{Loops: 1})
	upgrade := httptest.NewRequest("GET", "/ws", nil)
	upgrade.Header.Set("Upgrade", "h2c, WebSocket")
	if err := engine.Upgrade(httptest.NewRecorder(), upgrade); err != engine.ErrNoApp {
		t.Errorf("Upgrade without an App: %v", err)
	}
	if err := app.Upgrade(httptest.NewRecorder(), httptest.NewRequest("GET", "/ws", nil)); err != engine.ErrNotUpgrade {
		t.Errorf("Upgrade of a plain request: %v", err)
	}
	elsewhere := upgrade.Clone(context.Background())
	elsewhere.URL.Path = "/none"
	if err := app.Upgrade(httptest.NewRecorder(), elsewhere); err != engine.ErrNoRoute {
		t.Errorf("Upgrade without a route: %v", err)
	}
	serve(t, app)
	if err := app.Upgrade(httptest.NewRecorder(), upgrade); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("Upgrade of what can't be hijacked: %v", err)
	}
}

// stopped shuts an App down with the test that does not Serve it.
func stopped(t testing.TB, app *engine.App) *engine.App {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := app.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return app
}

// dialAny is dial for a URL, with TLS of any certificate.
func dialAny(t testing.TB, url string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	nc, _, _, err := ws.Dialer{TLSConfig: &tls.Config{InsecureSkipVerify: true}}.Dial(ctx, url)
	if err != nil {
		t.Fatalf("dial %s: %v", url, err)
	}
	return wrap(t, nc)
}

func TestAppAsHandlerOfAnotherServer(t *testing.T) {
	start := map[string]func(http.Handler) *httptest.Server{"plain": httptest.NewServer, "TLS": httptest.NewTLSServer}
	for name, start := range start {
		t.Run(name, func(t *testing.T) {
			app := stopped(t, web(engine.Options{Loops: 2}))
			app.WS("/own", engine.Behavior{Message: echo})
			mux := http.NewServeMux()
			mux.Handle("/", app)
			mux.Handle("/sub/", http.StripPrefix("/sub", app))
			mux.HandleFunc("/own", func(w http.ResponseWriter, r *http.Request) {
				if err := app.Upgrade(w, r); err != nil {
					http.Error(w, err.Error(), http.StatusTeapot)
				}
			})
			server := start(mux)
			t.Cleanup(server.Close)
			base := strings.Replace(server.URL, "http", "ws", 1)
			for _, path := range []string{"/ws", "/own", "/sub/ws", "/sub/ws?q=1"} {
				c := dialAny(t, base+path)
				for _, msg := range []string{"hi", "", strings.Repeat("x", 10000)} {
					c.text(msg)
					c.wantText(msg)
				}
				c.raw(sent(ws.OpClose, "\x03\xe8"))
				c.wantClose(1000, "")
			}
			resp, err := server.Client().Post(server.URL+"/body", "text/plain", strings.NewReader("abc"))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if string(body) != "POST abc <nil>" || err != nil {
				t.Errorf("got %q, %v", body, err)
			}
			nc, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if name == "TLS" {
				nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
			}
			c := wrap(t, nc)
			c.raw(upgradeHead("/manual", "Authorization: let me") + sent(ws.OpText, "early"))
			c.wantStatus(101)
			c.wantText("early")
		})
	}
}

func TestHandOversLeakNothing(t *testing.T) {
	app := web(engine.Options{Loops: 2})
	addr := serve(t, app)
	other := httptest.NewServer(app)
	t.Cleanup(other.Close)
	round := func() {
		c := knock(t, addr, request("POST", "/body", "x"))
		c.wantStatus(200)
		c.raw(request("GET", "/none", ""))
		c.wantStatus(404)
		c.raw(upgradeHead("/ws") + sent(ws.OpText, "hi"))
		c.wantStatus(101)
		c.wantText("hi")
		_ = c.Close()

		c = knock(t, addr, upgradeHead("/manual", "Authorization: let me"))
		c.wantStatus(101)
		c.raw(sent(ws.OpClose, "\x03\xe8"))
		c.wantClose(1000, "")
		_ = c.Close()

		c = knock(t, other.Listener.Addr().String(), upgradeHead("/ws")+sent(ws.OpText, "hi"))
		c.wantStatus(101)
		c.wantText("hi")
		_ = c.Close()

		for _, bytes := range []string{"", "G", "POST", "POST / HTTP/1.1\r\n", "GET / HTTP/1.1\r\n", request("POST", "/body", "abc")} {
			_ = knock(t, addr, bytes).Close() // leaves at once
		}
	}
	round() // what is opened once and for all
	idle := func() bool {
		s := app.Stats()
		return s.Sockets == 0 && s.Connections == 0
	}
	testkit.Eventually(t, idle, patience)
	goroutines, fds := testkit.GoroutinesAndFDs()
	for range 30 {
		round()
	}
	testkit.Eventually(t, func() bool {
		g, f := testkit.GoroutinesAndFDs()
		return idle() && g <= goroutines && f <= fds
	}, patience)
	testkit.Eventually(t, func() bool { return app.Leftovers() == "" }, patience)
}

func TestHTTPConnectionsEndWithShutdown(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan struct{}, 1)
	app := web(engine.Options{Loops: 1})
	app.Handle("/slow", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "done")
	}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Serve(l) }()
	idle := knock(t, l.Addr().String(), request("POST", "/body", "x"))
	idle.wantStatus(200)
	busy := knock(t, l.Addr().String(), request("POST", "/slow", ""))
	receive(t, entered)
	over := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
		defer cancel()
		over <- app.Shutdown(ctx)
	}()
	if err := receive(t, served); err != engine.ErrShutdown {
		t.Errorf("Serve: %v", err)
	}
	idle.wantEOF()
	select {
	case err := <-over:
		t.Fatalf("Shutdown did not wait for the handler: %v", err)
	default:
	}
	close(release)
	if status, _, body := busy.response(); status != 200 || body != "done" {
		t.Errorf("got %d %q", status, body)
	}
	if err := receive(t, over); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
