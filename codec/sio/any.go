package sio

import (
	"strconv"

	"github.com/fe4bcecb/wsd/codec/jsontext"
	"github.com/fe4bcecb/wsd/internal/conv"
)

// Any returns the value as Go values: nil, bool, float64, string, []byte for
// binary data, []any and map[string]any. A number beyond float64 is infinite,
// as in JavaScript. Nothing but binary data aliases the packet.
func (v Value) Any() (any, error) {
	r := reader{b: v.bytes()}
	if v.attachments != nil {
		var err error
		if r.spans, err = placeholders(nil, r.b); err != nil {
			return nil, err
		}
		r.attachments = *v.attachments
		for _, s := range r.spans {
			if s.num >= len(r.attachments) {
				return nil, ErrPlaceholder
			}
		}
	}
	return r.value(), nil
}

// reader turns valid JSON into Go values. It recurses no deeper than scan
// allowed.
type reader struct {
	b           []byte
	i           int
	spans       []span // what is left of the placeholders, in order
	attachments [][]byte
}

// value reads the value at r.i, after space, and passes over it.
func (r *reader) value() any {
	r.i = jsontext.SkipSpace(r.b, r.i)
	if len(r.spans) > 0 && r.spans[0].start == r.i {
		data := r.attachments[r.spans[0].num]
		r.i = r.spans[0].end
		r.spans = r.spans[1:]
		return data
	}
	switch r.b[r.i] {
	case '"':
		return r.text()
	case '[':
		return r.array()
	case '{':
		return r.object()
	}
	start := r.i
	r.i = jsontext.Next(r.b, start)
	switch r.b[start] {
	case 'n':
		return nil
	case 't':
		return true
	case 'f':
		return false
	}
	// The only error left is a number out of range, which comes with ±Inf.
	f, _ := strconv.ParseFloat(conv.String(r.b[start:r.i]), 64)
	return f
}

func (r *reader) text() string {
	start := r.i + 1
	r.i = jsontext.SkipString(r.b, start)
	return string(jsontext.Unquote(nil, r.b[start:r.i-1]))
}

func (r *reader) array() []any {
	list := []any{}
	for r.more(']') {
		list = append(list, r.value())
	}
	return list
}

func (r *reader) object() map[string]any {
	m := map[string]any{}
	for r.more('}') {
		key := r.text()
		r.i = jsontext.SkipSpace(r.b, r.i) + 1 // the colon
		m[key] = r.value()
	}
	return m
}

// more moves from an opening bracket, or from behind an element, to the next
// element, or behind the closing bracket.
func (r *reader) more(closing byte) bool {
	r.i = jsontext.SkipSpace(r.b, r.i)
	if r.b[r.i] == closing {
		r.i++
		return false
	}
	r.i = jsontext.SkipSpace(r.b, r.i+1) // the opening bracket or a comma
	if r.b[r.i] == closing {
		r.i++
		return false
	}
	return true
}
