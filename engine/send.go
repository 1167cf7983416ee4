package engine

import (
	"github.com/fe4bcecb/wsd/codec/frame"
	"github.com/gobwas/ws"
)

// SendResult says what became of a message.
type SendResult uint8

const (
	// Sent: on its way, nothing waits for the reader.
	Sent SendResult = iota
	// Backpressure: queued behind what a slow reader has not taken. Wait for
	// Drain before sending much more.
	Backpressure
	// Dropped: not sent, because the queue is full or the connection closed.
	Dropped
)

func (r SendResult) String() string {
	switch r {
	case Sent:
		return "sent"
	case Backpressure:
		return "backpressure"
	}
	return "dropped"
}

// Send sends a message. msg may be reused when it returns. Call on the socket's
// loop.
//
// Hot path: per message.
func (c *Conn) Send(msg []byte, op OpCode) SendResult {
	const plainAndCorked = slowWay | deflates
	if l := c.loop; c.flags&plainAndCorked == isCorked && len(l.log) == 0 && l.fits(len(msg)) {
		before := len(l.cork)
		l.cork = append(frame.AppendHeader(l.cork, true, false, op, len(msg)), msg...)
		l.stats.sent(op, len(l.cork)-before)
		return Sent
	}
	return c.sendSlow(msg, op)
}

// sendSlow is Send for what is not an uncompressed message in a callback of its
// own connection, with nothing waiting.
func (c *Conn) sendSlow(msg []byte, op OpCode) SendResult {
	if c.flags&(notOpen|fragmenting) != 0 {
		return c.sendLater(msg, op)
	}
	if !c.settle() {
		return Dropped
	}
	if c.flags&(deflates|dedicated) != 0 && len(msg) >= compressAbove {
		return c.sendDeflated(msg, op)
	}
	return c.emit(op, true, false, msg, false)
}

// sendLater holds a message back while fragments are being sent.
func (c *Conn) sendLater(msg []byte, op OpCode) SendResult {
	if c.flags&notOpen != 0 {
		return Dropped
	}
	if !c.settle() { // holds what was published before
		return Dropped
	}
	return c.hold(msg, op)
}

// SendPrepared sends a message that was framed once for many connections. Call
// on the socket's loop.
func (c *Conn) SendPrepared(p *PreparedMessage) SendResult {
	if c.flags&(notOpen|fragmenting) != 0 {
		return c.sendLater(p.payload(), p.op)
	}
	if !c.settle() {
		return Dropped
	}
	switch {
	case p.never:
	case c.flags&dedicated != 0 && len(p.payload()) >= compressAbove:
		return c.sendDeflated(p.payload(), p.op)
	case c.flags&deflates != 0:
		return c.emitShared(p.deflated())
	}
	return c.emitShared(p.plain)
}

// SendUncompressed is Send without compression, whatever was negotiated. Call on
// the socket's loop.
func (c *Conn) SendUncompressed(msg []byte, op OpCode) SendResult {
	if c.flags&(notOpen|fragmenting) != 0 {
		return c.sendLater(msg, op)
	}
	if !c.settle() {
		return Dropped
	}
	return c.emit(op, true, false, msg, false)
}

// Ping sends a ping; payloads are cut to 125 bytes. Call on the socket's loop.
func (c *Conn) Ping(payload []byte) SendResult {
	if c.flags&notOpen != 0 {
		return Dropped
	}
	if len(payload) > frame.MaxControlPayload {
		payload = payload[:frame.MaxControlPayload]
	}
	return c.sendControl(ws.OpPing, payload)
}

// sendControl sends a ping or pong, unless the reader owes so much that even
// those would grow the queue without bound.
func (c *Conn) sendControl(op OpCode, payload []byte) SendResult {
	if q := c.out; q != nil && q.armed && q.bytes > max(c.route.MaxBackpressure, DefaultMaxBackpressure)+controlReserve {
		c.loop.stats.ControlDropped++
		return Dropped
	}
	return c.emit(op, true, false, payload, true)
}

// Cork calls fn and sends what fn sent in as few writes as possible. Sends in a
// callback are corked anyway. Call on the socket's loop.
func (c *Conn) Cork(fn func()) {
	fn()
	if c.flags&(hasQueue|isCorked) == hasQueue && c.state != stateClosed && !c.out.armed {
		c.flush()
	}
}

// emit frames a payload and sends it. keep marks what no policy may drop.
//
// Hot path: per frame sent.
func (c *Conn) emit(op OpCode, fin, rsv1 bool, payload []byte, keep bool) SendResult {
	l := c.loop
	if c.flags&(isCorked|hasQueue) == isCorked {
		if l.fits(len(payload)) {
			before := len(l.cork)
			l.cork = append(frame.AppendHeader(l.cork, fin, rsv1, op, len(payload)), payload...)
			l.stats.sent(op, len(l.cork)-before)
			return Sent
		}
		l.flushCork()
		if c.flags&(hasQueue|notOpen) == 0 {
			return c.emitLarge(op, fin, rsv1, payload)
		}
	}
	var head [frame.MaxHeaderSize]byte
	return c.enqueue(frame.AppendHeader(head[:0], fin, rsv1, op, len(payload)), payload, nil, keep)
}

// fits reports whether a payload of n bytes goes into the cork. A large one does
// not: writing it from where it is costs less than the copy.
func (l *Loop) fits(n int) bool {
	return n < corkBelow && len(l.cork)+n+frame.MaxHeaderSize <= cap(l.cork)
}

