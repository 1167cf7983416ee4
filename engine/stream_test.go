package engine_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// certificate is a fresh one for the loopback interface that nobody signed.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serveOn is serve for any listener.
func serveOn(t testing.TB, app *engine.App, l net.Listener) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- app.Serve(l) }()
	stopped(t, app)
	t.Cleanup(func() { // runs before Shutdown
		select {
		case err := <-done:
			t.Errorf("Serve ended early: %v", err)
		default:
		}
	})
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// streams calls fn for each kind of goroutine transport, with an App of two
// loops and a function that connects to it.
func streams(t *testing.T, b engine.Behavior, fn func(t *testing.T, app *engine.App, connect func() *client)) {
	t.Run("TLS", func(t *testing.T) {
		app := engine.New(engine.Options{Loops: 2, Logger: quiet()}).WS("/*", b)
		l := listen(t)
		serveOn(t, app, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}))
		fn(t, app, func() *client { return dialAny(t, "wss://"+l.Addr().String()+"/") })
	})
	t.Run("pipe", func(t *testing.T) {
		app := stopped(t, engine.New(engine.Options{Loops: 2, Logger: quiet()}).WS("/*", b))
		fn(t, app, func() *client { return dialPipe(t, app) })
	})
}

// dialPipe opens a WebSocket through a pipe.
func dialPipe(t testing.TB, app *engine.App) *client {
	t.Helper()
	near, far := net.Pipe()
	if err := app.ServeConn(far); err != nil {
		t.Fatal(err)
	}
	c := wrap(t, near)
	c.raw(upgradeHead("/"))
	c.wantStatus(101)
	return c
}

// wantReleased waits until an App holds nothing of its connections.
func wantReleased(t *testing.T, app *engine.App) {
	t.Helper()
	testkit.Eventually(t, func() bool {
		s := app.Stats()
		return s.Sockets == 0 && s.Connections == 0 && app.Leftovers() == ""
	}, 2*patience)
}

func TestStreamEchoesAllSizes(t *testing.T) {
	b := engine.Behavior{Message: echo, MaxPayload: 1 << 20}
	streams(t, b, func(t *testing.T, app *engine.App, connect func() *client) {
		c := connect()
		for _, n := range []int{0, 1, 125, 126, 127, 4096, 16 << 10, 65535, 65536, 65537, 130 << 10, 1 << 20} {
			msg := strings.Repeat("0123456789abcdef", n/16+1)[:n]
			c.text(msg)
			c.wantText(msg)
			c.send(ws.OpBinary, msg)
			c.want(ws.OpBinary, msg)
		}
		written := make(chan struct{})
		go func() {
			defer close(written)
			// Refused by its header, so not all of it may get through.
			_, _ = io.WriteString(c.Conn, sent(ws.OpBinary, strings.Repeat("x", 1<<20+1)))
		}()
		c.wantClose(1009, "message too big")
		_ = c.Close()
		<-written
		wantReleased(t, app)
	})
}

func TestStreamsOfManyClients(t *testing.T) {
	streams(t, engine.Behavior{Message: echo}, func(t *testing.T, app *engine.App, connect func() *client) {
		var clients []*client
		for range 20 {
			clients = append(clients, connect())
		}
		var busy sync.WaitGroup
		for i, c := range clients {
			busy.Go(func() {
				for n := range 50 {
					msg := fmt.Sprint(i, "/", n, strings.Repeat(".", 40*n))
					c.text(msg)
					if f := c.frame(); string(f.Payload) != msg {
						t.Errorf("client %d got %.40q, want %.40q", i, f.Payload, msg)
						return
					}
				}
				_ = c.Close()
			})
		}
		busy.Wait()
		wantReleased(t, app)
	})
}

