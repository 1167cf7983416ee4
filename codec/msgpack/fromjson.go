package msgpack

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/codec/jsontext"
	"github.com/fe4bcecb/wsd/internal/conv"
)

// FromJSON appends JSON to dst as MessagePack. If there are attachments, the
// placeholders in the JSON become binary data: objects with the members
// "_placeholder", which is true, and "num", the index of an attachment; others
// may stand beside them. Without attachments such an object is an object.
//
// Numbers are what JavaScript reads them as, but whole ones of up to 64 bits
// keep all their digits (not with MsgpackJS, which has no integers beyond 2^53).
// A lone surrogate, or a byte that is not UTF-8, is U+FFFD. All members of an
// object are written, those of equal keys too, but for those named __proto__:
// decoders of JavaScript make them the object's prototype, or refuse them, and
// with one that is binary a Node server ends when it broadcasts the object.
//
// The errors are [ErrJSON], [ErrDepth] (above 1,024 levels), [ErrPlaceholder] and
// [ErrTooLarge]; dst is returned unchanged with them. Hot path: per packet,
// without allocation besides dst's growth unless there are many containers or
// escapes.
func FromJSON(dst []byte, d Dialect, json []byte, attachments [][]byte) ([]byte, error) {
	if uint64(len(json)) > math.MaxInt32 {
		return dst, ErrTooLarge
	}
	var room [16]part
	parts, err := survey(room[:0], json, len(attachments) > 0)
	if err != nil {
		return dst, err
	}
	t := transcoder{b: json, dialect: d, parts: parts, attachments: attachments}
	out, err := t.value(dst, skipSpace(json, 0))
	if err != nil {
		return dst, err
	}
	return out, nil
}

// part is what has to be known of an array or object before it is written.
type part struct {
	n    int32 // of elements or members
	next int32 // the index of the first part behind it; while open, of the one around it
	// num is the attachment it stands for, plus one: 0 for what is no
	// placeholder, and -1 for one that names none.
	num    int32
	object bool
	marked bool // the last placeholderKey is true
}

