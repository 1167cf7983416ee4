package cluster

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/codec/msgpack"
)

// appendBuffers appends JSON with its attachments as JSON alone: each of them as
// {"type":"Buffer","data":[1,2]}, which is what Node makes of binary data where
// an adapter writes nothing but JSON.
func appendBuffers(dst, text []byte, attachments [][]byte) ([]byte, error) {
	packed, err := msgpack.FromJSON(nil, msgpack.Notepack3, text, attachments)
	if err != nil {
		return dst, err
	}
	return appendPlain(dst, packed)
}

// placeholder is how msgpack.ToJSON starts one. Nothing else in its output reads
// so, because a quote within a string is escaped.
const placeholder = `{"_placeholder":true,"num":`

// appendPlain appends a value of MessagePack as JSON without attachments.
func appendPlain(dst, packed []byte) ([]byte, error) {
	text, attachments, err := toJSON(nil, packed)
	if err != nil {
		return dst, err
	}
	for _, data := range attachments {
		start := bytes.Index(text, []byte(placeholder))
		if start < 0 {
			return dst, errPayload
		}
		dst = append(dst, text[:start]...)
		dst = appendBuffer(dst, data)
		text = text[start:]
		text = text[bytes.IndexByte(text, '}')+1:]
	}
	return append(dst, text...), nil
}

// toJSON is msgpack.ToJSON with the limits of payloads.
func toJSON(dst, packed []byte) (text []byte, attachments [][]byte, err error) {
	if dst == nil {
		dst = make([]byte, 0, len(packed)+len(packed)/4+spare)
	}
	return msgpack.ToJSON(dst, packed, msgpack.Limits{MaxDepth: maxDepth})
}

// spare is room for quotes and commas.
const spare = 32

func appendBuffer(dst, data []byte) []byte {
	dst = append(dst, `{"type":"Buffer","data":[`...)
	for i, c := range data {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendUint(dst, uint64(c), 10)
	}
	return append(dst, ']', '}')
}

// validText copies text, with U+FFFD in place of what is not UTF-8.
func validText(text []byte) []byte {
	dst := make([]byte, 0, len(text)+len(text)/2)
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		dst = utf8.AppendRune(dst, r)
		text = text[n:]
	}
	return dst
}
