package engineio

import (
	"sync"
	"sync/atomic"

	"github.com/fe4bcecb/wsd/codec/eio"
	"github.com/fe4bcecb/wsd/engine"
)

// Prepared is a message with the binary messages that belong to it, encoded once
// for any number of sessions: each form is made when the first session needs
// it. It never changes, and may be used on any loop.
type Prepared struct {
	head     []byte
	binary   bool // head is
	compress bool
	attached [][]byte

	mu    sync.Mutex // held while a form is made
	forms [formCount]atomic.Pointer[[]*engine.PreparedMessage]
}

// form is how WebSocket sessions get binary messages.
type form uint8

const (
	formBinary    form = iota
	formBase64         // as text
	formRevision3      // with a type
	formBase64V3       // as text, with a type
	formCount
)

// encode is a binary message in a form. It may alias data.
func (f form) encode(data []byte) ([]byte, engine.OpCode) {
	switch f {
	case formBase64:
		return eio.AppendBinary(make([]byte, 0, eio.BinaryLen(len(data))), data), engine.Text
	case formRevision3:
		return eio.AppendBinaryV3(make([]byte, 0, 1+len(data)), data), engine.Binary
	case formBase64V3:
		return eio.AppendBase64V3(make([]byte, 0, 1+eio.BinaryLen(len(data))), data), engine.Text
	}
	return data, engine.Binary
}

// Prepare prepares a message: a text packet with its leading '4', or with binary
// a binary message as it is; and attachments. Nothing may change any of them
// afterwards. compress says whether it may be compressed where that was agreed.
func Prepare(head []byte, binary bool, attachments [][]byte, compress bool) *Prepared {
	return &Prepared{head: head, binary: binary, attached: attachments, compress: compress}
}

// Size is how many bytes the message has.
func (p *Prepared) Size() int {
	n := len(p.head)
	for _, a := range p.attached {
		n += len(a)
	}
	return n
}

// messages are the message's frames in a form.
//
// Hot path: per broadcast and session.
func (p *Prepared) messages(f form) []*engine.PreparedMessage {
	if !p.binary && len(p.attached) == 0 {
		f = formBinary // there is nothing in which they differ
	}
	if all := p.forms[f].Load(); all != nil {
		return *all
	}
	return p.frame(f)
}

// frame makes the frames in a form, if nobody has in the meantime.
func (p *Prepared) frame(f form) []*engine.PreparedMessage {
	p.mu.Lock()
	defer p.mu.Unlock()
	if all := p.forms[f].Load(); all != nil {
		return *all
	}
	frame := engine.NewPreparedMessage
	if !p.compress {
		frame = engine.NewUncompressedMessage
	}
	all := make([]*engine.PreparedMessage, 0, 1+len(p.attached))
	if p.binary {
		all = append(all, frame(f.encode(p.head)))
	} else {
		all = append(all, frame(p.head, engine.Text))
	}
	for _, a := range p.attached {
		all = append(all, frame(f.encode(a)))
	}
	p.forms[f].Store(&all)
	return all
}
