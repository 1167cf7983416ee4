package engine

import (
	"errors"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/codec/deflate"
	"github.com/fe4bcecb/wsd/codec/frame"
	"github.com/gobwas/ws"
)

type frameRules = frame.Rules

const (
	// readAhead is the room before a loop's read buffer into which the rest of
	// an incomplete frame head or control frame is copied.
	readAhead = 256
	// readSize is the size of a loop's read buffer.
	readSize = 64 << 10
	// readFairness bounds what one connection may be read per turn.
	readFairness = 1 << 20
	// firstBuffer is what a message that arrives in pieces gets at first,
	// whatever its header announces.
	firstBuffer = 4 << 10
)

// inbox is what has arrived of an incomplete message, or of a request head.
// An idle connection has none.
type inbox struct {
	// raw is an incomplete request head, frame header or control frame.
	raw []byte
	// The open message: its framing, and its payload so far, unmasked.
	message frame.Message
	buf     []byte
	text    frame.UTF8
	// The data frame that has begun: bytes to come, mask, position in it.
	need   int64
	key    [4]byte
	offset int
}

func (c *Conn) inbox() *inbox {
	if c.in == nil {
		c.in = new(inbox)
	}
	return c.in
}

// receive handles bytes of the peer. l.read must have readAhead bytes of room
// before data unless c has no raw rest.
func (c *Conn) receive(data []byte) {
	l := c.loop
	l.stats.BytesIn += uint64(len(data))
	defer c.recoverPanic()
	l.corkFor(c)
	switch c.state {
	case stateOpen, stateClosing:
		l.heard = false
		c.receiveFrames(data)
		if l.heard {
			c.touch()
		}
	case stateHandshake:
		c.receiveHead(data)
	case stateDeferred:
		c.stash(data)
	}
	l.uncork()
}

// recoverPanic closes the connection whose callback panicked.
func (c *Conn) recoverPanic() {
	if v := recover(); v != nil {
		c.panicked(v)
		c.loop.uncork()
	}
}

// receiveFrames handles whole frames in place and keeps what is incomplete.
//
// Hot path: per frame.
func (c *Conn) receiveFrames(data []byte) {
	if c.in != nil && len(c.in.raw) > 0 {
		data = c.in.rejoin(c.loop, data)
		if !c.in.message.Open() && c.in.need == 0 {
			c.dropInbox()
		}
	}
	for len(data) > 0 {
		if c.in == nil {
			if data = c.receiveShort(data); len(data) == 0 {
				return
			}
		}
		if c.in != nil && c.in.need > 0 {
			data = c.receivePayload(data)
			continue
		}
		var h frame.Header
		n, err := frame.ParseHeader(data, &h)
		if err != nil {
			c.failProtocol(err)
			return
		}
		if n == 0 {
			c.keepRaw(data)
			return
		}
		used := c.receiveFrame(&h, n, data)
		if used == 0 {
			return
		}
		data = data[used:]
	}
}

// receiveShort handles the short frames at the start of data, which are whole
// messages, and returns the rest. It has nothing to check but their text.
//
// Hot path: per message.
func (c *Conn) receiveShort(data []byte) []byte {
	for c.state == stateOpen {
		op, size := frame.Short(data)
		if size == 0 || size-frame.ShortHeaderSize > c.route.MaxPayload {
			return data
		}
		msg := data[frame.ShortHeaderSize:size]
		ascii := frame.UnmaskText(msg, [4]byte(data[2:6]))
		data = data[size:]
		if !ascii && op == Text && !utf8.Valid(msg) {
			c.failProtocol(frame.ErrInvalidUTF8)
			return nil
		}
		l := c.loop
		l.heard = true
		l.stats.received(op)
		if c.route.Message != nil {
			c.route.Message(c, msg, op)
		}
		if c.in != nil {
			return data
		}
	}
	if c.state != stateClosing {
		return nil
	}
	return data
}

// rejoin puts the raw rest in front of data.
func (in *inbox) rejoin(l *Loop, data []byte) []byte {
	raw := in.raw
	in.raw = nil
	if room := l.roomBefore(data); room != nil && len(raw) <= readAhead {
		copy(room[readAhead-len(raw):], raw)
		return room[readAhead-len(raw) : readAhead+len(data)]
	}
	return append(append(make([]byte, 0, len(raw)+len(data)), raw...), data...)
}

func (c *Conn) keepRaw(data []byte) {
	in := c.inbox()
	in.raw = append(in.raw[:0], data...)
}

