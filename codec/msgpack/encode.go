package msgpack

import (
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Append appends a Go value: nil, [Undefined], a bool, an int of any size, a
// float, a string, a []byte, [Time], [Ext], [Raw], []string, []any, [Map] or
// map[string]any with any of these in it, or a map[string]string. A nil slice or
// map is an empty one, because many receivers want a list where they want one;
// keys of Go maps are sorted; a string that is not UTF-8 is made so.
//
// The errors are [ErrValue], [ErrDepth] (above 1,024 levels) and [ErrTooLarge];
// dst is returned unchanged with them.
func Append(dst []byte, d Dialect, v any) ([]byte, error) {
	out, err := appendValue(dst, d, v, maxDepth)
	if err != nil {
		return dst, err
	}
	return out, nil
}

func appendValue(dst []byte, d Dialect, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return AppendNil(dst), nil
	case Undefined:
		return AppendUndefined(dst, d), nil
	case bool:
		return AppendBool(dst, v), nil
	case string:
		return appendText(dst, v)
	case int:
		return AppendInt(dst, d, int64(v)), nil
	case int8:
		return AppendInt(dst, d, int64(v)), nil
	case int16:
		return AppendInt(dst, d, int64(v)), nil
	case int32:
		return AppendInt(dst, d, int64(v)), nil
	case int64:
		return AppendInt(dst, d, v), nil
	case uint:
		return AppendUint(dst, d, uint64(v)), nil
	case uint8:
		return AppendUint(dst, d, uint64(v)), nil
	case uint16:
		return AppendUint(dst, d, uint64(v)), nil
	case uint32:
		return AppendUint(dst, d, uint64(v)), nil
	case uint64:
		return AppendUint(dst, d, v), nil
	case float32:
		return AppendFloat(dst, d, float64(v)), nil
	case float64:
		return AppendFloat(dst, d, v), nil
	case Time:
		return AppendTime(dst, d, v), nil
	case []byte:
		if uint64(len(v)) > math.MaxUint32 {
			return nil, ErrTooLarge
		}
		return AppendBinary(dst, v), nil
	case Ext:
		if uint64(len(v.Data)) > math.MaxUint32 {
			return nil, ErrTooLarge
		}
		return AppendExt(dst, v), nil
	case Raw:
		return append(dst, v...), nil
	}
	if depth == 0 {
		return nil, ErrDepth
	}
	switch v := v.(type) {
	case []any:
		return appendList(dst, d, v, depth-1)
	case []string:
		return appendTexts(dst, v)
	case Map:
		return appendMembers(dst, d, v, depth-1)
	case map[string]any:
		members := make(Map, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			members = append(members, Member{key, v[key]})
		}
		return appendMembers(dst, d, members, depth-1)
	case map[string]string:
		members := make(Map, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			members = append(members, Member{key, v[key]})
		}
		return appendMembers(dst, d, members, depth-1)
	}
	return nil, ErrValue
}

func appendText(dst []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if uint64(len(s)) > math.MaxUint32 {
		return nil, ErrTooLarge
	}
	return AppendString(dst, s), nil
}

func appendList(dst []byte, d Dialect, list []any, depth int) ([]byte, error) {
	if uint64(len(list)) > math.MaxUint32 {
		return nil, ErrTooLarge
	}
	dst = AppendArray(dst, len(list))
	for _, v := range list {
		var err error
		if dst, err = appendValue(dst, d, v, depth); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func appendTexts(dst []byte, list []string) ([]byte, error) {
	if uint64(len(list)) > math.MaxUint32 {
		return nil, ErrTooLarge
	}
	dst = AppendArray(dst, len(list))
	for _, s := range list {
		var err error
		if dst, err = appendText(dst, s); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func appendMembers(dst []byte, d Dialect, members Map, depth int) ([]byte, error) {
	n := 0
	for _, m := range members {
		if !leftOut(d, m.Value) {
			n++
		}
	}
	if uint64(n) > math.MaxUint32 {
		return nil, ErrTooLarge
	}
	dst = AppendMap(dst, n)
	for _, m := range members {
		if leftOut(d, m.Value) {
			continue
		}
		var err error
		if dst, err = appendText(dst, m.Key); err != nil {
			return nil, err
		}
		if dst, err = appendValue(dst, d, m.Value, depth); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// leftOut says whether a member with this value is not written.
func leftOut(d Dialect, v any) bool {
	_, undefined := v.(Undefined)
	return undefined && d == Notepack3
}
