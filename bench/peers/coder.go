package main

import (
	"context"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// serveCoder uses the library's plain Read and Write.
func serveCoder(ctx context.Context, ln net.Listener, deflate bool) error {
	opts := &websocket.AcceptOptions{
		InsecureSkipVerify:   true, // any origin
		CompressionMode:      websocket.CompressionDisabled,
		CompressionThreshold: deflateThreshold,
	}
	if deflate {
		opts.CompressionMode = websocket.CompressionNoContextTakeover
	}
	var all topics[*websocket.Conn]
	return serveHTTP(ctx, ln, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, opts)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(maxMessage)
		name, ok := topicOf(r.URL.Path)
		if !ok {
			coderEcho(ctx, c)
			return
		}
		t := all.join(name, c)
		defer t.leave(c)
		coderPublish(ctx, c, t)
	})
}

func coderEcho(ctx context.Context, c *websocket.Conn) {
	for {
		op, msg, err := c.Read(ctx)
		if err != nil || c.Write(ctx, op, msg) != nil {
			return
		}
	}
}

func coderPublish(ctx context.Context, c *websocket.Conn, t *topic[*websocket.Conn]) {
	for {
		op, msg, err := c.Read(ctx)
		if err != nil {
			return
		}
		for _, other := range t.all() {
			if other != c {
				_ = other.Write(ctx, op, msg)
			}
		}
	}
}
