package sio

import "github.com/fe4bcecb/wsd/codec/jsontext"

// Payload is a list of arguments that was encoded once, and can be sent to any
// namespace with any id. It is not to be changed.
type Payload struct {
	JSON        []byte   // an array
	Attachments [][]byte // of its placeholders, in order
}

// EncodePayload encodes args, which may be what they may be in [AppendPacket].
// The attachments alias them: copy binary data that may change before the
// payload was sent for the last time. The errors are the same, but a name in
// args[0] is not looked at.
func EncodePayload(args []any) (Payload, error) {
	var e encoder
	if err := e.array(args); err != nil {
		return Payload{}, err
	}
	if len(e.attachments) > 0 {
		if err := checkPlaceholders(e.dst, len(e.attachments)); err != nil {
			return Payload{}, err
		}
	}
	return Payload{JSON: e.dst, Attachments: e.attachments}, nil
}

// AppendPayload appends the text of an event or acknowledgement with these
// arguments to dst, without reading them. The attachments that have to follow
// are the payload's. The only error is [ErrType]. Hot path: per broadcast.
func AppendPayload(dst []byte, h Header, p Payload) (text []byte, err error) {
	if h.Type != Event && h.Type != Ack {
		return dst, ErrType
	}
	text = append(appendHeader(dst, h), p.JSON...)
	if len(p.Attachments) > 0 {
		text = announce(text, len(dst), h.Type, len(p.Attachments))
	}
	return text, nil
}

// Args returns the arguments, which alias the payload.
func (p Payload) Args() []Value {
	return appendElements(nil, p.JSON, p.Attachments)
}

// With returns a payload with one more argument at the end, in new memory but
// for the attachments: the offset that recovery adds to an event.
func (p Payload) With(extra string) Payload {
	array := p.JSON[:len(p.JSON)-1]
	dst := append(make([]byte, 0, len(array)+len(extra)+4), array...)
	if jsontext.SkipSpace(array, 1) < len(array) {
		dst = append(dst, ',')
	}
	dst = append(jsontext.AppendQuoted(dst, extra), ']')
	return Payload{JSON: dst, Attachments: p.Attachments}
}
