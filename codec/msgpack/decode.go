package msgpack

import (
	"math"
	"strconv"
	"strings"

	"github.com/fe4bcecb/wsd/codec/jsontext"
	"github.com/fe4bcecb/wsd/internal/conv"
)

// Limits bound what one value may take when it is read.
type Limits struct {
	// MaxDepth is how deep arrays and maps may be nested. 0: 512; it cannot be
	// above 1,024.
	MaxDepth int
	// MaxBinary is how many binary values [ToJSON] takes out. 0: 4,096.
	MaxBinary int
}

const defaultBinary = 4096

// Decode reads a value that fills b: nil, [Undefined], bool, int64, uint64 (what
// int64 does not hold), float64, string, []byte, [Time], [Ext], []any or
// map[string]any. Of equal keys the last one counts. Binary data aliases b, and
// nothing else does. It takes a few dozen bytes of memory per byte of b at most.
//
// The errors are those of [Next], [ErrTrailing], [ErrDepth] and [ErrKey].
func Decode(b []byte, limits Limits) (any, error) {
	v, rest, err := decode(b, depthLimit(limits.MaxDepth))
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, ErrTrailing
	}
	return v, nil
}

func decode(b []byte, depth int) (v any, rest []byte, err error) {
	t, b, err := Next(b)
	if err != nil {
		return nil, nil, err
	}
	switch t.Kind {
	case KindNil:
		return nil, b, nil
	case KindUndefined:
		return Undefined{}, b, nil
	case KindBool:
		return t.Bits != 0, b, nil
	case KindInt:
		return int64(t.Bits), b, nil
	case KindUint:
		if t.Bits > math.MaxInt64 {
			return t.Bits, b, nil
		}
		return int64(t.Bits), b, nil
	case KindFloat:
		return math.Float64frombits(t.Bits), b, nil
	case KindString:
		return text(t.Data), b, nil
	case KindBinary:
		return t.Data, b, nil
	case KindTime:
		return Time(t.Bits), b, nil
	case KindExt:
		return Ext{t.Type, t.Data}, b, nil
	}
	if depth == 0 {
		return nil, nil, ErrDepth
	}
	if t.Kind == KindArray {
		return decodeArray(t.Len, b, depth-1)
	}
	return decodeMap(t.Len, b, depth-1)
}

// roomAhead is for how many elements room is made before they were seen: their
// number was only compared with the bytes left, which nested arrays share.
const roomAhead = 16

func decodeArray(n int, b []byte, depth int) (any, []byte, error) {
	list := make([]any, 0, min(n, roomAhead))
	for range n {
		v, rest, err := decode(b, depth)
		if err != nil {
			return nil, nil, err
		}
		list, b = append(list, v), rest
	}
	return list, b, nil
}

func decodeMap(n int, b []byte, depth int) (any, []byte, error) {
	m := make(map[string]any, min(n, roomAhead))
	for range n {
		key, rest, err := Next(b)
		if err != nil {
			return nil, nil, err
		}
		if !isKey(&key) {
			return nil, nil, ErrKey
		}
		var room [32]byte
		name := text(appendKey(room[:0], &key))
		v, rest, err := decode(rest, depth)
		if err != nil {
			return nil, nil, err
		}
		m[name], b = v, rest
	}
	return m, b, nil
}

// text copies a string. What is not UTF-8 becomes U+FFFD.
func text(b []byte) string {
	return strings.Clone(strings.ToValidUTF8(conv.String(b), "\uFFFD"))
}

// isKey says whether a token can be the key of a map.
func isKey(t *Token) bool {
	switch t.Kind {
	case KindString, KindInt, KindUint:
		return true
	case KindFloat:
		f := math.Float64frombits(t.Bits)
		return !math.IsNaN(f) && !math.IsInf(f, 0)
	}
	return false
}

// appendKey appends the name that JavaScript gives a key: of a number its
// decimal form.
func appendKey(dst []byte, t *Token) []byte {
	switch t.Kind {
	case KindInt:
		return strconv.AppendInt(dst, int64(t.Bits), 10)
	case KindUint:
		return strconv.AppendUint(dst, t.Bits, 10)
	case KindFloat:
		return jsontext.AppendNumber(dst, math.Float64frombits(t.Bits), 64)
	}
	return append(dst, t.Data...)
}