func TestStreamSlowReader(t *testing.T) {
	const messages, size = 100, 32 << 10
	type said struct {
		slow     int
		buffered int
	}
	results, drained := make(chan said, 1), make(chan int, 10)
	b := engine.Behavior{
		MaxBackpressure: -1,
		Message: func(c *engine.Conn, _ []byte, op engine.OpCode) {
			var r said
			msg := make([]byte, size)
			for i := range messages {
				copy(msg, fmt.Sprintf("%3d", i))
				switch c.Send(msg, op) {
				case engine.Backpressure:
					r.slow++
				case engine.Dropped:
					t.Error("a message was dropped")
				}
			}
			r.buffered = c.BufferedAmount()
			results <- r
		},
		Drain: func(c *engine.Conn) { drained <- c.BufferedAmount() },
	}
	streams(t, b, func(t *testing.T, app *engine.App, connect func() *client) {
		c := connect()
		c.text("flood")
		r := receive(t, results)
		if r.slow < messages/2 || r.buffered < messages*size/2 {
			t.Errorf("%d sends met backpressure, %d bytes wait", r.slow, r.buffered)
		}
		if len(drained) != 0 {
			t.Error("Drain before anything was read")
		}
		for i := range messages {
			if p := c.frame().Payload; len(p) != size || string(p[:3]) != fmt.Sprintf("%3d", i) {
				t.Fatalf("message %d: %d bytes, %.3q", i, len(p), p)
			}
		}
		if n := receive(t, drained); n != 0 {
			t.Errorf("%d bytes wait at Drain", n)
		}
		c.text("again")
		receive(t, results)
		_ = c.Close() // with all of it unread
		wantReleased(t, app)
	})
}

func TestStreamSlowReaderIsDropped(t *testing.T) {
	dropped := make(chan int, 100)
	b := engine.Behavior{
		Message: func(c *engine.Conn, _ []byte, op engine.OpCode) {
			for range 100 {
				c.Send(make([]byte, 16<<10), op)
			}
		},
		Dropped: func(_ *engine.Conn, messages, _ int) { dropped <- messages },
	}
	streams(t, b, func(t *testing.T, _ *engine.App, connect func() *client) {
		c := connect()
		c.text("flood")
		lost := receive(t, dropped)
		if lost < 50 {
			t.Errorf("%d messages were dropped", lost)
		}
		for range 100 - lost {
			if n := len(c.frame().Payload); n != 16<<10 {
				t.Fatalf("a message of %d bytes", n)
			}
		}
		_ = c.Close()
	})
}

func TestStreamCloseHandshake(t *testing.T) {
	closed := make(chan string, 1)
	b := engine.Behavior{
		Message: func(c *engine.Conn, msg []byte, op engine.OpCode) {
			c.Send([]byte("last"), op)
			switch string(msg) {
			case "close":
				c.Close(4001, "enough")
				if c.Send([]byte("late"), op) != engine.Dropped {
					t.Error("a send after Close was not dropped")
				}
			case "terminate":
				c.Terminate()
			}
		},
		Close: func(_ *engine.Conn, code engine.StatusCode, reason string) { closed <- fmt.Sprint(code, " ", reason) },
	}
	streams(t, b, func(t *testing.T, app *engine.App, connect func() *client) {
		wantClosed := func(want string) {
			t.Helper()
			if got := receive(t, closed); got != want {
				t.Errorf("Close was told %q, want %q", got, want)
			}
		}
		c := connect()
		c.raw(sent(ws.OpClose, "\x0f\xa0bye"))
		c.wantClose(4000, "")
		wantClosed("4000 bye")

		c = connect()
		c.text("close")
		c.wantText("last")
		f := c.frame()
		if code, reason := ws.ParseCloseFrameData(f.Payload); f.Header.OpCode != ws.OpClose || code != 4001 || reason != "enough" {
			t.Errorf("got opcode %d, %d %q", f.Header.OpCode, code, reason)
		}
		c.raw(sent(ws.OpClose, "\x0f\xa1"))
		c.wantEOF()
		wantClosed("4001 enough")

		c = connect()
		c.text("terminate")
		if f, err := ws.ReadHeader(c.r); err == nil && f.OpCode == ws.OpClose {
			t.Error("Terminate sent a Close frame")
		}
		wantClosed("1006 ")

		c = connect()
		c.raw("\x81\x00")
		c.wantClose(1002, "frame from a client is not masked")
		_ = c.Close()
		wantClosed("1002 frame from a client is not masked")

		c = connect()
		_ = c.Close()
		wantClosed("1006 ")

		c = connect()
		c.raw(sent(ws.OpText, "unfinished")[:8])
		_ = c.Close()
		wantClosed("1006 ")
		wantReleased(t, app)
	})
}

