package sio

import (
	"encoding/binary"
	"math/bits"
)

// maxNesting is the greatest depth that [scan] has room for.
const maxNesting = 1024

// scan checks the JSON value that starts at b[i], after space, and returns the
// index behind it. The errors are [ErrPayload] and [ErrDepth]. RFC 8259; that
// strings are UTF-8 is not checked. Hot path: per message.
func scan(b []byte, i, maxDepth int) (int, error) {
	// A bit for each level that is open: set for an object, clear for an array.
	var objects [maxNesting / 64]uint64
	depth := 0
	for {
		if i = skipSpace(b, i); i >= len(b) {
			return 0, ErrPayload
		}
		switch c := b[i]; {
		case c == '"':
			if i = skipString(b, i+1); i < 0 {
				return 0, ErrPayload
			}
		case c == '{':
			if depth >= maxDepth {
				return 0, ErrDepth
			}
			if i = skipSpace(b, i+1); i < len(b) && b[i] == '}' {
				i++
				break
			}
			objects[depth/64] |= 1 << (depth % 64)
			depth++
			if i = skipKey(b, i); i < 0 {
				return 0, ErrPayload
			}
			continue
		case c == '[':
			if depth >= maxDepth {
				return 0, ErrDepth
			}
			if i = skipSpace(b, i+1); i < len(b) && b[i] == ']' {
				i++
				break
			}
			objects[depth/64] &^= 1 << (depth % 64)
			depth++
			continue
		default:
			if isNumber(c) {
				i = skipNumber(b, i)
			} else {
				i = skipLiteral(b, i)
			}
			if i < 0 {
				return 0, ErrPayload
			}
		}
		// A value ends here, and perhaps what it is in.
		for {
			if depth == 0 {
				return i, nil
			}
			if i = skipSpace(b, i); i >= len(b) {
				return 0, ErrPayload
			}
			object := objects[(depth-1)/64]&(1<<((depth-1)%64)) != 0
			if b[i] == ',' {
				i++
				if object {
					if i = skipKey(b, i); i < 0 {
						return 0, ErrPayload
					}
				}
				break
			}
			if object && b[i] != '}' || !object && b[i] != ']' {
				return 0, ErrPayload
			}
			i++
			depth--
		}
	}
}

// skipSpace returns the index of the first byte from b[i] on that is not
// space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipKey passes over space, a key, and its colon.
func skipKey(b []byte, i int) int {
	if i = skipSpace(b, i); i >= len(b) || b[i] != '"' {
		return -1
	}
	if i = skipString(b, i+1); i < 0 {
		return -1
	}
	if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
		return -1
	}
	return i + 1
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// stringStop returns the index of the first byte from b[i] on that does not
// stand for itself in a string: a quote, a backslash, or a control character.
func stringStop(b []byte, i int) int {
	for i+8 <= len(b) {
		// Eight bytes at a time. Each test sets the high bit of the bytes it
		// looks for; a borrow can set more above the first, never below it.
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^('"'*ones), w^('\\'*ones)
		stop := ((quote-ones)&^quote | (slash-ones)&^slash | (w-' '*ones)&^w) & highs
		if stop != 0 {
			return i + bits.TrailingZeros64(stop)/8
		}
		i += 8
	}
	for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// skipString returns the index behind the string whose text starts at b[i], or
// -1 if it is malformed.
func skipString(b []byte, i int) int {
	for {
		if i = stringStop(b, i); i >= len(b) {
			return -1
		}
		if b[i] == '"' {
			return i + 1
		}
		if b[i] != '\\' || i+1 >= len(b) {
			return -1
		}
		switch b[i+1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			i += 2
		case 'u':
			if len(b)-i < 6 || hex4(b[i+2:]) < 0 {
				return -1
			}
			i += 6
		default:
			return -1
		}
	}
}

// hex4 reads four hexadecimal digits, or returns -1.
func hex4(b []byte) rune {
	var r rune
	for _, c := range b[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// isNumber says whether a number starts with c.
func isNumber(c byte) bool { return c == '-' || c-'0' <= 9 }

// skipNumber returns the index behind the number at b[i], or -1.
func skipNumber(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	start := i
	if i = skipDigits(b, i); i == start || b[start] == '0' && i > start+1 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		start = i + 1
		if i = skipDigits(b, start); i == start {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		start = i + 1
		if start < len(b) && (b[start] == '+' || b[start] == '-') {
			start++
		}
		if i = skipDigits(b, start); i == start {
			return -1
		}
	}
	return i
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// skipLiteral returns the index behind true, false or null at b[i], or -1.
func skipLiteral(b []byte, i int) int {
	word := "null"
	switch b[i] {
	case 't':
		word = "true"
	case 'f':
		word = "false"
	}
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

// The functions below read JSON that scan has passed.

// next returns the index behind the value at b[i].
func next(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i+1)
	case '{', '[':
		depth := 0
		for {
			switch b[i] {
			case '"':
				i = skipString(b, i+1)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for i < len(b) && b[i] != ',' && b[i] != ']' && b[i] != '}' && b[i] > ' ' {
		i++
	}
	return i
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
	i := skipSpace(array, 1)
	for array[i] != ']' {
		end := next(array, i)
		dst = append(dst, newValue(array[i:end], shared))
		if i = skipSpace(array, end); array[i] == ',' {
			i = skipSpace(array, i+1)
		}
	}
	return dst
}
