package sio

import (
	"errors"
	"maps"
	"slices"

	"github.com/fe4bcecb/wsd/codec/msgpack"
)

// dialect is that of socket.io-msgpack-parser 3.0.2.
const dialect = msgpack.Notepack2

// AppendMsgpackPacket is [AppendPacket] for the msgpack parser: one binary
// message, with binary data where it belongs and any number of it. The errors
// are the same. Hot path: per event.
func AppendMsgpackPacket(dst []byte, h Header, args []any) ([]byte, error) {
	switch h.Type {
	case Event:
		if err := checkEvent(args); err != nil {
			return dst, err
		}
	case Ack:
	default:
		return dst, ErrType
	}
	e := msgpackEncoder{dst: appendMsgpackHead(dst, h, true)}
	if err := e.array(args); err != nil {
		return dst, err
	}
	return appendMsgpackTail(e.dst, h), nil
}

// AppendMsgpackPayload is [AppendPayload] for the msgpack parser. Beside
// [ErrType] the errors are [ErrDepth], [ErrPlaceholder], and [ErrPayload] for a
// Payload that [EncodePayload] has not made. Hot path: per broadcast.
func AppendMsgpackPayload(dst []byte, h Header, p Payload) ([]byte, error) {
	if h.Type != Event && h.Type != Ack {
		return dst, ErrType
	}
	out, err := appendMsgpackJSON(appendMsgpackHead(dst, h, true), p.JSON, p.Attachments)
	if err != nil {
		return dst, err
	}
	return appendMsgpackTail(out, h), nil
}

// AppendMsgpackObject is [AppendObject] for the msgpack parser.
func AppendMsgpackObject(dst []byte, h Header, object any) ([]byte, error) {
	if object == nil {
		return appendMsgpackTail(appendMsgpackHead(dst, h, false), h), nil
	}
	text, err := AppendObject(nil, Header{Type: h.Type}, object)
	if err != nil {
		return dst, err
	}
	const typeDigit = 1
	out, err := appendMsgpackJSON(appendMsgpackHead(dst, h, true), text[typeDigit:], nil)
	if err != nil {
		return dst, err
	}
	return appendMsgpackTail(out, h), nil
}

// appendMsgpackHead writes what comes before the payload, in the order of a Node
// server: the id of an Ack before the type, that of an Event behind the data.
func appendMsgpackHead(dst []byte, h Header, data bool) []byte {
	n := 2 // type and nsp
	if data {
		n++
	}
	if h.HasID {
		n++
	}
	dst = msgpack.AppendMap(dst, n)
	if h.HasID && h.Type == Ack {
		dst = appendMsgpackID(dst, h.ID)
	}
	dst = msgpack.AppendString(dst, "type")
	dst = msgpack.AppendUint(dst, dialect, uint64(h.Type))
	if data {
		dst = msgpack.AppendString(dst, "data")
	}
	return dst
}

// appendMsgpackTail writes what comes behind the payload.
func appendMsgpackTail(dst []byte, h Header) []byte {
	if h.HasID && h.Type != Ack {
		dst = appendMsgpackID(dst, h.ID)
	}
	if h.Namespace == "" {
		h.Namespace = rootNamespace
	}
	return msgpack.AppendString(msgpack.AppendString(dst, "nsp"), h.Namespace)
}

func appendMsgpackID(dst []byte, id uint64) []byte {
	return msgpack.AppendUint(msgpack.AppendString(dst, "id"), dialect, id)
}

// msgpackEncoder writes arguments as the [encoder] does, in MessagePack.
type msgpackEncoder struct {
	dst   []byte
	depth int
}

func (e *msgpackEncoder) array(list []any) error {
	if e.depth++; e.depth > maxNesting {
		return ErrDepth
	}
	e.dst = msgpack.AppendArray(e.dst, len(list))
	for _, v := range list {
		if err := e.value(v); err != nil {
			return err
		}
	}
	e.depth--
	return nil
}

// value writes the types that need no JSON on the way itself, and leaves the
// others to the encoder.
func (e *msgpackEncoder) value(v any) error {
	switch v := v.(type) {
	case nil:
		e.dst = msgpack.AppendNil(e.dst)
	case Value:
		return e.json(v.bytes(), v.attached())
	case []byte:
		e.dst = msgpack.AppendBinary(e.dst, v)
	case Binary:
		e.dst = msgpack.AppendBinary(e.dst, v)
	case string, bool, int, int32, int64, uint32, uint64:
		var err error
		e.dst, err = msgpack.Append(e.dst, dialect, v)
		return err
	case []any:
		if v != nil {
			return e.array(v)
		}
		e.dst = msgpack.AppendNil(e.dst)
	case map[string]any:
		if v != nil {
			return e.object(v)
		}
		e.dst = msgpack.AppendNil(e.dst)
	default:
		// Floats too: a NaN is null in JSON.
		j := encoder{depth: e.depth}
		if err := j.value(v); err != nil {
			return err
		}
		if len(j.attachments) > 0 {
			if err := checkPlaceholders(j.dst, len(j.attachments)); err != nil {
				return err
			}
		}
		return e.json(j.dst, j.attachments)
	}
	return nil
}

func (e *msgpackEncoder) object(m map[string]any) error {
	if e.depth++; e.depth > maxNesting {
		return ErrDepth
	}
	e.dst = msgpack.AppendMap(e.dst, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if err := e.value(key); err != nil {
			return err
		}
		if err := e.value(m[key]); err != nil {
			return err
		}
	}
	e.depth--
	return nil
}

func (e *msgpackEncoder) json(text []byte, attachments [][]byte) (err error) {
	e.dst, err = appendMsgpackJSON(e.dst, text, attachments)
	return err
}

// attached are the attachments of the packet that the value is of.
func (v Value) attached() [][]byte {
	if v.attachments == nil {
		return nil
	}
	return *v.attachments
}

// appendMsgpackJSON appends JSON as MessagePack, with the errors of this
// package.
func appendMsgpackJSON(dst, text []byte, attachments [][]byte) ([]byte, error) {
	dst, err := msgpack.FromJSON(dst, dialect, text, attachments)
	switch {
	case err == nil:
		return dst, nil
	case errors.Is(err, msgpack.ErrDepth):
		return dst, ErrDepth
	case errors.Is(err, msgpack.ErrPlaceholder):
		return dst, ErrPlaceholder
	case errors.Is(err, msgpack.ErrTooLarge):
		return dst, ErrTooLarge
	}
	return dst, ErrPayload
}
