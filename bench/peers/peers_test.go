package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

const testDeadline = 10 * time.Second

// startPeer serves one library on a free port until the test ends.
func startPeer(t *testing.T, serve serveFunc, deflate bool) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, ln, deflate) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// message is what a client has received.
type message struct {
	op   int
	data []byte
}

// client reads into a channel, so that a test can wait with a deadline.
type client struct {
	*websocket.Conn
	in chan message // closed when the connection ends
}

func dial(t *testing.T, addr, path string, deflate bool) *client {
	t.Helper()
	d := websocket.Dialer{EnableCompression: deflate, HandshakeTimeout: testDeadline}
	conn, resp, err := d.Dial("ws://"+addr+path, nil)
	if err != nil {
		t.Fatalf("dial %s: %v", path, err)
	}
	if negotiated := resp.Header.Get("Sec-WebSocket-Extensions") != ""; negotiated != deflate {
		t.Errorf("deflate negotiated = %v, want %v", negotiated, deflate)
	}
	c := &client{Conn: conn, in: make(chan message, 1024)}
	go func() {
		defer close(c.in)
		for {
			op, data, err := conn.ReadMessage()
			if err != nil {
				return
			}
			c.in <- message{op, data}
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		for range c.in { // until the reader has ended
		}
	})
	return c
}

func (c *client) send(t *testing.T, op int, data []byte) {
	t.Helper()
	if err := c.WriteMessage(op, data); err != nil {
		t.Fatal(err)
	}
}

func (c *client) expect(t *testing.T, op int, want []byte) {
	t.Helper()
	select {
	case got, ok := <-c.in:
		if !ok {
			t.Fatal("connection ended")
		}
		if got.op != op || !bytes.Equal(got.data, want) {
			t.Fatalf("got opcode %d, %.20q (%d bytes), want opcode %d, %.20q (%d bytes)",
				got.op, got.data, len(got.data), op, want, len(want))
		}
	case <-time.After(testDeadline):
		t.Fatal("no message")
	}
}

// subscribed returns when all of cs are subscribed: some servers answer the
// handshake first. The first client probes until every other one has heard
// it, and a last word marks the end of the probes.
func subscribed(t *testing.T, first *client, others ...*client) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(testDeadline)
	for _, c := range others {
		for heard := false; !heard; {
			first.send(t, websocket.TextMessage, []byte("probe"))
			select {
			case _, heard = <-c.in:
			case <-tick.C:
			case <-deadline:
				t.Fatal("no subscription")
			}
		}
	}
	first.send(t, websocket.TextMessage, []byte("ready"))
	for _, c := range others {
		for string((<-c.in).data) == "probe" {
		}
	}
}

func eachServer(t *testing.T, test func(t *testing.T, addr string, deflate bool)) {
	for name, serve := range servers {
		if raceDetector && strings.HasPrefix(name, "nbio") {
			continue // nbio v1.6.8 hands an accepted connection over without synchronisation
		}
		for _, deflate := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/deflate=%v", name, deflate), func(t *testing.T) {
				test(t, startPeer(t, serve, deflate), deflate)
			})
		}
	}
}

func TestEcho(t *testing.T) {
	eachServer(t, func(t *testing.T, addr string, deflate bool) {
		c := dial(t, addr, "/any/path", deflate)
		for _, size := range []int{2, 20, 512, 16 << 10} {
			for _, op := range []int{websocket.TextMessage, websocket.BinaryMessage} {
				data := bytes.Repeat([]byte("ab"), size/2)
				c.send(t, op, data)
				c.expect(t, op, data)
			}
		}
	})
}

// TestPublish checks that a message reaches each subscriber of its topic but
// the sender, once, and no other topic: what follows on every connection is
// the next message, not an echo or a copy.
func TestPublish(t *testing.T) {
	eachServer(t, func(t *testing.T, addr string, deflate bool) {
		a, b, c := dial(t, addr, "/topics/x", deflate), dial(t, addr, "/topics/x", deflate), dial(t, addr, "/topics/x", deflate)
		y, z := dial(t, addr, "/topics/y", deflate), dial(t, addr, "/topics/y", deflate)
		subscribed(t, a, b, c)
		subscribed(t, y, z)

		text := bytes.Repeat([]byte("text "), 100)
		a.send(t, websocket.TextMessage, text)
		b.expect(t, websocket.TextMessage, text)
		c.expect(t, websocket.TextMessage, text)

		data := []byte{0, 1, 2, 0xff}
		b.send(t, websocket.BinaryMessage, data)
		a.expect(t, websocket.BinaryMessage, data)
		c.expect(t, websocket.BinaryMessage, data)

		z.send(t, websocket.TextMessage, []byte("next"))
		y.expect(t, websocket.TextMessage, []byte("next"))
		a.send(t, websocket.TextMessage, []byte("next"))
		b.expect(t, websocket.TextMessage, []byte("next"))
		c.expect(t, websocket.TextMessage, []byte("next"))
	})
}

func TestUnknownServer(t *testing.T) {
	if err := run(t.Context(), "none", "127.0.0.1:0", false); err == nil {
		t.Error("an unknown name was accepted")
	}
}
