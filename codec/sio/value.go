package sio

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/fe4bcecb/wsd/codec/jsontext"
	"github.com/fe4bcecb/wsd/internal/conv"
)

// Value is one argument that arrived, as it arrived: JSON with its attachments.
// It can be read, or be sent on unread as an argument of
// [AppendPacket]. It is valid as long as the packet it comes from; [Value.Clone]
// makes it last. The zero Value is null.
type Value struct {
	raw string
	// attachments are those of the whole packet; nil for a value without
	// placeholders.
	attachments *[][]byte
}

// newValue makes a Value of valid JSON in a packet with these attachments, if
// it has some.
func newValue(raw []byte, attachments *[][]byte) Value {
	v := Value{raw: conv.String(raw)}
	if attachments != nil && raw[0]|0x20 == '{' {
		if spans, err := placeholders(nil, raw); err == nil && len(spans) > 0 {
			v.attachments = attachments
		}
	}
	return v
}

// RawValue is a Value of valid JSON, which it aliases. An object that looks
// like a placeholder is an object.
func RawValue(json []byte) Value { return Value{raw: conv.String(bytes.TrimSpace(json))} }

// bytes are the value's JSON. Nobody may write to them.
func (v Value) bytes() []byte {
	if v.raw == "" {
		return conv.Bytes(null)
	}
	return conv.Bytes(v.raw)
}

// null is what the zero Value stands for.
const null = "null"

// JSON returns the text of the value, which aliases it. ok is false if there
// is binary data in the value.
func (v Value) JSON() (text []byte, ok bool) {
	if v.attachments != nil {
		return nil, false
	}
	return v.bytes(), true
}

// IsNull says whether the value is null.
func (v Value) IsNull() bool { return v.raw == "" || v.raw == null }

// Str returns the text of a string. ok is false if the value is none.
func (v Value) Str() (text string, ok bool) {
	if len(v.raw) > 0 && v.raw[0] == '"' {
		if inner := v.raw[1 : len(v.raw)-1]; strings.IndexByte(inner, '\\') < 0 {
			return strings.Clone(inner), true
		}
	}
	b, ok := v.AppendText(nil)
	return conv.String(b), ok
}

// AppendText appends the text of a string to dst. ok is false, and dst
// unchanged, if the value is none. Hot path: how the name of an event is
// looked up without an allocation.
func (v Value) AppendText(dst []byte) (text []byte, ok bool) {
	if v.raw == "" || v.raw[0] != '"' {
		return dst, false
	}
	return jsontext.Unquote(dst, v.bytes()[1:len(v.raw)-1]), true
}

// String is the text of a string, and of anything else its JSON. It is how the
// name of an event reads, which may be a number. Binary data in the value is
// shown as base64.
func (v Value) String() string {
	if s, ok := v.Str(); ok {
		return s
	}
	text, err := v.MarshalJSON()
	if err != nil {
		return ""
	}
	return conv.String(text)
}

// Bytes returns a binary argument, which is not copied. ok is false for other
// values.
func (v Value) Bytes() (data []byte, ok bool) {
	if v.attachments == nil {
		return nil, false
	}
	var room [1]span
	spans, err := placeholders(room[:0], v.bytes())
	if err != nil || len(spans) != 1 || spans[0].end-spans[0].start != len(v.raw) || spans[0].num >= len(*v.attachments) {
		return nil, false
	}
	return (*v.attachments)[spans[0].num], true
}

// Clone returns the value in its own memory. Attachments are shared: they
// belong to nobody else.
func (v Value) Clone() Value {
	v.raw = strings.Clone(v.raw)
	return v
}

// MarshalJSON is the value's JSON in its own memory, with binary data as
// base64, as encoding/json writes a []byte.
func (v Value) MarshalJSON() ([]byte, error) {
	if v.attachments == nil {
		return append([]byte(nil), v.bytes()...), nil
	}
	return v.withBase64()
}

// UnmarshalJSON makes the value a copy of text.
func (v *Value) UnmarshalJSON(text []byte) error {
	*v = Value{raw: string(text)}
	return nil
}

// Decode stores the value in what into points to, by the rules of
// encoding/json. Binary data fits a []byte, wherever it is; elsewhere it is a
// string of base64. A *any gets what [Value.Any] returns. Nothing that is
// stored aliases the packet, except binary data in a *[]byte, *Binary or *any
// and what is stored in a *Value.
func (v Value) Decode(into any) error {
	switch into := into.(type) {
	case *Value:
		*into = v
		return nil
	case *any:
		x, err := v.Any()
		if err == nil {
			*into = x
		}
		return err
	case *string:
		if s, ok := v.Str(); ok {
			*into = s
			return nil
		}
	case *[]byte:
		if b, ok := v.Bytes(); ok {
			*into = b
			return nil
		}
	case *Binary:
		if b, ok := v.Bytes(); ok {
			*into = b
			return nil
		}
	case *json.RawMessage:
		if text, ok := v.JSON(); ok {
			*into = append((*into)[:0], text...)
			return nil
		}
	}
	if v.attachments == nil {
		return json.Unmarshal(v.bytes(), into)
	}
	text, err := v.withBase64()
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// maxExpansion is how many times the bytes that arrived [Value.Decode] may
// make of them: without a bound a thousand placeholders of one attachment
// would.
const maxExpansion = 4

// withBase64 is the value's JSON with strings in place of placeholders.
func (v Value) withBase64() ([]byte, error) {
	b := v.bytes()
	spans, err := placeholders(nil, b)
	if err != nil {
		return nil, err
	}
	limit := len(b)
	for _, a := range *v.attachments {
		limit += len(a)
	}
	limit *= maxExpansion
	size := len(b)
	for _, s := range spans {
		if s.num >= len(*v.attachments) {
			return nil, ErrPlaceholder
		}
		if size += base64.StdEncoding.EncodedLen(len((*v.attachments)[s.num])); size > limit {
			return nil, ErrTooLarge
		}
	}
	dst := make([]byte, 0, size)
	from := 0
	for _, s := range spans {
		dst = append(append(dst, b[from:s.start]...), '"')
		dst = base64.StdEncoding.AppendEncode(dst, (*v.attachments)[s.num])
		dst = append(dst, '"')
		from = s.end
	}
	return append(dst, b[from:]...), nil
}
