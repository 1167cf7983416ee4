package msgpack

import (
	"github.com/fe4bcecb/wsd/codec/jsontext"
)

// The skip functions return the index behind what starts at b[i]. RFC 8259.

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index behind the string whose text starts at b[i].
func skipString(b []byte, i int) (int, error) {
	if i = jsontext.SkipString(b, i); i < 0 {
		return 0, ErrJSON
	}
	return i, nil
}

// skipKey returns the inside of the key at b[i], and the index of its value.
func skipKey(b []byte, i int) (key []byte, value int, err error) {
	if i >= len(b) || b[i] != '"' {
		return nil, 0, ErrJSON
	}
	end, err := skipString(b, i+1)
	if err != nil {
		return nil, 0, err
	}
	colon := skipSpace(b, end)
	if colon >= len(b) || b[colon] != ':' {
		return nil, 0, ErrJSON
	}
	return b[i+1 : end-1], skipSpace(b, colon+1), nil
}

// skipNumber returns the index behind the number at b[i].
func skipNumber(b []byte, i int) (int, error) {
	if b[i] == '-' {
		i++
	}
	start := i
	if i = skipDigits(b, i); i == start || b[start] == '0' && i > start+1 {
		return 0, ErrJSON
	}
	if i < len(b) && b[i] == '.' {
		start = i + 1
		if i = skipDigits(b, start); i == start {
			return 0, ErrJSON
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		start = i + 1
		if start < len(b) && (b[start] == '+' || b[start] == '-') {
			start++
		}
		if i = skipDigits(b, start); i == start {
			return 0, ErrJSON
		}
	}
	return i, nil
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// skipLiteral returns the index behind true, false or null at b[i].
func skipLiteral(b []byte, i int) (int, error) {
	for _, word := range [...]string{"null", "true", "false"} {
		if len(b)-i >= len(word) && string(b[i:i+len(word)]) == word {
			return i + len(word), nil
		}
	}
	return 0, ErrJSON
}
