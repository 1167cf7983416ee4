package sio

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/codec/jsontext"
	"github.com/fe4bcecb/wsd/internal/conv"
)

// Binary is a []byte that becomes an attachment as a field of a struct or an
// element of a slice or map, where encoding/json would write base64. As an
// argument of its own a []byte does the same.
//
// Outside of this package it is base64.
type Binary []byte

// AppendPacket appends the text of an event or acknowledgement to dst, and
// returns the attachments that have to follow it. dst may already hold what
// comes before, such as the type of the Engine.IO packet. The attachments
// alias the arguments. h.Type is [Event], and args[0] the name, or [Ack].
//
// An argument is nil, a bool, a number, a string, a []byte or [Binary], a
// [Value] or *Value, which is copied unread, a json.RawMessage, a []any or
// map[string]any with any of these in it, or what encoding/json accepts.
// Binary data becomes an attachment wherever it is, except a []byte in a type
// other than these. A NaN or infinite number is null, a string that is not
// UTF-8 is made so, and keys of maps are sorted.
//
// The errors are [ErrPayload], [ErrReserved], [ErrPlaceholder], [ErrDepth],
// [ErrType], and those of encoding/json. text is dst then. Hot path: per event;
// strings, numbers and Values without binary data need no allocation.
func AppendPacket(dst []byte, h Header, args []any) (text []byte, attachments [][]byte, err error) {
	switch h.Type {
	case Event:
		if err := checkEvent(args); err != nil {
			return dst, nil, err
		}
	case Ack:
	default:
		return dst, nil, ErrType
	}
	e := encoder{dst: appendHeader(dst, h)}
	start := len(e.dst)
	if err := e.array(args); err != nil {
		return dst, nil, err
	}
	return e.finish(dst, h.Type, start)
}

// AppendObject appends the text of a packet of another type to dst: a
// [Connect] or [ConnectError] with an object, or, if object is nil, any packet
// without payload. What object may be and the errors are as in [AppendPacket],
// but there can be no binary data in it; only a ConnectError may be a string.
func AppendObject(dst []byte, h Header, object any) (text []byte, err error) {
	e := encoder{dst: appendHeader(dst, h)}
	if object == nil {
		return e.dst, nil
	}
	start := len(e.dst)
	if err := e.value(object); err != nil {
		return dst, err
	}
	c := e.dst[start]
	if len(e.attachments) > 0 || h.Type != Connect && h.Type != ConnectError || c != '{' && (c != '"' || h.Type == Connect) {
		return dst, ErrPayload
	}
	return e.dst, nil
}

// checkEvent looks at the name of an event to be sent.
func checkEvent(args []any) error {
	if len(args) == 0 {
		return ErrPayload
	}
	first := args[0]
	if p, ok := first.(*Value); ok && p != nil {
		first = *p
	}
	switch name := first.(type) {
	case string:
		if IsReserved(name) {
			return ErrReserved
		}
	case Value:
		var room [64]byte
		if text, ok := name.AppendText(room[:0]); ok {
			if IsReserved(conv.String(text)) {
				return ErrReserved
			}
		} else if !jsontext.IsNumber(name.bytes()[0]) {
			return ErrPayload
		}
	case int, int64, uint64, float64:
	default:
		return ErrPayload
	}
	return nil
}

// appendHeader writes all that comes before the payload of a packet without
// attachments.
func appendHeader(dst []byte, h Header) []byte {
	dst = append(dst, '0'+byte(h.Type))
	if h.Namespace != rootNamespace && h.Namespace != "" {
		dst = append(dst, h.Namespace...)
		dst = append(dst, ',')
	}
	if h.HasID {
		dst = strconv.AppendUint(dst, h.ID, 10)
	}
	return dst
}

// encoder writes arguments and gathers their attachments.
type encoder struct {
	dst         []byte
	attachments [][]byte
	depth       int
}

// finish makes a packet that is complete a binary one if it has attachments.
// Its header starts at len(before), its payload at start.
func (e *encoder) finish(before []byte, t Type, start int) ([]byte, [][]byte, error) {
	if len(e.attachments) == 0 {
		return e.dst, nil, nil
	}
	if err := checkPlaceholders(e.dst[start:], len(e.attachments)); err != nil {
		return before, nil, err
	}
	return announce(e.dst, len(before), t, len(e.attachments)), e.attachments, nil
}

// announce turns the packet at text[at:] into the binary type of t by writing
// the number of attachments into it.
func announce(text []byte, at int, t Type, attachments int) []byte {
	var room [21]byte
	count := append(strconv.AppendInt(room[:0], int64(attachments), 10), '-')
	text = slices.Insert(text, at+1, count...)
	text[at] = '0' + byte(t+BinaryEvent-Event)
	return text
}