func TestStreamsAndSocketsShareTopics(t *testing.T) {
	s := newScript(engine.Options{Loops: 2}, engine.Behavior{})
	addr := serve(t, s.app)
	socket := dial(t, addr, "/")
	pipe := dialPipe(t, s.app)
	for _, c := range []*client{socket, pipe} {
		c.text("sub t\nsend ready")
		c.wantText("ready")
	}
	socket.text("pub t one\napp t two\nsend three")
	pipe.wantText("one")
	pipe.wantText("two")
	socket.wantText("two")
	socket.wantText("three")
	pipe.text("pub t four\nsend five")
	pipe.wantText("five")
	socket.wantText("four")
}

func TestTLSRequestsReachTheirHandlers(t *testing.T) {
	app := web(engine.Options{Loops: 2})
	app.Handle("/tls", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.TLS != nil)
	}))
	l := listen(t)
	serveOn(t, app, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}))
	for _, chunks := range [][]string{
		{request("POST", "/body", "abc"), upgradeHead("/ws")},
		{request("POST", "/body", "abc") + upgradeHead("/ws")},
	} {
		nc, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		c := wrap(t, nc)
		for _, chunk := range chunks {
			c.raw(chunk)
		}
		if status, _, body := c.response(); status != 200 || body != "POST abc <nil>" {
			t.Errorf("got %d %q", status, body)
		}
		c.wantStatus(101)
		c.text("hi")
		c.wantText("hi")
		_ = c.Close()
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("https://" + l.Addr().String() + "/tls")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(body) != "true" || err != nil {
		t.Errorf("Request.TLS was set: %s, %v", body, err)
	}
	plain := knock(t, l.Addr().String(), upgradeHead("/ws")) // to a TLS port
	if _, err := io.Copy(io.Discard, plain.r); err != nil && !isReset(err) {
		t.Errorf("got %v, want the end", err)
	}
	transport.CloseIdleConnections()
	wantReleased(t, app)
}

func isReset(err error) bool {
	var e *net.OpError
	return errors.As(err, &e) && !e.Timeout()
}

func TestUnixListener(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	remote := make(chan bool, 1)
	app := engine.New(engine.Options{Loops: 2, Logger: quiet()}).WS("/*", engine.Behavior{
		Open:    func(c *engine.Conn) { remote <- c.RemoteAddr().IsValid() || c.LocalAddr().IsValid() },
		Message: echo,
	})
	app.Handle("/x", okHandler{})
	serveOn(t, app, l)
	for _, first := range []string{"", request("POST", "/x", "")} {
		nc, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c := wrap(t, nc)
		if first != "" {
			c.raw(first)
			c.wantStatus(200)
		}
		c.raw(upgradeHead("/") + sent(ws.OpText, "hi"))
		c.wantStatus(101)
		c.wantText("hi")
		if receive(t, remote) {
			t.Error("a Unix socket has an address and a port")
		}
	}
}

func TestServeConnMistakes(t *testing.T) {
	app := engine.New(engine.Options{Logger: quiet()}).WS("bad", engine.Behavior{})
	near, far := net.Pipe()
	if err := app.ServeConn(far); !errors.Is(err, engine.ErrPattern) {
		t.Errorf("with a mistake: %v", err)
	}
	if _, err := near.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection is still open: %v", err)
	}
	shut := engine.New(engine.Options{Logger: quiet()})
	if err := shut.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	near, far = net.Pipe()
	if err := shut.ServeConn(far); !errors.Is(err, engine.ErrShutdown) {
		t.Errorf("after Shutdown: %v", err)
	}
	if _, err := near.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection is still open: %v", err)
	}
}

// stuckConn is a connection whose last words take for ever, as TLS's may.
type stuckConn struct {
	net.Conn
	stuck, release chan struct{}
}

func (c *stuckConn) CloseWrite() error {
	close(c.stuck)
	<-c.release
	return nil
}

