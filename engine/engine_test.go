package engine_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

const patience = 20 * time.Second

// serve starts an app on a free port and shuts it down with the test.
func serve(t testing.TB, app *engine.App) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	done := make(chan error, 1)
	go func() { done <- app.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := app.Shutdown(ctx); err != nil && err != context.DeadlineExceeded {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-done; err != engine.ErrShutdown {
			t.Errorf("Serve: %v", err)
		}
	})
	return addr
}

// snapshot is Stats to which every loop has answered: on a busy machine one may not in
// time, and is told with the counters of before.
func snapshot(t testing.TB, app *engine.App) (s engine.Stats) {
	t.Helper()
	testkit.Eventually(t, func() bool { s = app.Stats(); return !s.Stale }, patience)
	return s
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// client is a WebSocket client that fails its test instead of returning errors.
type client struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func dial(t testing.TB, addr, path string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	nc, r, _, err := ws.Dialer{}.Dial(ctx, "ws://"+addr+path)
	if err != nil {
		t.Fatalf("dial %s: %v", path, err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if r == nil {
		r = bufio.NewReader(nc)
	}
	_ = nc.SetDeadline(time.Now().Add(4 * patience))
	return &client{nc, t, r}
}

func (c *client) send(op ws.OpCode, msg string) {
	c.t.Helper()
	if err := wsutil.WriteClientMessage(c.Conn, op, []byte(msg)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) text(msg string) { c.t.Helper(); c.send(ws.OpText, msg) }

// frame reads the next frame whole.
func (c *client) frame() ws.Frame {
	c.t.Helper()
	h, err := ws.ReadHeader(c.r)
	if err != nil {
		c.t.Fatal(err)
	}
	p := make([]byte, h.Length)
	if _, err := io.ReadFull(c.r, p); err != nil {
		c.t.Fatal(err)
	}
	return ws.Frame{Header: h, Payload: p}
}

func (c *client) want(op ws.OpCode, msg string) {
	c.t.Helper()
	f := c.frame()
	if f.Header.OpCode != op || string(f.Payload) != msg {
		c.t.Fatalf("got opcode %d %.60q, want opcode %d %.60q", f.Header.OpCode, f.Payload, op, msg)
	}
}

func (c *client) wantText(msg string) { c.t.Helper(); c.want(ws.OpText, msg) }

// wantClose reads a Close frame and the end of the stream.
func (c *client) wantClose(code ws.StatusCode, reason string) {
	c.t.Helper()
	f := c.frame()
	got, text := ws.ParseCloseFrameData(f.Payload)
	if f.Header.OpCode != ws.OpClose || got != code || text != reason {
		c.t.Fatalf("got opcode %d, code %d %q, want close %d %q", f.Header.OpCode, got, text, code, reason)
	}
	c.wantEOF()
}

func (c *client) wantEOF() {
	c.t.Helper()
	if _, err := c.r.ReadByte(); err != io.EOF {
		c.t.Fatalf("got %v, want the end of the stream", err)
	}
}

func echo(ws *engine.Conn, msg []byte, op engine.OpCode) { ws.Send(msg, op) }

func TestEcho(t *testing.T) {
	app := engine.New(engine.Options{}).WS("/*", engine.Behavior{Message: echo})
	addr := serve(t, app)
	c := dial(t, addr, "/")
	c.text("hello")
	c.wantText("hello")
	c.send(ws.OpBinary, "\x00\x01")
	c.want(ws.OpBinary, "\x00\x01")
	big := string(make([]byte, 16<<10))
	c.send(ws.OpBinary, big)
	c.want(ws.OpBinary, big)
	if _, err := c.Write(ws.MustCompileFrame(ws.MaskFrame(ws.NewPingFrame([]byte("p"))))); err != nil {
		t.Fatal(err)
	}
	c.want(ws.OpPong, "p")
	if _, err := c.Write(ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye"))))); err != nil {
		t.Fatal(err)
	}
	c.wantClose(1000, "")
}