// checkPlaceholders says whether the placeholders in b are exactly those of n
// attachments in order: an argument that looks like one would be taken for it.
func checkPlaceholders(b []byte, n int) error {
	spans, err := placeholders(make([]span, 0, n), b)
	if err != nil {
		return err
	}
	if len(spans) != n {
		return ErrPlaceholder
	}
	var room [64]byte
	for i, s := range spans {
		if string(b[s.start:s.end]) != string(appendPlaceholder(room[:0], i)) {
			return ErrPlaceholder
		}
	}
	return nil
}

// enter opens a level of nesting, which leave closes.
func (e *encoder) enter() error {
	if e.depth++; e.depth > maxNesting {
		return ErrDepth
	}
	return nil
}

func (e *encoder) leave() { e.depth-- }

func (e *encoder) array(list []any) error {
	if err := e.enter(); err != nil {
		return err
	}
	e.dst = append(e.dst, '[')
	for i, v := range list {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		if err := e.value(v); err != nil {
			return err
		}
	}
	e.dst = append(e.dst, ']')
	e.leave()
	return nil
}

// value writes one argument, or what is in it.
func (e *encoder) value(v any) error {
	switch v := v.(type) {
	case nil:
		e.null()
	case string:
		e.dst = jsontext.AppendQuoted(e.dst, v)
	case Value:
		return e.passed(v)
	case *Value:
		if v == nil {
			e.null()
			return nil
		}
		return e.passed(*v)
	case bool:
		e.dst = strconv.AppendBool(e.dst, v)
	case int:
		e.dst = strconv.AppendInt(e.dst, int64(v), 10)
	case int64:
		e.dst = strconv.AppendInt(e.dst, v, 10)
	case int32:
		e.dst = strconv.AppendInt(e.dst, int64(v), 10)
	case uint64:
		e.dst = strconv.AppendUint(e.dst, v, 10)
	case uint32:
		e.dst = strconv.AppendUint(e.dst, uint64(v), 10)
	case float64:
		e.dst = jsontext.AppendNumber(e.dst, v, 64)
	case float32:
		e.dst = jsontext.AppendNumber(e.dst, float64(v), 32)
	case []byte:
		e.attach(v)
	case Binary:
		e.attach(v)
	case json.RawMessage:
		return e.raw(v)
	case []any:
		if v == nil {
			e.null()
			return nil
		}
		return e.array(v)
	case map[string]any:
		if v == nil {
			e.null()
			return nil
		}
		return e.object(v)
	default:
		return e.reflected(reflect.ValueOf(v))
	}
	return nil
}

func (e *encoder) object(m map[string]any) error {
	if err := e.enter(); err != nil {
		return err
	}
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	e.dst = append(e.dst, '{')
	for i, key := range keys {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		e.dst = append(jsontext.AppendQuoted(e.dst, key), ':')
		if err := e.value(m[key]); err != nil {
			return err
		}
	}
	e.dst = append(e.dst, '}')
	e.leave()
	return nil
}

func (e *encoder) null() { e.dst = append(e.dst, null...) }

// attach writes a placeholder. The same data twice is sent twice, as in Node.
func (e *encoder) attach(data []byte) {
	e.dst = appendPlaceholder(e.dst, len(e.attachments))
	e.attachments = append(e.attachments, data)
}

// passed writes a value that arrived, with its placeholders renumbered.
func (e *encoder) passed(v Value) error {
	b := v.bytes()
	if v.attachments == nil {
		e.dst = append(e.dst, b...)
		return nil
	}
	spans, err := placeholders(nil, b)
	if err != nil {
		return err
	}
	from := 0
	for _, s := range spans {
		if s.num >= len(*v.attachments) {
			return ErrPlaceholder
		}
		e.dst = append(e.dst, b[from:s.start]...)
		e.attach((*v.attachments)[s.num])
		from = s.end
	}
	e.dst = append(e.dst, b[from:]...)
	return nil
}

// raw writes JSON that the application made: checked, and without space.
func (e *encoder) raw(text []byte) error {
	if text == nil {
		e.null()
		return nil
	}
	end, err := scan(text, 0, maxNesting)
	if err != nil {
		return err
	}
	if jsontext.SkipSpace(text, end) != len(text) || !utf8.Valid(text) {
		return ErrPayload
	}
	e.dst = appendCompact(e.dst, text)
	return nil
}

// appendCompact appends valid JSON without the space between its tokens.
func appendCompact(dst, text []byte) []byte {
	from := 0
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			i = jsontext.SkipString(text, i+1)
		case c <= ' ':
			dst = append(dst, text[from:i]...)
			i = jsontext.SkipSpace(text, i)
			from = i
		default:
			i++
		}
	}
	return append(dst, text[from:]...)
}
