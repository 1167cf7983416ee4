package deflate

import "encoding/binary"

// input reads bits from a message and, behind it, from the tail that was left
// off, lowest bit first. RFC 1951 3.1.1.
type input struct {
	src  []byte // the message, or scratch
	pos  int    // the next byte of src
	bits uint64 // bits read from src and not taken; above n undefined
	n    uint   // how many

	atTail  bool // src is scratch
	end     int  // where the tail ends in scratch
	scratch [40]byte
}

// refill makes n at least 56. It fails behind the tail.
func (r *input) refill() bool {
	if r.pos+8 > len(r.src) && !r.toTail() {
		return false
	}
	r.bits |= binary.LittleEndian.Uint64(r.src[r.pos:]) << (r.n & 63)
	r.pos += int(63-r.n) >> 3
	r.n |= 56
	return true
}

// take removes and returns n bits, 0 to 15, which must be there.
func (r *input) take(n uint) uint64 {
	v := r.bits & (1<<(n&63) - 1)
	r.bits >>= n & 63
	r.n -= n
	return v
}

// toTail moves what is left of the message, less than 16 bytes, into scratch
// and appends the tail and zeros, so that words can be read up to the end. It
// reports false if that is done already. It stays out of the loops that call
// it once a message: they need the registers.
//
//go:noinline
func (r *input) toTail() bool {
	if r.atTail {
		return false
	}
	from := r.pos - int(r.n>>3) // whole bytes of bits come along, for align
	n := copy(r.scratch[:], r.src[from:])
	n += copy(r.scratch[n:], tail)
	clear(r.scratch[n:])
	r.src, r.pos, r.end, r.atTail = r.scratch[:], 0, n, true
	r.n &= 7
	return true
}

// left is the number of bits of the message that were not taken; negative
// within the tail.
func (r *input) left() int {
	end := len(r.src)
	if r.atTail {
		end = r.end - len(tail)
	}
	return (end-r.pos)*8 + int(r.n)
}

// overrun reports that more was taken than message and tail have.
func (r *input) overrun() bool { return r.left() < -8*len(tail) }

// align drops the rest of the current byte and gives back whole bytes, so
// that pos is the next byte.
func (r *input) align() {
	r.pos -= int(r.n >> 3)
	r.bits, r.n = 0, 0
}
