package sio

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/internal/conv"
)

// unquote appends the text of a string, valid JSON without its quotes, to dst.
// A lone surrogate, which UTF-8 cannot say, becomes U+FFFD.
func unquote(dst, s []byte) []byte {
	for {
		i := bytes.IndexByte(s, '\\')
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
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

// isText says whether s, as in [unquote], is the text want.
func isText(s []byte, want string) bool {
	if string(s) == want {
		return true
	}
	if len(s) <= len(want) || bytes.IndexByte(s, '\\') < 0 {
		return false
	}
	var room [64]byte
	return string(unquote(room[:0], s)) == want
}

// appendQuoted writes s as a string of JSON, as JSON.stringify does: escapes
// only where they are needed. Bytes that are not UTF-8 become U+FFFD. Hot
// path: per string argument.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	b := conv.Bytes(s)
	for start := 0; ; {
		stop := stringStop(b, start)
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
