package sio

import (
	"strconv"

	"github.com/fe4bcecb/wsd/codec/jsontext"
)

// span is a placeholder in JSON.
type span struct {
	start, end int // of the object
	num        int // the attachment it stands for; -1 if it names none
}

// placeholderKey and numberKey are the members of a placeholder:
// {"_placeholder":true,"num":0}. Others may stand beside them.
const (
	placeholderKey = "_placeholder"
	numberKey      = "num"
)

// level is an object or array that is open.
type level struct {
	start  int
	object bool
	marked bool // has placeholderKey, last with true
	num    int  // the last value of numberKey, or -1
}

// placeholders appends the placeholders in b, valid JSON or nothing, in the
// order of the text. As in Node, an object inside a placeholder is none, and
// of duplicate keys the last one counts. A placeholder without a whole number
// from 0 up is [ErrPlaceholder].
func placeholders(dst []span, b []byte) ([]span, error) {
	var room [8]level
	levels := room[:0]
	key := false // whether a string at i is a key of the innermost object
	for i := 0; i < len(b); {
		switch c := b[i]; c {
		case '{', '[':
			levels = append(levels, level{start: i, object: c == '{', num: -1})
			key = c == '{'
			i++
		case '}', ']':
			top := levels[len(levels)-1]
			levels = levels[:len(levels)-1]
			i++
			if !top.marked {
				break
			}
			for len(dst) > 0 && dst[len(dst)-1].start > top.start {
				dst = dst[:len(dst)-1]
			}
			dst = append(dst, span{top.start, i, top.num})
		case ',':
			key = levels[len(levels)-1].object
			i++
		case '"':
			end := jsontext.SkipString(b, i+1)
			text := b[i+1 : end-1]
			i = end
			if !key {
				break
			}
			key = false
			i = jsontext.SkipSpace(b, i) + 1 // the colon
			i = jsontext.SkipSpace(b, i)
			top := &levels[len(levels)-1]
			switch {
			case jsontext.Is(text, placeholderKey):
				top.marked = b[i] == 't'
			case jsontext.Is(text, numberKey):
				top.num = placeholderNumber(b, i)
			}
		default:
			i++
		}
	}
	for _, s := range dst {
		if s.num < 0 {
			return nil, ErrPlaceholder
		}
	}
	return dst, nil
}

// placeholderNumber reads the value at b[i], or returns -1 if it is not a
// whole number from 0 up.
func placeholderNumber(b []byte, i int) int {
	if !jsontext.IsNumber(b[i]) {
		return -1
	}
	text := b[i:jsontext.Next(b, i)]
	if n, err := strconv.Atoi(string(text)); err == nil {
		return max(n, -1)
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || f < 0 || f > 1<<31 || f != float64(int(f)) {
		return -1
	}
	return int(f)
}

// appendPlaceholder writes the placeholder of attachment n.
func appendPlaceholder(dst []byte, n int) []byte {
	dst = append(dst, `{"`+placeholderKey+`":true,"`+numberKey+`":`...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, '}')
}