// emitLarge sends a frame on an empty cork: in it when it fits, else at once.
func (c *Conn) emitLarge(op OpCode, fin, rsv1 bool, payload []byte) SendResult {
	l := c.loop
	head := frame.AppendHeader(l.cork[:0], fin, rsv1, op, len(payload))
	if l.fits(len(payload)) {
		l.stats.sent(op, len(head)+len(payload))
		l.cork = append(head, payload...)
		return Sent
	}
	n := c.writeTwo(head, payload)
	if n < 0 {
		c.broken()
		return Dropped
	}
	l.stats.sent(op, len(head)+len(payload))
	if n == len(head)+len(payload) {
		return Sent
	}
	q := c.queue()
	if n < len(head) {
		q.push(q.copied(head[n:], payload), true)
	} else {
		q.push(q.copied(payload[n-len(head):], nil), true)
	}
	c.arm()
	return Backpressure
}

// emitShared sends a whole frame that nobody will change.
func (c *Conn) emitShared(b []byte) SendResult {
	if c.flags&(isCorked|hasQueue) == isCorked {
		return c.corkFrame(b)
	}
	return c.enqueue(nil, nil, b, false)
}

// corkFrame appends a whole frame to the cork, or sends both where it is full.
func (c *Conn) corkFrame(b []byte) SendResult {
	l := c.loop
	if len(l.cork)+len(b) > cap(l.cork) {
		l.flushCork()
		if c.flags&(hasQueue|notOpen) != 0 || len(b) > cap(l.cork) {
			return c.enqueue(b, nil, nil, false)
		}
	}
	l.cork = append(l.cork, b...)
	l.stats.sent(opOf(b), len(b))
	return Sent
}

// enqueue appends a frame to the queue: shared as it is, or else a copy of head
// and payload.
func (c *Conn) enqueue(head, payload, shared []byte, keep bool) SendResult {
	q := c.queue()
	if !q.armed && q.bytes >= flushAt {
		c.flush()
		if c.state == stateClosed {
			return Dropped
		}
		q = c.queue()
	}
	if q.armed && !keep && !c.admit(len(head)+len(payload)+len(shared)) {
		return Dropped
	}
	if shared == nil {
		shared = q.copied(head, payload)
	}
	q.push(shared, keep)
	c.loop.stats.sent(opOf(shared), len(shared))
	if q.armed {
		return Backpressure
	}
	return Sent
}

// admit makes room for n bytes in an armed queue as the route's policy says.
func (c *Conn) admit(n int) bool {
	if !c.mayHold(n) {
		c.loop.stats.Dropped++
		return false
	}
	q, limit := c.out, c.route.MaxBackpressure
	if limit < 0 || q.bytes == 0 || q.bytes+n <= limit {
		return true
	}
	switch c.route.Policy {
	case DropOldest:
		for q.bytes > 0 && q.bytes+n > limit {
			dropped := q.dropOldest()
			if dropped == 0 {
				break
			}
			c.lose(dropped)
		}
		if q.bytes == 0 || q.bytes+n <= limit {
			return true
		}
	case ClosePolicy:
		c.loop.stats.Dropped++
		c.fail(CauseBackpressure, ws.StatusPolicyViolation, "too slow")
		return false
	}
	c.lose(n)
	return false
}

// lose counts a dropped frame and remembers it for the Dropped callback.
func (c *Conn) lose(n int) {
	l := c.loop
	l.stats.Dropped++
	if c.route.Dropped == nil {
		return
	}
	if i := len(l.losses) - 1; i >= 0 && l.losses[i].c == c {
		l.losses[i].messages++
		l.losses[i].bytes += n
		return
	}
	l.losses = append(l.losses, loss{c, 1, n})
}

// queue returns the connection's queue, and lists it for the end of the turn.
func (c *Conn) queue() *queue {
	if c.out == nil {
		c.out = c.loop.takeQueue()
		c.flags |= hasQueue
	}
	if !c.out.listed {
		c.out.listed = true
		c.loop.dirty = append(c.loop.dirty, c)
	}
	return c.out
}

// flush writes the queue as far as the kernel takes it.
func (c *Conn) flush() {
	q := c.out
	for !q.empty() {
		n, all := c.writeQueue(q)
		if n < 0 {
			c.broken()
			return
		}
		q.sent(n)
		if !all {
			c.arm()
			return
		}
	}
	c.drained()
}

// drained gives the empty queue back and goes on with what waited for it.
func (c *Conn) drained() {
	l, q := c.loop, c.out
	if q.armed {
		l.stats.Drained++
		c.disarm()
		if c.state == stateOpen && c.route.Drain != nil {
			l.drains = append(l.drains, c)
		}
	}
	if q.listed {
		// The dirty list still names the connection; flushDirty tolerates that.
		q.listed = false
	}
	c.out = nil
	c.flags &^= hasQueue
	l.giveQueue(q)
	if c.state == stateLingering {
		l.lingered = append(l.lingered, c)
	}
}

// onWritable is called while armed, when the transport takes more.
func (c *Conn) onWritable() {
	if c.state == stateClosed || c.out == nil {
		return
	}
	c.flush()
}

// arm asks to be told when the kernel takes more.
func (c *Conn) arm() {
	q := c.out
	if q.armed && c.flags&onStream == 0 {
		return // a socket goes on telling; a stream tells once
	}
	if !q.armed {
		q.setArmed(true)
		c.loop.stats.BackpressureEvents++
	}
	if err := c.armTransport(); err != nil {
		c.broken()
	}
}

// disarm ends what arm began.
func (c *Conn) disarm() {
	c.out.setArmed(false)
	if err := c.disarmTransport(); err != nil {
		c.broken()
	}
}
