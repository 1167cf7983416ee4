package engine

import (
	"github.com/fe4bcecb/wsd/codec/deflate"
)

// negotiateDeflate agrees on compression with the offers of a handshake and
// returns the response's field value, nil when there is none.
func (c *Conn) negotiateDeflate(offers []byte, dst []byte) []byte {
	r := c.route
	if r.Compression == CompressionOff || len(offers) == 0 {
		return nil
	}
	p, ok := deflate.Negotiate(offers, r.negotiate)
	if !ok {
		return nil
	}
	c.window = uint8(p.ServerMaxWindowBits)
	c.flags |= deflates
	if c.window < deflate.MaxWindowBits {
		c.flags |= dedicated
	}
	if !p.ServerNoContextTakeover {
		c.flags |= dedicated
		c.extend().deflate = deflate.NewStream(&c.loop.compressor, p.ServerMaxWindowBits)
	}
	if !p.ClientNoContextTakeover {
		c.extend().inflate = deflate.NewInflater(&c.loop.decompressor, p.ClientMaxWindowBits)
	}
	return p.AppendResponse(dst)
}

// rules are the frames that the peer may send.
func (c *Conn) rules() *frameRules {
	if c.flags&deflates != 0 {
		return &c.route.deflated
	}
	return &c.route.plain
}

// sendDeflated compresses a message and sends what is smaller.
func (c *Conn) sendDeflated(msg []byte, op OpCode) SendResult {
	l := c.loop
	if c.ext != nil && c.ext.deflate != nil {
		return c.sendInContext(msg, op)
	}
	packed, ok := l.compressor.Append(l.packed[:0], msg, int(c.window))
	l.packed = packed[:0]
	l.stats.deflated(len(msg), len(packed))
	if !ok {
		return c.emit(op, true, false, msg, false)
	}
	return c.emit(op, true, true, packed, false)
}

// sendInContext compresses with the connection's own context. What went into
// the context must be sent, so the policy is asked before, by the plain size,
// and the frame is kept afterwards.
func (c *Conn) sendInContext(msg []byte, op OpCode) SendResult {
	if c.out != nil && c.out.armed && !c.admit(len(msg)) {
		return Dropped
	}
	l := c.loop
	packed, ok := c.ext.deflate.Append(l.packed[:0], msg)
	l.packed = packed[:0]
	l.stats.deflated(len(msg), len(packed))
	if !ok {
		packed = msg
	}
	return c.emit(op, true, ok, packed, true)
}

// inflate returns the plain form of a compressed message, valid until the next.
func (c *Conn) inflate(msg []byte) ([]byte, error) {
	l := c.loop
	var out []byte
	var err error
	if c.ext != nil && c.ext.inflate != nil {
		out, err = c.ext.inflate.Append(l.inflated[:0], msg, c.route.MaxPayload)
	} else {
		out, err = l.decompressor.Append(l.inflated[:0], msg, c.route.MaxPayload)
	}
	if err != nil {
		return nil, err
	}
	l.inflated = out[:0]
	l.stats.Inflated.In += uint64(len(msg))
	l.stats.Inflated.Out += uint64(len(out))
	return out, nil
}
