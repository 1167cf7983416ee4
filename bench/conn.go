package bench

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/fe4bcecb/wsd/codec/frame"
)

const (
	readSize     = 4 << 10          // first receive buffer of a connection
	maxBatch     = 64 << 10         // it grows up to this while reads fill it
	writeTimeout = 10 * time.Second // a server that takes nothing for so long is broken
)

// conn is one client connection. Its read side belongs to one goroutine, its
// write side is safe from any.
type conn struct {
	nc    net.Conn
	rules *frame.Rules
	op    frame.OpCode // of what we send

	in       []byte // receive buffer; in[from:to] is not parsed yet
	from, to int
	need     int  // size of the frame that begins at from
	fresh    bool // in holds bytes that nobody has looked at
	message  frame.Message
	body     []byte // a fragmented message so far

	mu  sync.Mutex
	out []byte // frames of one write; guarded by mu

	deflate bool
	wire    int // payload bytes of data messages received, as on the wire
}

func newConn(nc net.Conn, cfg Config, early []byte) *conn {
	c := &conn{
		nc:      nc,
		rules:   &frame.Rules{Deflate: cfg.Deflate, MaxMessage: 2 * maxSize, MaxCompressed: 2 * maxSize},
		op:      pick(cfg.Binary, ws.OpBinary, ws.OpText),
		deflate: cfg.Deflate,
		in:      make([]byte, max(readSize, len(early))),
	}
	c.to = copy(c.in, early)
	c.fresh = c.to > 0
	return c
}

// write sends n messages in one write; payload returns each in turn, valid
// until the next call.
func (c *conn) write(n int, payload func(i int) []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = c.out[:0]
	for i := range n {
		p := payload(i)
		if c.deflate {
			c.out = appendDeflated(c.out, c.op, p)
			continue
		}
		c.out = appendMasked(c.out, c.op, false, p)
	}
	return c.flushLocked()
}

// control sends a control frame.
func (c *conn) control(op frame.OpCode, payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = appendMasked(c.out[:0], op, false, payload)
	return c.flushLocked()
}

func (c *conn) flushLocked() error {
	_ = c.nc.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := c.nc.Write(c.out)
	return err
}

// appendMasked appends a client's frame. RFC 6455 5.3.
func appendMasked(dst []byte, op frame.OpCode, rsv1 bool, payload []byte) []byte {
	var key [4]byte
	binary.NativeEndian.PutUint32(key[:], rand.Uint32())
	dst = frame.AppendMaskedHeader(dst, true, rsv1, op, len(payload), key)
	start := len(dst)
	dst = append(dst, payload...)
	frame.Mask(dst[start:], key, 0)
	return dst
}

// handler takes what a connection receives: data messages, whose payload is
// valid until it returns, and pongs.
type handler func(op frame.OpCode, payload []byte) error

// receive reads once and hands every complete message to handle. It answers
// pings, and returns an error when the connection ends, whoever ends it.
func (c *conn) receive(handle handler) error {
	if !c.fresh {
		if err := c.fill(); err != nil {
			return err
		}
	}
	c.fresh = false
	for {
		whole, err := c.next(handle)
		if !whole || err != nil {
			return err
		}
	}
}

// fill reads behind what is not parsed yet, in a buffer with room for the
// frame that has begun.
func (c *conn) fill() error {
	left := c.to - c.from
	in := c.in
	if c.need > len(in) || left == 0 && c.to == len(in) && len(in) < maxBatch {
		in = make([]byte, max(c.need, 2*len(in)))
	}
	copy(in, c.in[c.from:c.to])
	c.in, c.from = in, 0
	n, err := c.nc.Read(in[left:])
	c.to = left + n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// next handles one frame. whole is false when the buffer does not hold one;
// need is then its size, as far as it is known.
func (c *conn) next(handle handler) (whole bool, err error) {
	var h frame.Header
	n, err := frame.ParseHeader(c.in[c.from:c.to], &h)
	if err != nil {
		return false, err
	}
	if n == 0 {
		c.need = frame.MaxHeaderSize
		return false, nil
	}
	if h.Length > c.rules.MaxMessage {
		return false, frame.ErrMessageTooBig
	}
	c.need = n + int(h.Length)
	if c.to-c.from < c.need {
		return false, nil
	}
	if err := c.message.Accept(&h, c.rules); err != nil {
		return false, err
	}
	payload := c.in[c.from+n : c.from+c.need]
	c.from += c.need
	if h.OpCode.IsControl() {
		return true, c.handleControl(h.OpCode, payload, handle)
	}
	return true, c.handleData(payload, handle)
}

func (c *conn) handleControl(op frame.OpCode, payload []byte, handle handler) error {
	switch op {
	case ws.OpPing:
		return c.control(ws.OpPong, payload)
	case ws.OpPong:
		return handle(op, payload)
	}
	code, reason, err := frame.ParseClose(payload)
	if err != nil {
		return err
	}
	return fmt.Errorf("server closed: %d %s", code, reason)
}

func (c *conn) handleData(payload []byte, handle handler) error {
	m := &c.message
	c.wire += len(payload)
	if !m.Done || m.Fragments > 1 {
		c.body = append(c.body, payload...)
		if !m.Done {
			return nil
		}
		payload, c.body = c.body, c.body[:0]
	}
	op, compressed := m.Op, m.Compressed
	m.Reset()
	if !compressed {
		return handle(op, payload)
	}
	return inflated(payload, func(p []byte) error { return handle(op, p) })
}
