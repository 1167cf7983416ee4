package main

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

// gorillaConn adds the lock that the library asks of several writers.
type gorillaConn struct {
	*websocket.Conn
	mu sync.Mutex
}

// serveGorilla uses small buffers, a shared pool of write buffers, and
// prepared messages, so that a publication is encoded once.
func serveGorilla(ctx context.Context, ln net.Listener, deflate bool) error {
	up := websocket.Upgrader{
		ReadBufferSize:    1024,
		WriteBufferSize:   1024,
		WriteBufferPool:   &sync.Pool{},
		EnableCompression: deflate,
		CheckOrigin:       func(*http.Request) bool { return true },
	}
	var all topics[*gorillaConn]
	return serveHTTP(ctx, ln, func(w http.ResponseWriter, r *http.Request) {
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		ws.SetReadLimit(maxMessage)
		c := &gorillaConn{Conn: ws}
		name, ok := topicOf(r.URL.Path)
		if !ok {
			c.echo()
			return
		}
		t := all.join(name, c)
		defer t.leave(c)
		c.publish(t)
	})
}

func (c *gorillaConn) echo() {
	for {
		op, msg, err := c.ReadMessage()
		if err != nil || c.WriteMessage(op, msg) != nil {
			return
		}
	}
}

func (c *gorillaConn) publish(t *topic[*gorillaConn]) {
	for {
		op, msg, err := c.ReadMessage()
		if err != nil {
			return
		}
		prepared, err := websocket.NewPreparedMessage(op, msg)
		if err != nil {
			return
		}
		for _, other := range t.all() {
			if other != c {
				other.mu.Lock()
				_ = other.WritePreparedMessage(prepared)
				other.mu.Unlock()
			}
		}
	}
}
