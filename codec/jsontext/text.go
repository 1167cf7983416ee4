// Package jsontext reads and writes the leaves of JSON, strings and numbers, as
// ECMAScript's JSON does. It does no I/O.
//
// Spec: RFC 8259; ECMA-262, JSON.stringify.
package jsontext

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/internal/conv"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// Stop returns the index of the first byte from b[i] on that does not
// stand for itself in a string: a quote, a backslash, or a control character.
func Stop(b []byte, i int) int {
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

// SkipString returns the index behind the string whose text starts at b[i], or
// -1 if it is malformed.
func SkipString(b []byte, i int) int {
	for {
		if i = Stop(b, i); i >= len(b) {
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

// Unquote appends the text of a string, valid JSON without its quotes, to dst.
// A lone surrogate, which UTF-8 cannot say, becomes U+FFFD.
func Unquote(dst, s []byte) []byte {
	for {
		i := bytes.IndexByte(s, '\\')
		if i < 0 {
			return appendUTF8(dst, s)
		}
		dst = appendUTF8(dst, s[:i])
		c := s[i+1]
		s = s[i+2:]
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(s)
			s = s[4:]
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if len(s) >= 6 && s[0] == '\\' && s[1] == 'u' {
					low = hex4(s[2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					s = s[6:]
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
	}
}

// Is says whether s, as in [Unquote], is the text want.
func Is(s []byte, want string) bool {
	if string(s) == want {
		return true
	}
	if len(s) <= len(want) || bytes.IndexByte(s, '\\') < 0 {
		return false
	}
	var room [64]byte
	return string(Unquote(room[:0], s)) == want
}

// AppendQuoted writes s as a string of JSON, as JSON.stringify does: escapes
// only where they are needed. Bytes that are not UTF-8 become U+FFFD. Hot
// path: per string argument.
func AppendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	b := conv.Bytes(s)
	for start := 0; ; {
		stop := Stop(b, start)
		dst = appendUTF8(dst, b[start:stop])
		if stop == len(b) {
			return append(dst, '"')
		}
		switch c := b[stop]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			const digits = "0123456789abcdef"
			dst = append(dst, `\u00`...)
			dst = append(dst, digits[c>>4], digits[c&15])
		}
		start = stop + 1
	}
}

// appendUTF8 appends b with what is not UTF-8 replaced by U+FFFD.
func appendUTF8(dst, b []byte) []byte {
	if utf8.Valid(b) {
		return append(dst, b...)
	}
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		dst = utf8.AppendRune(dst, r)
		b = b[n:]
	}
	return dst
}

// AppendNumber writes a number as JSON.stringify does.
func AppendNumber(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	if f == 0 {
		return append(dst, '0') // -0 too
	}
	if abs := math.Abs(f); abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, bits)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, bits)
	if n := len(dst); dst[n-4] == 'e' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1] // e-09 to e-9
		dst = dst[:n-1]
	}
	return dst
}
