package frame

import "encoding/binary"

// UTF8 checks a stream of bytes that arrives in pieces cut anywhere. The zero
// value is ready.
type UTF8 struct {
	state uint8
}

// States of the automaton, each the shift that selects its row in a column of
// utf8Columns. 9 states of 6 bits fit a word.
const (
	stateStart = 6 * iota // between two code points
	stateLast             // 1 continuation byte to come
	stateTwo              // 2 to come
	stateThree            // 3 to come
	stateE0               // 2 to come, below 0xA0 would be overlong
	stateED               // 2 to come, above 0x9F would be a surrogate
	stateF0               // 3 to come, below 0x90 would be overlong
	stateF4               // 3 to come, above 0x8F would pass U+10FFFF
	stateBad              // not UTF-8; stays
)

// utf8Columns holds for each byte the next state of every state, at the
// state's shift. A step is then one load and one shift, with only the shift
// waiting for the step before.
var utf8Columns = makeUTF8Columns()

func makeUTF8Columns() (columns [256]uint64) {
	for b := range 256 {
		for state := stateStart; state <= stateBad; state += 6 {
			columns[b] |= utf8Step(state, byte(b)) << state
		}
	}
	return columns
}

// utf8Step is the automaton in words. RFC 3629 4.
func utf8Step(state int, b byte) uint64 {
	within := func(lo, hi byte, next uint64) uint64 {
		if lo <= b && b <= hi {
			return next
		}
		return stateBad
	}
	switch state {
	case stateStart:
		return utf8Lead(b)
	case stateLast:
		return within(0x80, 0xBF, stateStart)
	case stateTwo:
		return within(0x80, 0xBF, stateLast)
	case stateThree:
		return within(0x80, 0xBF, stateTwo)
	case stateE0:
		return within(0xA0, 0xBF, stateLast)
	case stateED:
		return within(0x80, 0x9F, stateLast)
	case stateF0:
		return within(0x90, 0xBF, stateTwo)
	case stateF4:
		return within(0x80, 0x8F, stateTwo)
	}
	return stateBad
}

func utf8Lead(b byte) uint64 {
	switch {
	case b <= 0x7F:
		return stateStart
	case b < 0xC2, b > 0xF4: // continuations, overlongs, above U+10FFFF
		return stateBad
	case b <= 0xDF:
		return stateLast
	case b == 0xE0:
		return stateE0
	case b == 0xED:
		return stateED
	case b <= 0xEF:
		return stateTwo
	case b == 0xF0:
		return stateF0
	case b == 0xF4:
		return stateF4
	}
	return stateThree
}

// Reset makes u ready for another stream.
func (u *UTF8) Reset() { u.state = stateStart }

// Complete reports whether the stream may end here: all of it was UTF-8 and no
// code point is unfinished.
func (u *UTF8) Complete() bool { return u.state == stateStart }

// Write checks the next bytes of the stream. It returns false at the first
// byte that cannot belong to UTF-8, even inside a code point, and from then on
// until Reset. RFC 6455 8.1, RFC 3629.
//
// Hot path: per text frame.
func (u *UTF8) Write(p []byte) bool {
	s := uint64(u.state)
	for len(p) >= 8 {
		if s == stateStart {
			if p = skipASCII(p); len(p) < 8 {
				break
			}
		}
		q := p[:8:8]
		s = utf8Columns[q[0]] >> (s & 63)
		s = utf8Columns[q[1]] >> (s & 63)
		s = utf8Columns[q[2]] >> (s & 63)
		s = utf8Columns[q[3]] >> (s & 63)
		s = utf8Columns[q[4]] >> (s & 63)
		s = utf8Columns[q[5]] >> (s & 63)
		s = utf8Columns[q[6]] >> (s & 63)
		s = utf8Columns[q[7]] >> (s & 63) & 63
		p = p[8:]
	}
	for _, b := range p {
		s = utf8Columns[b] >> (s & 63)
	}
	u.state = uint8(s & 63)
	return u.state != stateBad
}

const highBits = 0x8080808080808080

// skipASCII drops leading ASCII from p in steps of 8 bytes.
func skipASCII(p []byte) []byte {
	for len(p) >= 32 {
		w := binary.LittleEndian.Uint64(p) | binary.LittleEndian.Uint64(p[8:]) |
			binary.LittleEndian.Uint64(p[16:]) | binary.LittleEndian.Uint64(p[24:])
		if w&highBits != 0 {
			break
		}
		p = p[32:]
	}
	for len(p) >= 8 && binary.LittleEndian.Uint64(p)&highBits == 0 {
		p = p[8:]
	}
	return p
}
