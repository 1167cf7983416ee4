package sio

import (
	"errors"

	"github.com/fe4bcecb/wsd/codec/msgpack"
)

// ErrNamespace is a packet of the msgpack parser whose namespace is missing,
// empty or no string.
var ErrNamespace = errors.New("sio: invalid namespace")

// MsgpackDecoder is the [Decoder] of the msgpack parser: socket.io-msgpack-parser
// 3.0.2. Its zero value is ready for use, with the default limits. It is not
// safe for use by several goroutines. After an error the connection has to be
// closed.
//
// It refuses what Node refuses. Beyond that it refuses an id below 0, an empty
// namespace, and a map like the placeholder of an attachment beside binary data,
// where one would be taken for the other. Reserved names are not refused, and
// the name of an event can be anything or missing, as there.
type MsgpackDecoder struct {
	base Decoder
}

// NewMsgpackDecoder returns a decoder with these limits, nil for the defaults.
// They are not copied. MaxAttachments does not count here: Node's parser has no
// such limit. Neither does MaxBytes: no packet is kept.
func NewMsgpackDecoder(limits *Limits) MsgpackDecoder {
	return MsgpackDecoder{base: NewDecoder(limits)}
}

// Text is always [ErrExpectedBinary].
func (d *MsgpackDecoder) Text([]byte) (p Packet, ok bool, err error) {
	return Packet{}, false, ErrExpectedBinary
}

// Binary reads a packet, the whole of b, which is always complete. The packet
// has its own memory: its Data is JSON whose numbers, strings and binary data
// are those of b, a date is a string, and undefined is null, or leaves its
// member of an object out. Binary data within the Data of a [Connect] or
// [ConnectError] is a string of base64, as packets of these types have no
// attachments.
//
// The errors are [ErrType], [ErrNamespace], [ErrID], [ErrPayload] (also for what
// is no MessagePack), [ErrPlaceholder], [ErrTooMany] for more than 4,096 pieces
// of binary data, and [ErrDepth]. Hot path: per message.
func (d *MsgpackDecoder) Binary(b []byte) (p Packet, ok bool, err error) {
	m, err := splitMsgpack(b)
	if err != nil {
		return Packet{}, false, err
	}
	t, whole := m.kind.Int()
	if !whole || t < int64(Connect) || t > int64(ConnectError) {
		return Packet{}, false, ErrType
	}
	p.Type = Type(t)
	if m.namespace.Kind != msgpack.KindString || len(m.namespace.Data) == 0 {
		return Packet{}, false, ErrNamespace
	}
	p.Namespace = d.namespace(m.namespace.Data)
	if p.HasID = m.id.Kind != msgpack.KindUndefined; p.HasID {
		id, whole := m.id.Int()
		if !whole || id < 0 {
			return Packet{}, false, ErrID
		}
		p.ID = uint64(id)
		if id > maxExactID {
			p.ID = uint64(float64(id)) // what the client counts with
		}
	}
	if !payloadAllowed(p.Type, m.dataKind) {
		return Packet{}, false, ErrPayload
	}
	if m.dataKind == msgpack.KindUndefined {
		return p, true, nil
	}
	if err := p.fill(m.data, d.base.limits.depth()); err != nil {
		return Packet{}, false, err
	}
	return p, true, nil
}

// namespace returns the name without an allocation when it is the last one.
func (d *MsgpackDecoder) namespace(name []byte) string {
	if string(name) == rootNamespace {
		return rootNamespace
	}
	if len(name) == 1 {
		return string(name) // not what intern takes it for
	}
	return d.base.intern(name)
}

// fill sets the packet's Data and Attachments from MessagePack.
func (p *Packet) fill(data []byte, maxDepth int) error {
	const quotes = 16 // bytes by which JSON is longer, at a guess
	text, attachments, err := msgpack.ToJSON(make([]byte, 0, len(data)+len(data)/4+quotes), data, msgpack.Limits{MaxDepth: maxDepth})
	switch {
	case errors.Is(err, msgpack.ErrDepth):
		return ErrDepth
	case errors.Is(err, msgpack.ErrBinary):
		return ErrTooMany
	case errors.Is(err, msgpack.ErrPlaceholder):
		return ErrPlaceholder
	case err != nil:
		return ErrPayload
	}
	p.Data = text
	if len(attachments) == 0 {
		return nil
	}
	if p.Type == Connect || p.Type == ConnectError {
		p.Data, err = newValue(text, &attachments).withBase64()
		return err
	}
	p.Attachments = attachments
	size := 0
	for _, a := range attachments {
		size += len(a)
	}
	own := make([]byte, 0, size)
	for i, a := range attachments {
		at := len(own)
		own = append(own, a...)
		attachments[i] = own[at:len(own):len(own)]
	}
	return nil
}

// msgpackParts is a packet before it was looked at. What is missing is
// undefined, as in JavaScript.
type msgpackParts struct {
	kind, namespace, id msgpack.Token
	dataKind            msgpack.Kind
	data                []byte
}

// splitMsgpack reads the map that a packet is. Of equal keys the last counts.
func splitMsgpack(b []byte) (m msgpackParts, err error) {
	undefined := msgpack.Token{Kind: msgpack.KindUndefined}
	m = msgpackParts{kind: undefined, namespace: undefined, id: undefined, dataKind: msgpack.KindUndefined}
	head, b, err := msgpack.Next(b)
	if err != nil || head.Kind != msgpack.KindMap {
		return m, ErrPayload
	}
	for range head.Len {
		key, value, err := msgpack.Next(b)
		if err != nil || key.Kind != msgpack.KindString {
			return m, ErrPayload
		}
		t, _, err := msgpack.Next(value)
		if err != nil {
			return m, ErrPayload
		}
		if b, err = msgpack.Skip(value); err != nil {
			return m, ErrPayload
		}
		switch string(key.Data) {
		case "type":
			m.kind = t
		case "nsp":
			m.namespace = t
		case "id":
			m.id = t
		case "data":
			m.dataKind, m.data = t.Kind, value[:len(value)-len(b)]
		}
	}
	if len(b) > 0 {
		return m, ErrPayload
	}
	return m, nil
}

// payloadAllowed says whether a packet may have a payload of this kind.
func payloadAllowed(t Type, k msgpack.Kind) bool {
	switch t {
	case Connect:
		return k == msgpack.KindMap || k == msgpack.KindUndefined
	case Disconnect:
		return k == msgpack.KindUndefined
	case ConnectError:
		return k == msgpack.KindMap || k == msgpack.KindString
	}
	return k == msgpack.KindArray
}
