package engine

import (
	"sync"

	"github.com/fe4bcecb/wsd/codec/deflate"
	"github.com/fe4bcecb/wsd/codec/frame"
)

// PreparedMessage is a message framed once, plain and deflated, to be sent to
// many connections. It never changes, and may be used on any loop.
type PreparedMessage struct {
	op     OpCode
	plain  []byte
	size   int  // of the payload
	never  bool // to be deflated
	pack   sync.Once
	packed []byte
}

// NewUncompressedMessage is NewPreparedMessage for a message that is not to be
// deflated for anybody.
func NewUncompressedMessage(msg []byte, op OpCode) *PreparedMessage {
	p := NewPreparedMessage(msg, op)
	p.never = true
	return p
}

// NewPreparedMessage frames a copy of msg.
func NewPreparedMessage(msg []byte, op OpCode) *PreparedMessage {
	b := make([]byte, 0, frame.HeaderSize(len(msg), false)+len(msg))
	return &PreparedMessage{op: op, plain: frame.AppendFrame(b, op, msg), size: len(msg)}
}

// Op is the message's opcode.
func (p *PreparedMessage) Op() OpCode { return p.op }

func (p *PreparedMessage) payload() []byte { return p.plain[len(p.plain)-p.size:] }

// compressors serve what is compressed outside a loop.
var compressors = sync.Pool{New: func() any { return new(deflate.Compressor) }}

// deflated is the compressed frame, or the plain one where that is no larger.
func (p *PreparedMessage) deflated() []byte {
	p.pack.Do(func() {
		p.packed = p.plain
		if p.size < compressAbove {
			return
		}
		z := compressors.Get().(*deflate.Compressor)
		defer compressors.Put(z)
		body, ok := z.Append(nil, p.payload(), deflate.MaxWindowBits)
		if ok {
			p.packed = append(frame.AppendHeader(nil, true, true, p.op, len(body)), body...)
		}
	})
	return p.packed
}
