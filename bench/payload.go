package bench

import (
	"bytes"
	"fmt"
)

const (
	sequenceBits = 40
	sequenceMask = 1<<sequenceBits - 1
)

// identity is what a message is known by: its sender and its sequence number
// there, in one word.
func identity(sender int, seq uint64) uint64 { return uint64(sender)<<sequenceBits | seq&sequenceMask }

// pattern is the payload of every message of a run but for its identity, which
// stands in hexadecimal digits behind the prefix. A payload too short for all
// digits has the last ones. Safe from any goroutine once made.
type pattern struct {
	body   []byte
	at     int // offset of the digits
	digits int
}

// newPattern makes a payload of size bytes, text like that of a JSON feed so
// that it compresses as such.
func newPattern(prefix string, size int) *pattern {
	p := &pattern{at: len(prefix), digits: min(headDigits, size-len(prefix))}
	b := append([]byte(prefix), bytes.Repeat([]byte{'0'}, p.digits)...)
	state := uint64(88172645463325252)
	for len(b) < size {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		b = fmt.Appendf(b, `,{"id":%d,"side":"%s","price":%d.%02d,"quantity":%d}`,
			state%100_000_000, pick(state>>33&1 == 0, "buy", "sell"), state>>16%90_000, state>>40%100, state>>24%1000)
	}
	p.body = b[:size]
	return p
}

// stamp writes the payload of message id into dst, which it returns grown.
func (p *pattern) stamp(dst []byte, id uint64) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst[:0], p.body...)
	for i := p.at + p.digits - 1; i >= p.at; i-- {
		dst[i] = hexDigits[id&15]
		id >>= 4
	}
	return dst
}

// read returns the digits of msg as a number; known is false when there are
// none, and intact when every other byte is as sent.
func (p *pattern) read(msg []byte) (id uint64, known, intact bool) {
	end := p.at + p.digits
	if len(msg) < end {
		return 0, false, false
	}
	for _, c := range msg[p.at:end] {
		switch {
		case c >= '0' && c <= '9':
			id = id<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			id = id<<4 | uint64(c-'a'+10)
		default:
			return 0, false, false
		}
	}
	intact = bytes.Equal(msg[:p.at], p.body[:p.at]) && bytes.Equal(msg[end:], p.body[end:])
	return id, true, intact
}

// near completes the digits of a short payload to the identity that is closest
// to expected.
func (p *pattern) near(id, expected uint64) uint64 {
	if p.digits == headDigits {
		return id
	}
	bits := 4 * p.digits
	diff := int64((id-expected)<<(64-bits)) >> (64 - bits) // sign of the upper half: behind
	return expected + uint64(diff)
}
