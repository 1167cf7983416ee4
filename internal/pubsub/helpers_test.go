package pubsub_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/pubsub"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

func TestMain(m *testing.M) { os.Exit(testkit.CheckLeaks(m)) }

// patience is how long something that must happen may take on a busy machine.
const patience = 30 * time.Second

// node is a server of the protocol at "/", and one of bare topics.
type node struct {
	t      testing.TB
	app    *engine.App
	server *pubsub.Server
	addr   string
	died   bool // its broker was closed
}

// start serves. Connections are accounts by the query of the handshake: ?user=.
func start(t testing.TB, b broker.Topics, configure func(*pubsub.Options)) *node {
	t.Helper()
	n := &node{t: t}
	n.app = engine.New(engine.Options{Loops: 2, Broker: b, Gap: func(topic string, g broker.Gap) { n.server.Gap(topic, g) }})
	opts := pubsub.Options{
		App:      n.app,
		Server:   "node",
		ClientOf: func(c *engine.Conn) *pubsub.Client { return c.UserData().(*pubsub.Client) },
	}
	if configure != nil {
		configure(&opts)
	}
	var err error
	if n.server, err = pubsub.New(opts); err != nil {
		t.Fatal(err)
	}
	behavior := n.server.Behavior(engine.Behavior{})
	behavior.Upgrade = func(u *engine.Handshake) {
		account := pubsub.Account{User: u.Query("user")}
		if account.User != "" {
			account.Subscribe = func(topic string) bool { return !strings.HasPrefix(topic, "secret/") }
		}
		if account.User == "eve" {
			account.Publish = func(topic string) bool { return strings.HasPrefix(topic, account.User) }
		}
		_ = u.Accept(engine.Accept{UserData: n.server.NewClient(account), Subprotocol: pubsub.Protocol})
	}
	n.app.WS("/", behavior)
	n.app.WS("/bare/{topic...}", engine.Behavior{
		Upgrade: func(u *engine.Handshake) { _ = u.Accept(engine.Accept{UserData: u.Param("topic")}) },
		Open:    func(c *engine.Conn) { c.Subscribe(c.UserData().(string)) },
		Message: func(c *engine.Conn, msg []byte, op engine.OpCode) {
			if err := c.Publish(c.UserData().(string), msg, op); err != nil {
				t.Error(err)
			}
		},
	})
	small := net.ListenConfig{Control: smallBuffer} // who does not read is soon a slow reader
	l, err := small.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- n.app.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := n.app.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		<-served
		if err := n.server.Close(ctx); err != nil && !n.died {
			t.Error(err)
		}
	})
	testkit.Eventually(t, func() bool { return len(n.app.Loops()) > 0 }, patience)
	return n
}

// smallBuffer has the system buffer little for each connection of a listener.
func smallBuffer(_, _ string, c syscall.RawConn) (err error) {
	if e := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 128<<10) }); e != nil {
		return e
	}
	return err
}

// client is a connection.
type client struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func (n *node) dial(path string) *client {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	dialer := ws.Dialer{Protocols: []string{pubsub.Protocol}}
	conn, early, _, err := dialer.Dial(ctx, "ws://"+n.addr+path)
	if err != nil {
		n.t.Fatal(err)
	}
	c := &client{t: n.t, conn: conn, in: bufio.NewReader(conn)}
	if early != nil {
		c.in = early
	}
	n.t.Cleanup(func() { conn.Close() })
	return c
}

// connect dials and takes the hello.
func (n *node) connect(path string) *client {
	n.t.Helper()
	c := n.dial(path)
	if m := c.next(); m["op"] != "hello" || m["v"] != 1.0 || m["server"] != "node" {
		n.t.Fatalf("hello: %v", m)
	}
	return c
}

func (c *client) send(format string, args ...any) {
	c.t.Helper()
	if err := wsutil.WriteClientText(c.conn, fmt.Appendf(nil, format, args...)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) sendRaw(b []byte) {
	c.t.Helper()
	if err := wsutil.WriteClientText(c.conn, b); err != nil {
		c.t.Fatal(err)
	}
}

// text is the next message.
func (c *client) text() string {
	c.t.Helper()
	s, err := c.read()
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

func (c *client) read() (string, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		h, err := ws.ReadHeader(c.in)
		if err != nil {
			return "", err
		}
		payload := make([]byte, min(h.Length, 1<<20))
		if _, err := io.ReadFull(c.in, payload); err != nil {
			return "", err
		}
		switch h.OpCode {
		case ws.OpText, ws.OpBinary:
			return string(payload), nil
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			return "", fmt.Errorf("closed with %d %s", code, reason)
		}
	}
}

func (c *client) next() map[string]any {
	c.t.Helper()
	var m map[string]any
	text := c.text()
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		c.t.Fatalf("%q: %v", text, err)
	}
	return m
}

// expect compares the next message with want, in which * stands for any string.
func (c *client) expect(want string) map[string]any {
	c.t.Helper()
	got := c.text()
	if !matches(got, want) {
		c.t.Fatalf("got  %s\nwant %s", got, want)
	}
	var m map[string]any
	_ = json.Unmarshal([]byte(got), &m)
	return m
}

func matches(got, want string) bool {
	parts := strings.Split(want, "*")
	if !strings.HasPrefix(got, parts[0]) {
		return false
	}
	got = got[len(parts[0]):]
	for _, p := range parts[1:] {
		i := strings.Index(got, p)
		if i < 0 {
			return false
		}
		if p == "" {
			i = len(got)
		}
		got = got[i+len(p):]
	}
	return got == ""
}
