package engine

import (
	"github.com/fe4bcecb/wsd/codec/frame"
	"github.com/gobwas/ws"
)

// held is a message that waits until the fragmented one is complete, because
// RFC 6455 5.4 allows no other message between its fragments.
type held struct {
	msg []byte
	op  OpCode
}

// SendFirstFragment begins a message that SendFragment continues and
// SendLastFragment ends. Other messages and publications wait meanwhile, up to
// MaxBackpressure bytes. Fragments are not compressed, and not dropped by a
// policy. Call on the socket's loop.
func (c *Conn) SendFirstFragment(msg []byte, op OpCode) SendResult {
	if c.flags&(notOpen|fragmenting) != 0 {
		return Dropped
	}
	if !c.settle() {
		return Dropped
	}
	c.flags |= fragmenting
	return c.emit(op, false, false, msg, true)
}

// SendFragment continues the message that SendFirstFragment began.
func (c *Conn) SendFragment(msg []byte) SendResult {
	if c.flags&(notOpen|fragmenting) != fragmenting {
		return Dropped
	}
	return c.emit(ws.OpContinuation, false, false, msg, true)
}

// SendLastFragment ends the message that SendFirstFragment began, and sends
// what waited for it.
func (c *Conn) SendLastFragment(msg []byte) SendResult {
	if c.flags&(notOpen|fragmenting) != fragmenting {
		return Dropped
	}
	if !c.settle() { // holds this turn's publications behind the others that wait
		return Dropped
	}
	result := c.emit(ws.OpContinuation, true, false, msg, true)
	c.flags &^= fragmenting
	if c.ext != nil {
		waiting := c.ext.held
		c.ext.held, c.ext.heldBytes = nil, 0
		for i, h := range waiting {
			if c.flags&notOpen != 0 {
				c.loop.stats.Dropped += uint64(len(waiting) - i)
				break
			}
			c.Send(h.msg, h.op)
		}
	}
	return result
}

// hold keeps a copy of a message for SendLastFragment.
func (c *Conn) hold(msg []byte, op OpCode) SendResult {
	e := c.extend()
	size := frame.HeaderSize(len(msg), false) + len(msg)
	if limit := c.route.MaxBackpressure; limit >= 0 && e.heldBytes > 0 && e.heldBytes+size > limit {
		c.lose(size)
		return Dropped
	}
	e.held = append(e.held, held{append([]byte(nil), msg...), op})
	e.heldBytes += size
	return Backpressure
}

// dropHeld counts what waited for a last fragment that will not be sent.
func (c *Conn) dropHeld() {
	if c.ext != nil && len(c.ext.held) > 0 {
		c.loop.stats.Dropped += uint64(len(c.ext.held))
		c.ext.held, c.ext.heldBytes = nil, 0
	}
}
