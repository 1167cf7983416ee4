package redis

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// maxHello bounds the answer to HELLO, in bytes, as far as it is looked at.
const maxHello = 512

// linkConn is a connection of the link, which is given up when it ends: by whom
// that was, the server or something in between, can't be seen from here.
type linkConn struct {
	net.Conn
	addr    string
	givenUp *givenUp

	hello []byte // what was read until the id is known; the reader's
	heard bool   // the id is known, or will not be; the reader's

	mu    sync.Mutex
	id    string    // mu; what the server calls it; "": not known, or given up
	since time.Time // mu; when that was heard
}

// dial connects to a server, for the link: what was given up before can't reach it
// any more then.
func (k *link) dial(ctx context.Context, addr string, d *net.Dialer, config *tls.Config) (net.Conn, error) {
	c, err := k.b.dial(ctx, addr, d, config)
	if err != nil {
		return nil, err
	}
	if err := k.givenUp.end(ctx, addr); err != nil {
		c.Close()
		return nil, &dialError{addr: addr, err: err}
	}
	return &linkConn{Conn: c, addr: addr, givenUp: k.givenUp}, nil
}

// Read implements net.Conn.
func (c *linkConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.heard {
		c.hear(p[:n])
	}
	if err != nil {
		c.giveUp() // before anybody who is told of it connects again
	}
	return n, err
}

// Write implements net.Conn.
func (c *linkConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		c.giveUp()
	}
	return n, err
}

// hear looks for the id in the answer to HELLO, which is the first that a client gets.
func (c *linkConn) hear(b []byte) {
	c.hello = append(c.hello, b...)
	id, known := helloID(c.hello)
	if !known && len(c.hello) < maxHello {
		return
	}
	c.heard, c.hello = true, nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.id, c.since = id, time.Now()
	if known {
		c.givenUp.use(c.addr, id, c.since)
	}
}

// helloID is the id in an answer to HELLO 3.
func helloID(answer []byte) (id string, known bool) {
	_, rest, _ := bytes.Cut(answer, []byte("\r\n$2\r\nid\r\n:"))
	digits, _, whole := bytes.Cut(rest, []byte("\r\n"))
	return string(digits), whole
}

// Close implements net.Conn.
func (c *linkConn) Close() error {
	c.giveUp()
	return c.Conn.Close()
}

// giveUp notes that nobody waits for its answers any more.
func (c *linkConn) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.id != "" {
		c.givenUp.add(c.addr, c.id, c.since)
	}
	c.id = ""
}
