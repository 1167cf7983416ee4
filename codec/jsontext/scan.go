package jsontext

import "errors"

var (
	// ErrSyntax is text that is not JSON.
	ErrSyntax = errors.New("jsontext: invalid JSON")
	// ErrDepth is JSON nested deeper than the limit.
	ErrDepth = errors.New("jsontext: nested too deep")
)

// MaxDepth is the greatest depth that [Scan] has room for: 1,024 levels, and some
// more for what those are sent in.
const MaxDepth = 1024 + 64

// Scan checks the JSON value that starts at b[i], after space, and returns the
// index behind it. maxDepth must not be above [MaxDepth]. The errors are
// [ErrSyntax] and [ErrDepth]. RFC 8259; that strings are UTF-8 is not checked.
// Hot path: per message.
func Scan(b []byte, i, maxDepth int) (int, error) {
	// A bit for each level that is open: set for an object, clear for an array.
	var objects [MaxDepth / 64]uint64
	depth := 0
	for {
		if i = SkipSpace(b, i); i >= len(b) {
			return 0, ErrSyntax
		}
		switch c := b[i]; {
		case c == '"':
			if i = SkipString(b, i+1); i < 0 {
				return 0, ErrSyntax
			}
		case c == '{':
			if depth >= maxDepth {
				return 0, ErrDepth
			}
			if i = SkipSpace(b, i+1); i < len(b) && b[i] == '}' {
				i++
				break
			}
			objects[depth/64] |= 1 << (depth % 64)
			depth++
			if i = skipKey(b, i); i < 0 {
				return 0, ErrSyntax
			}
			continue
		case c == '[':
			if depth >= maxDepth {
				return 0, ErrDepth
			}
			if i = SkipSpace(b, i+1); i < len(b) && b[i] == ']' {
				i++
				break
			}
			objects[depth/64] &^= 1 << (depth % 64)
			depth++
			continue
		default:
			if IsNumber(c) {
				i = skipNumber(b, i)
			} else {
				i = skipLiteral(b, i)
			}
			if i < 0 {
				return 0, ErrSyntax
			}
		}
		// A value ends here, and perhaps what it is in.
		for {
			if depth == 0 {
				return i, nil
			}
			if i = SkipSpace(b, i); i >= len(b) {
				return 0, ErrSyntax
			}
			object := objects[(depth-1)/64]&(1<<((depth-1)%64)) != 0
			if b[i] == ',' {
				i++
				if object {
					if i = skipKey(b, i); i < 0 {
						return 0, ErrSyntax
					}
				}
				break
			}
			if object && b[i] != '}' || !object && b[i] != ']' {
				return 0, ErrSyntax
			}
			i++
			depth--
		}
	}
}

// SkipSpace returns the index of the first byte from b[i] on that is not
// space.
func SkipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipKey passes over space, a key, and its colon.
func skipKey(b []byte, i int) int {
	if i = SkipSpace(b, i); i >= len(b) || b[i] != '"' {
		return -1
	}
	if i = SkipString(b, i+1); i < 0 {
		return -1
	}
	if i = SkipSpace(b, i); i >= len(b) || b[i] != ':' {
		return -1
	}
	return i + 1
}

// IsNumber says whether a number starts with c.
func IsNumber(c byte) bool { return c == '-' || c-'0' <= 9 }

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

// Next returns the index behind the value at b[i], in JSON that [Scan] has
// passed.
func Next(b []byte, i int) int {
	switch b[i] {
	case '"':
		return SkipString(b, i+1)
	case '{', '[':
		depth := 0
		for {
			switch b[i] {
			case '"':
				i = SkipString(b, i+1)
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
