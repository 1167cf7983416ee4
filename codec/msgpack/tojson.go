package msgpack

import (
	"math"
	"strconv"

	"github.com/fe4bcecb/wsd/codec/jsontext"
	"github.com/fe4bcecb/wsd/internal/conv"
)

// ToJSON appends the value that fills b to dst as JSON.stringify writes it:
// undefined members of a map are left out, what JSON cannot say is null, dates
// are strings of their ISO form, and strings are made UTF-8 where they are not.
// Each piece of binary data becomes a placeholder, and is returned as an
// attachment that aliases b. An extension of unknown type is an array of the
// type and its data. Whole numbers keep all their digits.
//
// The JSON takes at most 6 bytes per byte of b, and about 32 per placeholder.
// The errors are those of [Next], [ErrTrailing], [ErrDepth], [ErrKey],
// [ErrBinary], and [ErrPlaceholder] for a map that looks like a placeholder
// beside real ones; dst is returned unchanged with them.
func ToJSON(dst, b []byte, limits Limits) (json []byte, attachments [][]byte, err error) {
	w := jsonWriter{dst: dst, maxBinary: limits.MaxBinary}
	if w.maxBinary <= 0 {
		w.maxBinary = defaultBinary
	}
	rest, err := w.value(b, depthLimit(limits.MaxDepth))
	switch {
	case err != nil:
		return dst, nil, err
	case len(rest) > 0:
		return dst, nil, ErrTrailing
	case w.lookalike && len(w.attachments) > 0:
		return dst, nil, ErrPlaceholder
	}
	return w.dst, w.attachments, nil
}

type jsonWriter struct {
	dst         []byte
	attachments [][]byte
	maxBinary   int
	lookalike   bool // there is a map with the key of a placeholder
}

// value writes the first value of b and returns what follows it.
func (w *jsonWriter) value(b []byte, depth int) (rest []byte, err error) {
	t, b, err := Next(b)
	if err != nil {
		return nil, err
	}
	return w.token(&t, b, depth)
}

// token writes the value that starts with t; b is what follows t.
func (w *jsonWriter) token(t *Token, b []byte, depth int) (rest []byte, err error) {
	switch t.Kind {
	case KindNil, KindUndefined:
		w.dst = append(w.dst, "null"...)
	case KindBool:
		w.dst = strconv.AppendBool(w.dst, t.Bits != 0)
	case KindInt:
		w.dst = strconv.AppendInt(w.dst, int64(t.Bits), 10)
	case KindUint:
		w.dst = strconv.AppendUint(w.dst, t.Bits, 10)
	case KindFloat:
		w.dst = jsontext.AppendNumber(w.dst, math.Float64frombits(t.Bits), 64)
	case KindString:
		w.dst = jsontext.AppendQuoted(w.dst, conv.String(t.Data))
	case KindTime:
		w.dst = appendISO(w.dst, Time(t.Bits))
	case KindBinary:
		return b, w.attach(t.Data)
	case KindExt:
		w.dst = strconv.AppendInt(append(w.dst, '['), int64(t.Type), 10)
		w.dst = append(w.dst, ',')
		if err := w.attach(t.Data); err != nil {
			return nil, err
		}
		w.dst = append(w.dst, ']')
	case KindArray:
		if depth == 0 {
			return nil, ErrDepth
		}
		return w.array(t.Len, b, depth-1)
	case KindMap:
		if depth == 0 {
			return nil, ErrDepth
		}
		return w.object(t.Len, b, depth-1)
	}
	return b, nil
}

func (w *jsonWriter) array(n int, b []byte, depth int) (rest []byte, err error) {
	w.dst = append(w.dst, '[')
	for i := range n {
		if i > 0 {
			w.dst = append(w.dst, ',')
		}
		if b, err = w.value(b, depth); err != nil {
			return nil, err
		}
	}
	w.dst = append(w.dst, ']')
	return b, nil
}

func (w *jsonWriter) object(n int, b []byte, depth int) (rest []byte, err error) {
	w.dst = append(w.dst, '{')
	first := true
	for range n {
		key, after, err := Next(b)
		if err != nil {
			return nil, err
		}
		if !isKey(&key) {
			return nil, ErrKey
		}
		t, after, err := Next(after)
		if err != nil {
			return nil, err
		}
		b = after
		if t.Kind == KindUndefined {
			continue
		}
		if !first {
			w.dst = append(w.dst, ',')
		}
		first = false
		w.key(&key)
		if b, err = w.token(&t, b, depth); err != nil {
			return nil, err
		}
	}
	w.dst = append(w.dst, '}')
	return b, nil
}

func (w *jsonWriter) key(t *Token) {
	if t.Kind == KindString {
		w.lookalike = w.lookalike || string(t.Data) == placeholderKey
		w.dst = append(jsontext.AppendQuoted(w.dst, conv.String(t.Data)), ':')
		return
	}
	w.dst = append(appendKey(append(w.dst, '"'), t), '"', ':')
}

// placeholderKey and numberKey are the members of a placeholder, an object like
// {"_placeholder":true,"num":0}: socket.io-parser.
const (
	placeholderKey = "_placeholder"
	numberKey      = "num"
)

// attach writes a placeholder. The same data twice is sent twice, as in Node.
func (w *jsonWriter) attach(data []byte) error {
	if len(w.attachments) >= w.maxBinary {
		return ErrBinary
	}
	w.dst = append(w.dst, `{"`+placeholderKey+`":true,"`+numberKey+`":`...)
	w.dst = append(strconv.AppendInt(w.dst, int64(len(w.attachments)), 10), '}')
	w.attachments = append(w.attachments, data)
	return nil
}