// survey checks JSON (RFC 8259) and appends its parts in the order they start;
// marks says whether to look for placeholders. It is one loop, without methods,
// so that parts can stay off the heap.
func survey(parts []part, b []byte, marks bool) (_ []part, err error) {
	open, depth := -1, 0 // the innermost part, and how many are open
	for i := skipSpace(b, 0); ; {
		if i >= len(b) {
			return nil, ErrJSON
		}
		switch c := b[i]; {
		case c == '"':
			i, err = skipString(b, i+1)
		case c == '-' || c-'0' <= 9:
			i, err = skipNumber(b, i)
		case c != '[' && c != '{':
			i, err = skipLiteral(b, i)
		case depth == maxDepth:
			return nil, ErrDepth
		default:
			depth++
			parts = append(parts, part{next: int32(open), object: c == '{'})
			open = len(parts) - 1
			if i = skipSpace(b, i+1); i < len(b) && b[i] == closing(c == '{') {
				i++
				open = int(parts[open].close(len(parts)))
				depth--
				break
			}
			if c == '{' {
				if i, err = parts[open].member(b, i, marks); err != nil {
					return nil, err
				}
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		// A value ends here, and perhaps what it is in.
		for {
			i = skipSpace(b, i)
			if open < 0 {
				if i < len(b) {
					return nil, ErrJSON
				}
				return parts, nil
			}
			if i >= len(b) {
				return nil, ErrJSON
			}
			p := &parts[open]
			p.n++
			c := b[i]
			i++
			if c == ',' {
				if i = skipSpace(b, i); p.object {
					if i, err = p.member(b, i, marks); err != nil {
						return nil, err
					}
				}
				break
			}
			if c != closing(p.object) {
				return nil, ErrJSON
			}
			open = int(p.close(len(parts)))
			depth--
		}
	}
}

func closing(object bool) byte {
	if object {
		return '}'
	}
	return ']'
}

// close ends a part before the part next, and returns the one around it.
func (p *part) close(next int) (outer int32) {
	switch {
	case !p.marked:
		p.num = 0
	case p.num == 0:
		p.num = -1
	}
	outer, p.next = p.next, int32(next)
	return outer
}

// member reads the key at b[i] and returns the index of its value.
func (p *part) member(b []byte, i int, marks bool) (value int, err error) {
	key, value, err := skipKey(b, i)
	if err == nil && isPrototype(key) {
		p.n-- // it won't be written
	}
	if err != nil || !marks || value >= len(b) {
		return value, err
	}
	switch {
	case jsontext.Is(key, placeholderKey):
		p.marked = b[value] == 't'
	case jsontext.Is(key, numberKey):
		p.num = index(b, value) + 1
	}
	return value, nil
}

// isPrototype reports whether a key, as it is in JSON, names what no member may
// be.
func isPrototype(key []byte) bool {
	return len(key) > 0 && (key[0] == '_' || key[0] == '\\') && jsontext.Is(key, prototypeKey)
}

const prototypeKey = "__proto__"

// index reads a whole number from 0 up at b[i], or returns -1.
func index(b []byte, i int) int32 {
	if b[i] != '-' && b[i]-'0' > 9 {
		return -1
	}
	end, err := skipNumber(b, i)
	if err != nil {
		return -1
	}
	f, err := strconv.ParseFloat(conv.String(b[i:end]), 64)
	if err != nil || f < 0 || f >= math.MaxInt32 || f != math.Trunc(f) {
		return -1
	}
	return int32(f)
}

// transcoder writes JSON that survey has passed. What it appends to is no field
// of it, so that the parts stay off the heap.
type transcoder struct {
	b           []byte
	i           int
	dialect     Dialect
	parts       []part // of the whole JSON
	at          int    // the next of them
	attachments [][]byte
}

// value appends the value at b[i], and moves behind it.
func (t *transcoder) value(dst []byte, i int) ([]byte, error) {
	t.i = i
	switch c := t.b[i]; c {
	case '"':
		return t.text(dst), nil
	case '[', '{':
		p := t.parts[t.at]
		if p.num != 0 {
			return t.binary(dst, p)
		}
		t.at++
		t.i = skipSpace(t.b, i+1)
		if c == '[' {
			return t.elements(AppendArray(dst, int(p.n)), false)
		}
		return t.elements(AppendMap(dst, int(p.n)), true)
	case 'n':
		t.i += len("null")
		return AppendNil(dst), nil
	case 't':
		t.i += len("true")
		return AppendBool(dst, true), nil
	case 'f':
		t.i += len("false")
		return AppendBool(dst, false), nil
	}
	return t.number(dst), nil
}

// elements appends elements or members, and moves behind the bracket.
func (t *transcoder) elements(dst []byte, keys bool) (_ []byte, err error) {
	for t.b[t.i] != closing(keys) {
		start, drop := len(dst), false
		if keys {
			drop = t.atPrototype()
			dst = t.text(dst)
			t.i = skipSpace(t.b, skipSpace(t.b, t.i)+1) // the colon
		}
		if dst, err = t.value(dst, t.i); err != nil {
			return nil, err
		}
		if drop {
			dst = dst[:start]
		}
		if t.i = skipSpace(t.b, t.i); t.b[t.i] == ',' {
			t.i = skipSpace(t.b, t.i+1)
		}
	}
	t.i++
	return dst, nil
}

// atPrototype reports whether isPrototype holds for the key at b[i].
func (t *transcoder) atPrototype() bool {
	if c := t.b[t.i+1]; c != '_' && c != '\\' {
		return false
	}
	key, _, _ := skipKey(t.b, t.i)
	return isPrototype(key)
}

// binary appends the attachment of a placeholder, and moves behind the object.
func (t *transcoder) binary(dst []byte, p part) ([]byte, error) {
	if p.num < 0 || int(p.num) > len(t.attachments) {
		return nil, ErrPlaceholder
	}
	data := t.attachments[p.num-1]
	if uint64(len(data)) > math.MaxUint32 {
		return nil, ErrTooLarge
	}
	t.at = int(p.next)
	for depth := 0; ; {
		switch t.b[t.i] {
		case '"':
			t.i, _ = skipString(t.b, t.i+1)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				t.i++
				return AppendBinary(dst, data), nil
			}
		}
		t.i++
	}
}

func (t *transcoder) text(dst []byte) []byte {
	start := t.i + 1
	t.i, _ = skipString(t.b, start)
	s := t.b[start : t.i-1]
	if bytes.IndexByte(s, '\\') < 0 && utf8.Valid(s) {
		return append(appendStringHead(dst, len(s)), s...)
	}
	// Its length is known only behind the longest head it can have.
	at := len(dst)
	dst = jsontext.Unquote(append(dst, make([]byte, longestHead)...), s)
	n := len(dst) - at - longestHead
	text := appendStringHead(dst[:at], n)
	return append(text, dst[at+longestHead:]...)
}

// longestHead is the bytes before a string of 32 bits of length.
const longestHead = 5

func (t *transcoder) number(dst []byte) []byte {
	start := t.i
	t.i, _ = skipNumber(t.b, start)
	s := t.b[start:t.i]
	negative := s[0] == '-'
	digits := s
	if negative {
		digits = s[1:]
	}
	switch n, ok := whole(digits); {
	case ok && !negative:
		return AppendUint(dst, t.dialect, n)
	case ok && n <= 1<<63:
		return AppendInt(dst, t.dialect, int64(-n))
	}
	// The only error left is a number out of range, which comes with ±Inf.
	f, _ := strconv.ParseFloat(conv.String(s), 64)
	return AppendFloat(dst, t.dialect, f)
}

// whole reads a number of digits only, if it has at most 64 bits.
func whole(s []byte) (n uint64, ok bool) {
	for _, c := range s {
		c -= '0'
		if c > 9 || n > (math.MaxUint64-uint64(c))/10 {
			return 0, false
		}
		n = n*10 + uint64(c)
	}
	return n, true
}