// receiveFrame handles the frame whose header h has n bytes at the start of
// data. It returns the bytes used; 0 when no more is to be read now.
func (c *Conn) receiveFrame(h *frame.Header, n int, data []byte) int {
	whole := int64(len(data)-n) >= h.Length
	if c.in == nil && h.Fin && whole && !h.OpCode.IsControl() {
		m := &c.loop.message
		m.Reset()
		if err := m.Accept(h, c.rules()); err != nil {
			c.failProtocol(err)
			return 0
		}
		end := n + int(h.Length)
		payload := data[n:end]
		frame.Mask(payload, h.Mask, 0)
		c.loop.heard = true
		c.deliverMessage(payload, m.Op, m.Compressed, false)
		return c.goOn(end)
	}
	if h.OpCode.IsControl() {
		var m frame.Message
		if err := m.Accept(h, c.rules()); err != nil {
			c.failProtocol(err)
			return 0
		}
		if !whole {
			c.keepRaw(data)
			return 0
		}
		end := n + int(h.Length)
		payload := data[n:end]
		frame.Mask(payload, h.Mask, 0)
		c.loop.heard = true
		c.receiveControl(h.OpCode, payload)
		return c.goOn(end)
	}
	in := c.inbox()
	if err := in.message.Accept(h, c.rules()); err != nil {
		c.failProtocol(err)
		return 0
	}
	in.key, in.offset, in.need = h.Mask, 0, h.Length
	if in.need == 0 {
		c.frameDone()
		return c.goOn(n)
	}
	return c.goOn(n)
}

// goOn returns n while the connection still reads, else 0.
func (c *Conn) goOn(n int) int {
	if c.state == stateOpen || c.state == stateClosing {
		return n
	}
	return 0
}

// receivePayload takes payload of the frame that has begun and returns the rest
// of data.
func (c *Conn) receivePayload(data []byte) []byte {
	in := c.in
	n := int(min(in.need, int64(len(data))))
	start := len(in.buf)
	before := cap(in.buf)
	if before-start < n && !c.mayHold(n) {
		return nil
	}
	in.buf = grow(in.buf, n, in.need)
	c.loop.arrived += cap(in.buf) - before
	frame.MaskCopy(in.buf[start:], data[:n], in.key, in.offset)
	in.offset += n
	in.need -= int64(n)
	if in.message.Op == Text && !in.message.Compressed && !in.text.Write(in.buf[start:]) {
		c.failProtocol(frame.ErrInvalidUTF8)
		return nil
	}
	if in.need == 0 {
		c.frameDone()
	}
	if c.goOn(1) == 0 {
		return nil
	}
	return data[n:]
}

// grow extends b by n bytes. Memory follows what arrived, not what a header
// announced; announced bounds it.
func grow(b []byte, n int, announced int64) []byte {
	if cap(b)-len(b) >= n {
		return b[:len(b)+n]
	}
	want := max(len(b)+n, min(max(2*cap(b), firstBuffer), len(b)+int(announced)))
	bigger := make([]byte, len(b)+n, want)
	copy(bigger, b)
	return bigger
}

// frameDone ends a data frame that came in pieces or as a fragment.
func (c *Conn) frameDone() {
	c.loop.heard = true
	in := c.in
	if !in.message.Done {
		return
	}
	if in.message.Op == Text && !in.message.Compressed && !in.text.Complete() {
		c.failProtocol(frame.ErrInvalidUTF8)
		return
	}
	c.dropInbox()
	c.deliverMessage(in.buf, in.message.Op, in.message.Compressed, true)
}

// deliverMessage inflates and checks a message and hands it to the route.
//
// Hot path: per message.
func (c *Conn) deliverMessage(msg []byte, op OpCode, compressed, checked bool) {
	if c.state != stateOpen && c.flags&heeded == 0 {
		return // who is closed for a reason has nothing more to say
	}
	if compressed {
		plain, err := c.inflate(msg)
		if err != nil {
			c.failInflate(err)
			return
		}
		msg, checked = plain, false
	}
	if op == Text && !checked && !utf8.Valid(msg) {
		c.failProtocol(frame.ErrInvalidUTF8)
		return
	}
	c.loop.stats.received(op)
	if c.route.Message != nil {
		c.route.Message(c, msg, op)
	}
}

func (c *Conn) failInflate(err error) {
	if errors.Is(err, deflate.ErrTooLarge) {
		c.failProtocol(frame.ErrMessageTooBig)
		return
	}
	c.fail(CauseProtocol, ws.StatusInvalidFramePayloadData, "corrupt compressed message")
}

// receiveControl handles a ping, pong or Close frame.
func (c *Conn) receiveControl(op OpCode, payload []byte) {
	switch op {
	case ws.OpPing:
		if c.state != stateOpen {
			return
		}
		c.sendControl(ws.OpPong, payload)
		if c.route.Ping != nil {
			c.route.Ping(c, payload)
		}
	case ws.OpPong:
		c.timePong(payload)
		if c.state == stateOpen && c.route.Pong != nil {
			c.route.Pong(c, payload)
		}
	case ws.OpClose:
		c.receiveClose(payload)
	}
}
