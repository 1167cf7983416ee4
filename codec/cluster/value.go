package cluster

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/codec/jsontext"
	"github.com/fe4bcecb/wsd/codec/msgpack"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/internal/conv"
)

// value is one value of a message that arrived, which was checked as a whole:
// JSON or MessagePack. Without bytes it is absent, or undefined.
type value struct {
	b      []byte
	packed bool
}

// parseJSON checks a text that starts with its first brace.
func parseJSON(b []byte) (value, error) {
	if !utf8.Valid(b) {
		b = validText(b)
	}
	end, err := jsontext.Scan(b, 0, jsontext.MaxDepth)
	if err != nil || jsontext.SkipSpace(b, end) != len(b) {
		return value{}, errSyntax
	}
	return value{b: b[:end:end]}, nil
}

func parsePacked(b []byte) (value, error) {
	rest, err := msgpack.Skip(b)
	if err != nil || len(rest) > 0 {
		return value{}, errSyntax
	}
	return value{b, true}, nil
}

// parseAny reads JSON if it can be an object, and MessagePack else, as Node does.
func parseAny(b []byte) (value, error) {
	if len(b) > 0 && b[0] == '{' {
		return parseJSON(b)
	}
	return parsePacked(b)
}

// token is the head of MessagePack.
func (v value) token() (t msgpack.Token, rest []byte) {
	t, rest, _ = msgpack.Next(v.b)
	return t, rest
}

// missing says whether there is nothing, or null.
func (v value) missing() bool {
	if v.packed {
		return v.b[0] == 0xc0
	}
	return len(v.b) == 0 || v.b[0] == 'n'
}

// text reads a string, into new memory.
func (v value) text() (s string, ok bool) {
	if v.packed {
		t, _ := v.token()
		if t.Kind != msgpack.KindString {
			return "", false
		}
		return toText(string(t.Data)), true
	}
	if len(v.b) == 0 || v.b[0] != '"' {
		return "", false
	}
	inside := v.b[1 : len(v.b)-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		return string(inside), true
	}
	return string(jsontext.Unquote(nil, inside)), true
}

// toText makes a string UTF-8 where it is not, as JavaScript does.
func toText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// number reads a number, as JavaScript has it.
func (v value) number() (f float64, ok bool) {
	if !v.packed {
		if len(v.b) == 0 || !jsontext.IsNumber(v.b[0]) {
			return 0, false
		}
		f, _ = strconv.ParseFloat(conv.String(v.b), 64) // ±Inf when out of range
		return f, true
	}
	switch t, _ := v.token(); t.Kind {
	case msgpack.KindInt:
		return float64(int64(t.Bits)), true
	case msgpack.KindUint:
		return float64(t.Bits), true
	case msgpack.KindFloat:
		return math.Float64frombits(t.Bits), true
	}
	return 0, false
}

// maxWhole is how far JavaScript counts.
const maxWhole = 1 << 53

// whole reads a whole number from 0 up to maxWhole.
func (v value) whole() (n uint64, ok bool) {
	f, ok := v.number()
	if !ok || f < 0 || f > maxWhole || f != math.Trunc(f) {
		return 0, false
	}
	return uint64(f), true
}

// name reads a name: Node's users may name rooms and events by numbers, which are
// their decimal form here.
func (v value) name() (s string, ok bool) {
	if s, ok = v.text(); ok {
		return s, true
	}
	f, ok := v.number()
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
		return "", false
	}
	var room [32]byte
	return string(jsontext.AppendNumber(room[:0], f, 64)), true
}

// bool reads true or false.
func (v value) bool() (b, ok bool) {
	if v.packed {
		t, _ := v.token()
		return t.Bits != 0, t.Kind == msgpack.KindBool
	}
	if len(v.b) == 0 || v.b[0] != 't' && v.b[0] != 'f' {
		return false, false
	}
	return v.b[0] == 't', true
}

// truthy is what JavaScript makes of the value in a condition.
func (v value) truthy() bool {
	if b, ok := v.bool(); ok {
		return b
	}
	if f, ok := v.number(); ok {
		return f != 0 && f == f
	}
	if s, ok := v.text(); ok {
		return s != ""
	}
	return !v.missing()
}

// elements are those of a list that are still to come.
type elements struct {
	b      []byte
	n      int // of MessagePack
	packed bool
}

// elements reads a list. ok is false if it is none.
func (v value) elements() (e elements, ok bool) {
	if v.packed {
		t, rest := v.token()
		return elements{rest, t.Len, true}, t.Kind == msgpack.KindArray
	}
	if len(v.b) == 0 || v.b[0] != '[' {
		return elements{}, false
	}
	return elements{b: v.b[1:]}, true
}

// next returns the next element. ok is false if there is none.
func (e *elements) next() (v value, ok bool) {
	if e.packed {
		if e.n == 0 {
			return value{}, false
		}
		after, err := msgpack.Skip(e.b)
		if err != nil {
			return value{}, false
		}
		v, e.b, e.n = value{e.b[:len(e.b)-len(after)], true}, after, e.n-1
		return v, true
	}
	i := jsontext.SkipSpace(e.b, 0)
	if e.b[i] == ']' {
		return value{}, false
	}
	end := jsontext.Next(e.b, i)
	v = value{b: e.b[i:end:end]}
	if i = jsontext.SkipSpace(e.b, end); e.b[i] == ',' {
		i++
	}
	e.b = e.b[i:]
	return v, true
}

// names reads a list of names; none is the same as an empty one. A name that is
// neither text nor a number makes all of them malformed: without it the list may
// be empty, and mean everybody.
func (v value) names() (list []string, err error) {
	if v.missing() {
		return nil, nil
	}
	all, ok := v.elements()
	if !ok {
		return nil, errName
	}
	for {
		e, ok := all.next()
		if !ok {
			return list, nil
		}
		s, ok := e.name()
		if !ok {
			return nil, errName
		}
		list = append(list, s)
	}
}

// json returns the value as JSON, with the attachments that its placeholders
// stand for. It aliases the message.
func (v value) json() (text []byte, attachments [][]byte, err error) {
	if v.packed {
		text, attachments, err = toJSON(nil, v.b)
		if err != nil {
			return nil, nil, errPayload
		}
		return text, attachments, nil
	}
	const least = len("[]") // of a level
	if len(v.b) > least*maxDepth {
		if _, err := jsontext.Scan(v.b, 0, maxDepth); err != nil {
			return nil, nil, errPayload
		}
	}
	return v.b, nil, nil
}

// plain returns the value as JSON without attachments.
func (v value) plain() ([]byte, error) {
	if !v.packed {
		text, _, err := v.json()
		return text, err
	}
	text, err := appendPlain(nil, v.b)
	if err != nil {
		return nil, errPayload
	}
	return text, nil
}

// list reads a payload, which must be a list.
func (v value) list() (p sio.Payload, err error) {
	if p.JSON, p.Attachments, err = v.json(); err != nil {
		return sio.Payload{}, err
	}
	if len(p.JSON) == 0 || p.JSON[0] != '[' {
		return sio.Payload{}, errPayload
	}
	return p, nil
}

// wrapped reads a payload of one argument, or of none if the value is absent.
func (v value) wrapped() (p sio.Payload, err error) {
	if len(v.b) == 0 {
		return sio.Payload{JSON: []byte("[]")}, nil
	}
	text, attachments, err := v.json()
	if err != nil {
		return sio.Payload{}, err
	}
	dst := append(make([]byte, 0, len(text)+len("[]")), '[')
	return sio.Payload{JSON: append(append(dst, text...), ']'), Attachments: attachments}, nil
}
