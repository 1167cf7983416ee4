package main

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// socketIO is a client that is connected to the main namespace.
type socketIO struct{ *websocket.Conn }

func dial(t *testing.T, addr string) socketIO {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+addr+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c := socketIO{conn}
	c.expect(t, "0{")
	c.send(t, "40")
	c.expect(t, `40{"sid":`)
	return c
}

func (c socketIO) send(t *testing.T, packet string) {
	t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(packet)); err != nil {
		t.Fatal(err)
	}
}

func (c socketIO) expect(t *testing.T, prefix string) {
	t.Helper()
	_, got, err := c.ReadMessage()
	if err != nil || !strings.HasPrefix(string(got), prefix) {
		t.Fatalf("got %q, %v, want %q", got, err, prefix)
	}
}

func TestServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	a, b := dial(t, ln.Addr().String()), dial(t, ln.Addr().String())
	for _, c := range []socketIO{a, b} { // one at a time, so that both are in the room afterwards
		c.send(t, `42["m","echo",1]`)
		c.expect(t, `42["m","echo",1]`)
	}
	a.send(t, `42["b","room"]`)
	a.expect(t, `42["m","room"]`)
	b.expect(t, `42["m","room"]`)
}
