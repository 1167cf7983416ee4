package frame

import (
	"encoding/binary"
	"math/bits"
)

// ShortHeaderSize is the size in bytes of a masked header for a payload below
// 126 bytes.
const ShortHeaderSize = 6

// Short recognizes what most clients send: a whole message in one masked frame
// below 126 bytes, not compressed, all of it in b. It returns the message's
// opcode and the frame's size; 0 when b begins with anything else, which then
// goes the long way. The mask is b[2:6], the payload b[6:size]. No rule but the
// caller's limit is left to be checked.
//
// Hot path: per frame. measured: BenchmarkEcho of package engine under
// callgrind, header and rules 226 instructions the long way, 20 this way.
func Short(b []byte) (op OpCode, size int) {
	if len(b) < ShortHeaderSize {
		return 0, 0
	}
	op, n := OpCode(b[0]&0x7f), int(b[1])-0x80
	if b[0] < 0x80 || op-1 > 1 || n < 0 || n > 125 || len(b) < n+ShortHeaderSize {
		return 0, 0
	}
	return op, n + ShortHeaderSize
}

// UnmaskText unmasks a whole payload in place and reports whether it is ASCII
// throughout, and so valid text. It is for short payloads; Mask is faster above
// a few hundred bytes.
//
// Hot path: per frame.
func UnmaskText(p []byte, key [4]byte) (ascii bool) {
	const high = 0x8080808080808080
	k := uint64(binary.LittleEndian.Uint32(key[:]))
	k |= k << 32
	n := len(p)
	if n < 8 {
		return unmaskTiny(p, k)
	}
	// The last word overlaps the one before: it is read masked, and written last.
	last := binary.LittleEndian.Uint64(p[n-8:]) ^ bits.RotateLeft64(k, -8*(n&3))
	or := last
	for q := p; len(q) > 8; q = q[8:] {
		v := binary.LittleEndian.Uint64(q) ^ k
		or |= v
		binary.LittleEndian.PutUint64(q, v)
	}
	binary.LittleEndian.PutUint64(p[n-8:], last)
	return or&high == 0
}

// unmaskTiny is UnmaskText for less than 8 bytes.
func unmaskTiny(p []byte, k uint64) bool {
	var or byte
	for i := range p {
		p[i] ^= byte(k)
		or |= p[i]
		k >>= 8
	}
	return or < 0x80
}
