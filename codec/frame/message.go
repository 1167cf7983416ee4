package frame

import "github.com/gobwas/ws"

// Rules say what a peer may send on one connection. They do not change once
// its handshake is done, and many connections may share one value.
type Rules struct {
	// Masked is true where the peer is a client, false where it is a server.
	Masked bool
	// Deflate is true where permessage-deflate was negotiated.
	Deflate bool
	// MaxMessage limits an uncompressed message, MaxCompressed one that came
	// with RSV1, in payload bytes on the wire, summed over its fragments.
	// 0 or less: no limit.
	MaxMessage, MaxCompressed int64
	// MaxFragments limits the frames of one message. 0 or less: no limit.
	MaxFragments int
}

// Message is what a receiver must remember between frames: the message being
// received, if any. The zero value has none.
type Message struct {
	// Size is the payload of the frames accepted so far, in bytes on the wire.
	Size int64
	// Fragments counts the frames accepted so far.
	Fragments int
	// Op is Text or Binary.
	Op OpCode
	// Compressed is true when the first frame had RSV1.
	Compressed bool
	// Done is true from the frame with FIN on, until Reset.
	Done bool

	open bool
}

// Open reports whether a message has begun whose last frame has not been
// accepted yet.
func (m *Message) Open() bool { return m.open }

// Reset forgets the message, when it was delivered.
func (m *Message) Reset() { *m = Message{} }

// Accept checks h against every rule of framing, and the limits, by the header
// alone, and advances m when h is a data frame. A control frame leaves m as it
// is, and so does an error, which is a [*ProtocolError].
//
// A new message may follow a Done one without Reset.
//
// Hot path: per frame.
func (m *Message) Accept(h *Header, r *Rules) error {
	if h.Masked != r.Masked {
		return maskError(r)
	}
	if h.Rsv&rsv23 != 0 {
		return ErrReservedBits
	}
	if h.OpCode == ws.OpText || h.OpCode == ws.OpBinary {
		return m.begin(h, r)
	}
	if h.OpCode == ws.OpContinuation {
		return m.proceed(h, r)
	}
	return acceptControl(h)
}

// begin accepts the first frame of a message.
func (m *Message) begin(h *Header, r *Rules) error {
	if m.open {
		return ErrMessageOpen
	}
	compressed, limit := false, r.MaxMessage
	if h.Rsv != 0 {
		if !r.Deflate {
			return ErrCompressedBit
		}
		compressed, limit = true, r.MaxCompressed
	}
	if h.Length > limit && limit > 0 {
		return ErrMessageTooBig
	}
	// Field by field: a composite literal is built on the stack by bytes and
	// copied by words, which stalls.
	m.Size = h.Length
	m.Fragments = 1
	m.Op = h.OpCode
	m.Compressed = compressed
	m.Done = h.Fin
	m.open = !h.Fin
	return nil
}

// proceed accepts a continuation frame.
func (m *Message) proceed(h *Header, r *Rules) error {
	if !m.open {
		return ErrNoMessage
	}
	if h.Rsv != 0 {
		return ErrCompressedPlace
	}
	limit := r.MaxMessage
	if m.Compressed {
		limit = r.MaxCompressed
	}
	size := m.Size + h.Length // neither is negative, so an overflow is
	if size < 0 || limit > 0 && size > limit {
		return ErrMessageTooBig
	}
	if r.MaxFragments > 0 && m.Fragments >= r.MaxFragments {
		return ErrTooManyFragments
	}
	m.Size = size
	m.Fragments++
	m.Done = h.Fin
	m.open = !h.Fin
	return nil
}

// acceptControl checks a frame that is no data frame.
func acceptControl(h *Header) error {
	switch {
	case h.OpCode.IsReserved():
		return ErrReservedOpCode
	case h.Rsv != 0:
		return ErrCompressedPlace
	case !h.Fin:
		return ErrControlFragmented
	case h.Length > MaxControlPayload:
		return ErrControlTooLong
	}
	return nil
}

func maskError(r *Rules) error {
	if r.Masked {
		return ErrMaskRequired
	}
	return ErrMaskForbidden
}