func TestStreamThatHangsDoesNotStallItsLoop(t *testing.T) {
	app := stopped(t, engine.New(engine.Options{Loops: 1, Logger: quiet()}).WS("/*", engine.Behavior{Message: echo}))
	near, far := net.Pipe()
	hanging := &stuckConn{far, make(chan struct{}), make(chan struct{})}
	if err := app.ServeConn(hanging); err != nil {
		t.Fatal(err)
	}
	bystander := dialPipe(t, app)
	c := wrap(t, near)
	c.raw(strings.Replace(upgradeHead("/"), "13", "8", 1))
	c.wantStatus(426)
	receive(t, hanging.stuck)
	// The loop gives the client two seconds to hang up, and then closes.
	for app.Stats().Sockets > 1 {
		bystander.text("well?")
		bystander.wantText("well?")
	}
	close(hanging.release)
	bystander.text("well?")
	bystander.wantText("well?")
}

func TestStreamsReleaseGoroutinesAndDescriptors(t *testing.T) {
	app := engine.New(engine.Options{Loops: 2, Logger: quiet()}).WS("/*", engine.Behavior{Message: echo})
	l := listen(t)
	serveOn(t, app, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}))
	round := func() {
		var clients []*client
		for range 10 {
			clients = append(clients, dialAny(t, "wss://"+l.Addr().String()+"/"), dialPipe(t, app))
		}
		for i, c := range clients {
			c.text("hi")
			if i%2 == 0 {
				c.wantText("hi")
			}
			_ = c.Close()
		}
	}
	round()
	wantReleased(t, app)
	goroutines, fds := testkit.GoroutinesAndFDs()
	for range 5 {
		round()
	}
	wantReleased(t, app)
	testkit.Eventually(t, func() bool {
		g, f := testkit.GoroutinesAndFDs()
		return g <= goroutines && f <= fds
	}, 2*patience)
}

// A listener with TLS waits for no handshake: who says nothing is cut off in time
// while others are served, and who speaks plain HTTP is told.
func TestTLSHandshakes(t *testing.T) {
	var failed, answered atomic.Int64 // handshakes, and those of plain HTTP
	app := engine.New(engine.Options{Loops: 1, Logger: quiet(), HandshakeTimeout: time.Second, Refused: func(r engine.Refusal) {
		if r.Cause != engine.RefusedTLS || !r.Remote.IsValid() || r.Text == "" {
			t.Errorf("refused: %+v", r)
		}
		failed.Add(1)
		if r.Answer == http.StatusBadRequest {
			answered.Add(1)
		}
	}}).
		WS("/*", engine.Behavior{Message: echo})
	l := listen(t)
	config := &tls.Config{Certificates: []tls.Certificate{certificate(t)}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	serveOn(t, app, tls.NewListener(l, config))
	addr := l.Addr().String()

	var silent []*client
	for i := range 50 {
		silent = append(silent, knock(t, addr, "\x16\x03\x01\x02\x00"[:i%6]))
	}
	nc, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(4 * patience))
	served := &client{nc, t, bufio.NewReader(nc)}
	t.Cleanup(func() { _ = nc.Close() })
	served.raw(upgradeHead("/"))
	served.wantStatus(http.StatusSwitchingProtocols)
	served.text("hello")
	served.wantText("hello")

	plain := knock(t, addr, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
	if status, _, body := plain.response(); status != http.StatusBadRequest || !strings.Contains(body, "TLS") {
		t.Errorf("plain HTTP: %d %q", status, body)
	}
	for _, config := range []*tls.Config{
		{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10},
		{InsecureSkipVerify: true, NextProtos: []string{"h2"}},
	} {
		if nc, err := tls.Dial("tcp", addr, config); err == nil {
			_ = nc.Close()
			t.Errorf("TLS as %+v is taken", config.NextProtos)
		}
	}
	for _, c := range silent {
		c.wantEOF()
	}
	testkit.Eventually(t, func() bool {
		return app.Stats().TLSFailed == uint64(len(silent))+3 && failed.Load() == int64(len(silent))+3 && answered.Load() == 1
	}, patience)
	served.text("still here")
	served.wantText("still here")
}
