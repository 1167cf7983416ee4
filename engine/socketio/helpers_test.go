package socketio_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/socketio"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// patience is how long a test waits for what has to come.
const patience = 30 * time.Second

// quiet swallows what a server logs.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// server is one that tests talk to.
type server struct {
	*socketio.Server
	addr string
}

// serve starts a server on two loops. setup registers handlers.
func serve(t testing.TB, opts socketio.Options, setup func(io *socketio.Server)) *server {
	t.Helper()
	opts.Logger = quiet()
	if opts.Engine.PingInterval == 0 {
		opts.Engine.PingInterval = time.Hour // no client answers, and a slow machine takes its time
	}
	srv := socketio.New(opts)
	if setup != nil {
		setup(srv)
	}
	app := engine.New(engine.Options{Loops: 2, Logger: quiet()}).Mount("/socket.io/", srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- app.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := app.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-done; !errors.Is(err, engine.ErrShutdown) {
			t.Errorf("Serve: %v", err)
		}
	})
	return &server{srv, l.Addr().String()}
}

// eachMode runs a test with handlers on goroutines and on the loop.
func eachMode(t *testing.T, test func(t *testing.T, opts socketio.Options)) {
	for name, inline := range map[string]bool{"default": false, "inline": true} {
		t.Run(name, func(t *testing.T) { test(t, socketio.Options{Inline: inline}) })
	}
}

// client is a WebSocket that speaks the protocol by hand.
type client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

// dial opens a session of revision 4 and reads its open packet.
func (s *server) dial(t testing.TB) *client { return s.dialAs(t, "EIO=4") }

// dialAs is dial with another query.
func (s *server) dialAs(t testing.TB, query string) *client {
	t.Helper()
	conn, br, _, err := ws.Dial(context.Background(), "ws://"+s.addr+"/socket.io/?transport=websocket&"+query)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &client{t: t, conn: conn, r: br}
	if c.r == nil {
		c.r = bufio.NewReader(conn)
	}
	if got := c.next(); !strings.HasPrefix(got, "0{") {
		t.Fatalf("the open packet is %q", got)
	}
	return c
}

// connect opens a session that is in "/".
func (s *server) connect(t testing.TB) *client {
	t.Helper()
	c := s.dial(t)
	c.join("40")
	return c
}

// join sends a CONNECT packet and returns the socket's id.
func (c *client) join(packet string) (sid string) {
	c.t.Helper()
	c.send(packet)
	return c.joined()
}

// joined reads the answer to a CONNECT packet.
func (c *client) joined() (sid string) {
	c.t.Helper()
	got := c.next()
	var answer struct{ SID string }
	if i := strings.IndexByte(got, '{'); !strings.HasPrefix(got, "40") || i < 0 || json.Unmarshal([]byte(got[i:]), &answer) != nil {
		c.t.Fatalf("the answer to CONNECT is %q", got)
	}
	return answer.SID
}

// send sends text messages.
func (c *client) send(packets ...string) {
	c.t.Helper()
	for _, p := range packets {
		if err := wsutil.WriteClientText(c.conn, []byte(p)); err != nil {
			c.t.Fatalf("sending %q: %v", p, err)
		}
	}
}

// textFrame is a text message of a client.
func textFrame(text string) []byte {
	return ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(text))))
}

// sendBinary sends a binary message.
func (c *client) sendBinary(data []byte) {
	c.t.Helper()
	if err := wsutil.WriteClientBinary(c.conn, data); err != nil {
		c.t.Fatal(err)
	}
}

// frame reads a frame.
func (c *client) frame() (ws.OpCode, string, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	h, err := ws.ReadHeader(c.r)
	if err != nil {
		return 0, "", err
	}
	data := make([]byte, h.Length)
	_, err = io.ReadFull(c.r, data)
	return h.OpCode, string(data), err
}

// next reads a message.
func (c *client) next() string {
	c.t.Helper()
	op, data, err := c.frame()
	if err != nil || op != ws.OpText && op != ws.OpBinary {
		c.t.Fatalf("no message but %v %q, %v", op, data, err)
	}
	return data
}

// expect reads messages.
func (c *client) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.next(); got != w {
			c.t.Fatalf("got %q, want %q", got, w)
		}
	}
}

// expectClose reads an empty close frame and the end.
func (c *client) expectClose() {
	c.t.Helper()
	op, data, err := c.frame()
	if err != nil || op != ws.OpClose || data != "" {
		c.t.Fatalf("no empty close frame but %v %q, %v", op, data, err)
	}
	_ = ws.WriteFrame(c.conn, ws.MaskFrameInPlace(ws.NewCloseFrame(nil)))
	if _, _, err := c.frame(); err == nil {
		c.t.Fatal("the connection goes on behind the close frame")
	}
}

// alive has an event acknowledged by a handler "ping" that answers "pong".
func (c *client) alive() {
	c.t.Helper()
	c.send(`4299["ping"]`)
	c.expect(`4399["pong"]`)
}

// pong sets that handler.
func pong(io *socketio.Server) {
	io.On("ping", func(e *socketio.Event) { _ = e.Ack("pong") })
}

// journal collects what happened, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

func newJournal() *journal { return &journal{more: make(chan struct{}, 1)} }

func (j *journal) add(line string) {
	j.mu.Lock()
	j.lines = append(j.lines, line)
	j.mu.Unlock()
	select {
	case j.more <- struct{}{}:
	default:
	}
}

// expect waits for exactly these lines.
func (j *journal) expect(t testing.TB, want ...string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		j.mu.Lock()
		lines := j.lines
		j.mu.Unlock()
		if len(lines) >= len(want) {
			if got, want := strings.Join(lines, "\n"), strings.Join(want, "\n"); got != want {
				t.Fatalf("it happened:\n%s\nwanted:\n%s", got, want)
			}
			return
		}
		select {
		case <-j.more:
		case <-timeout:
			t.Fatalf("it happened:\n%s\nwanted:\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
		}
	}
}

// wait receives from a channel.
func wait[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, cond func() bool) {
	t.Helper()
	testkit.Eventually(t, cond, patience)
}
