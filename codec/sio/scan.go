package sio

import (
	"errors"

	"github.com/fe4bcecb/wsd/codec/jsontext"
)

// maxNesting is the greatest depth that payloads may have.
const maxNesting = 1024

// scan checks the JSON value that starts at b[i], after space, and returns the
// index behind it. The errors are [ErrPayload] and [ErrDepth]. That strings are
// UTF-8 is not checked. Hot path: per message.
func scan(b []byte, i, maxDepth int) (int, error) {
	end, err := jsontext.Scan(b, i, maxDepth)
	if err != nil {
		if errors.Is(err, jsontext.ErrDepth) {
			return 0, ErrDepth
		}
		return 0, ErrPayload
	}
	return end, nil
}

// appendElements appends the elements of an array, none of anything else, and
// gives attachments to those that hold placeholders.
func appendElements(dst []Value, array []byte, attachments [][]byte) []Value {
	if len(array) == 0 || array[0] != '[' {
		return dst
	}
	var shared *[][]byte
	if len(attachments) > 0 {
		own := attachments // escapes in this case only
		shared = &own
	}
	i := jsontext.SkipSpace(array, 1)
	for array[i] != ']' {
		end := jsontext.Next(array, i)
		dst = append(dst, newValue(array[i:end], shared))
		if i = jsontext.SkipSpace(array, end); array[i] == ',' {
			i = jsontext.SkipSpace(array, i+1)
		}
	}
	return dst
}
