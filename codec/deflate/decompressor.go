package deflate

import (
	"encoding/binary"
	"math"
)

// tail ends every sync flush and is left off the wire. RFC 7692 7.2.1.
const tail = "\x00\x00\xff\xff"

// outSlack is the room behind the output that lets some literals and a match
// be written without asking for more: the longest match and one word too many.
const outSlack = 4 + maxMatch + 8

// Decompressor inflates whole messages, each without the context of the one
// before. The zero value is ready and holds about 11 KB. One goroutine at a
// time: a loop owns one.
type Decompressor struct {
	in   input
	out  []byte // up to its capacity
	o    int    // end of the output within out
	base int    // start of the output within out
	stop int    // the output must not grow beyond this index
	hist []byte // what came before the output: the context

	lit  [litTableSize]uint32
	dist [distTableSize]uint32
	lens [lengthTableSize]uint32
}

// Append inflates msg, a message without the tail of RFC 7692 7.2.1, behind
// dst and returns the extended slice; the two must not overlap. Hot path: per
// message. It allocates only if the spare capacity of dst is less than the
// output and 270 bytes.
//
// A message may also end with a final block, whatever follows, at the end of
// any other block, or with the tail still on; an empty one inflates to
// nothing. The output is counted while it is made: as soon as it passes limit
// bytes the answer is ErrTooLarge, and no more than limit and some hundred
// bytes were ever taken. On an error dst is returned with its old length, and
// maybe a larger capacity.
func (d *Decompressor) Append(dst, msg []byte, limit int) (out []byte, err error) {
	return d.inflate(dst, msg, nil, limit)
}

func (d *Decompressor) inflate(dst, msg, hist []byte, limit int) ([]byte, error) {
	d.in = input{src: msg}
	d.out, d.o, d.base = dst[:cap(dst)], len(dst), len(dst)
	d.stop = len(dst) + min(max(limit, 0), math.MaxInt-outSlack-len(dst))
	d.hist = hist
	err := d.blocks()
	out := d.out[:d.o]
	d.out, d.hist, d.in.src = nil, nil, nil
	if err != nil {
		return out[:len(dst)], err
	}
	return out, nil
}

func (d *Decompressor) blocks() error {
	for d.in.left() >= 3 {
		if !d.in.refill() {
			return ErrCorrupt
		}
		header := d.in.take(3)
		var err error
		switch header >> 1 {
		case 0:
			err = d.stored()
		case 1:
			d.lit, d.dist = fixedLit, fixedDist
			err = d.block()
		case 2:
			if err = d.readCodes(); err == nil {
				err = d.block()
			}
		default:
			err = ErrCorrupt
		}
		if err != nil {
			return err
		}
		if header&1 != 0 {
			break
		}
	}
	if d.in.overrun() {
		return ErrCorrupt
	}
	return nil
}

// stored copies a block without compression. RFC 1951 3.2.4.
func (d *Decompressor) stored() error {
	in := &d.in
	in.align()
	if in.pos+4 > len(in.src) && !in.toTail() {
		return ErrCorrupt
	}
	size := binary.LittleEndian.Uint16(in.src[in.pos:])
	if size != ^binary.LittleEndian.Uint16(in.src[in.pos+2:]) {
		return ErrCorrupt
	}
	in.pos += 4
	n := int(size)
	if n > d.stop-d.o {
		return ErrTooLarge
	}
	d.room(n)
	for n > 0 {
		k := copy(d.out[d.o:d.o+n], in.src[in.pos:])
		in.pos += k
		d.o += k
		n -= k
		if n > 0 && !in.toTail() {
			return ErrCorrupt
		}
	}
	if in.overrun() {
		return ErrCorrupt
	}
	return nil
}

// room makes len(d.out)-d.o at least n+outSlack. What is taken beyond that is
// in proportion to the output so far and never beyond d.stop.
//
//go:noinline
func (d *Decompressor) room(n int) {
	need := n + outSlack
	if len(d.out)-d.o >= need {
		return
	}
	more := min(max(2*(d.o-d.base), 4*len(d.in.src), 512), d.stop-d.o) + outSlack
	grown := append(d.out[:d.o], make([]byte, max(need, more))...)
	d.out = grown[:cap(grown)]
}

// readCodes reads the codes of a dynamic block into d.lit and d.dist.
// RFC 1951 3.2.7.
func (d *Decompressor) readCodes() error {
	in := &d.in
	if !in.refill() {
		return ErrCorrupt
	}
	numLit, numDist := int(in.take(5))+257, int(in.take(5))+1
	numLen := int(in.take(4)) + 4
	if numLit > numLiterals || numDist > numDistances {
		return ErrCorrupt
	}
	var widths [numLengths]uint8
	for i := range numLen {
		if in.n < 3 && !in.refill() {
			return ErrCorrupt
		}
		widths[lengthOrder[i]] = uint8(in.take(3))
	}
	var used [numLiterals + numDistances]coded
	n := 0
	for i, w := range widths {
		if w != 0 {
			used[n] = coded(i<<4) | coded(w)
			n++
		}
	}
	if !buildTable(d.lens[:], lengthTableBits, used[:n], 0, lengthEntries[:]) {
		return ErrCorrupt
	}
	n, split, ok := d.readLengths(&used, numLit, numLit+numDist)
	if !ok ||
		!buildTable(d.lit[:], litTableBits, used[:split], 0, litEntries[:]) ||
		!buildTable(d.dist[:], distTableBits, used[split:n], numLit, distEntries[:]) {
		return ErrCorrupt
	}
	return nil
}

// readLengths lists the symbols that have a code: used[:split] are below
// numLit, used[split:n] between that and total.
func (d *Decompressor) readLengths(used *[numLiterals + numDistances]coded, numLit, total int) (n, split int, ok bool) {
	in := &d.in
	last := uint32(0)
	split = -1
	for i := 0; i < total; {
		if in.n < 14 && !in.refill() {
			return 0, 0, false
		}
		e := d.lens[in.bits&(lengthTableSize-1)]
		if e == 0 {
			return 0, 0, false
		}
		in.take(uint(e & 7))
		s := e >> 16
		if split < 0 && i >= numLit {
			split = n
		}
		if s < 16 {
			if s != 0 {
				used[n] = coded(i<<4) | coded(s)
				n++
			}
			last = s
			i++
			continue
		}
		repeat := 0
		switch s {
		case 16:
			if i == 0 {
				return 0, 0, false
			}
			repeat = 3 + int(in.take(2))
		case 17:
			repeat, last = 3+int(in.take(3)), 0
		default:
			repeat, last = 11+int(in.take(7)), 0
		}
		if i+repeat > total {
			return 0, 0, false
		}
		if last == 0 {
			i += repeat
			continue
		}
		for range repeat {
			if split < 0 && i >= numLit {
				split = n
			}
			used[n] = coded(i<<4) | coded(last)
			n++
			i++
		}
	}
	if split < 0 {
		split = n
	}
	return n, split, true
}

// block inflates the symbols of one block, whose codes are in d.lit and
// d.dist. RFC 1951 3.2.3.
//
// measured: BenchmarkDecompressor/1024; the state is in locals, nbits counts in
// its low 8 bits only so that entries are subtracted whole, and up to four
// literals are taken for one look at input and room.
func (d *Decompressor) block() error {
	src, pos, bits, nbits := d.in.src, d.in.pos, d.in.bits, uint32(d.in.n)
	out, o := d.roomy(), d.o
	for {
		if uint8(nbits) < 48 { // a length, a distance and their extra bits
			if pos+8 > len(src) {
				d.in.pos, d.in.n = pos, uint(uint8(nbits))
				if !d.in.toTail() {
					return ErrCorrupt
				}
				src, pos, nbits = d.in.src, d.in.pos, uint32(d.in.n)
			}
			bits |= binary.LittleEndian.Uint64(src[pos:]) << (nbits & 63)
			pos += int(^nbits&63) >> 3
			nbits |= 56
		}
		if o+outSlack > len(out) {
			if d.o = o; o > d.stop {
				return ErrTooLarge
			}
			d.room(0)
			out = d.roomy()
		}

		e := d.lit[bits&(1<<litTableBits-1)]
		if int32(e) < 0 {
			out[o] = byte(e >> 16)
			bits >>= e & 63
			nbits -= e
			o++
			e = d.lit[bits&(1<<litTableBits-1)]
			if int32(e) < 0 {
				out[o] = byte(e >> 16)
				bits >>= e & 63
				nbits -= e
				o++
				e = d.lit[bits&(1<<litTableBits-1)]
				if int32(e) < 0 {
					out[o] = byte(e >> 16)
					bits >>= e & 63
					nbits -= e
					o++
					e = d.lit[bits&(1<<litTableBits-1)]
					if int32(e) < 0 {
						out[o] = byte(e >> 16)
						bits >>= e & 63
						nbits -= e
						o++
						continue
					}
				}
			}
			if uint8(nbits) < 48 {
				continue
			}
		}
		if e&entrySubtable != 0 {
			bits >>= litTableBits
			nbits -= litTableBits
			e = d.lit[(e>>16+uint32(bits)&(1<<(e>>8&15)-1))&(litTableSize-1)]
			if int32(e) < 0 {
				out[o] = byte(e >> 16)
				bits >>= e & 63
				nbits -= e
				o++
				continue
			}
		}
		if e&entryEnd != 0 {
			d.in.pos, d.in.bits, d.in.n = pos, bits>>(e&63), uint(uint8(nbits-e))
			if d.o = o; o > d.stop {
				return ErrTooLarge
			}
			if d.in.overrun() {
				return ErrCorrupt
			}
			return nil
		}
		length := int(e >> 16)
		if length == 0 {
			return ErrCorrupt
		}
		length += int(bits & (1<<(e&63) - 1) >> (e >> 8 & 63))
		bits >>= e & 63
		nbits -= e

		e = d.dist[bits&(1<<distTableBits-1)]
		if e&entrySubtable != 0 {
			bits >>= distTableBits
			nbits -= distTableBits
			e = d.dist[(e>>16+uint32(bits)&(1<<(e>>8&15)-1))&(distTableSize-1)]
		}
		distance := int(e >> 16)
		if distance == 0 {
			return ErrCorrupt
		}
		distance += int(bits & (1<<(e&63) - 1) >> (e >> 8 & 63))
		bits >>= e & 63
		nbits -= e

		from := o - distance
		switch {
		case from < d.base:
			if !d.fromHistory(o, distance, length) {
				return ErrCorrupt
			}
		case distance >= 8:
			// Words may be written beyond the match: outSlack.
			for to := o; to < o+length; to += 8 {
				w := binary.LittleEndian.Uint64(out[to-distance : to-distance+8])
				binary.LittleEndian.PutUint64(out[to:to+8], w)
			}
		default:
			repeatBytes(out[o:o+length], out[from:o])
		}
		o += length
	}
}

// roomy is the output with outSlack behind the last index where a symbol may
// begin: the end of the buffer, or one symbol beyond the limit.
func (d *Decompressor) roomy() []byte {
	return d.out[:min(len(d.out), d.stop+outSlack)]
}

// repeatBytes fills to with the repeated pattern.
//
//go:noinline
func repeatBytes(to, pattern []byte) {
	for n := copy(to, pattern); n < len(to); n *= 2 {
		copy(to[n:], to[:n])
	}
}

// fromHistory copies a match that begins before the output, in the context.
//
//go:noinline
func (d *Decompressor) fromHistory(o, distance, length int) bool {
	before := distance - (o - d.base)
	if before > len(d.hist) {
		return false
	}
	n := copy(d.out[o:o+length], d.hist[len(d.hist)-before:])
	for ; n < length; n++ {
		d.out[o+n] = d.out[o+n-distance]
	}
	return true
}

// The fixed codes, RFC 1951 3.2.6.
var fixedLit, fixedDist = makeFixed()

func fixedWidth(sym int) uint8 {
	switch {
	case sym < 144:
		return 8
	case sym < 256:
		return 9
	case sym < 280:
		return 7
	}
	return 8
}

func makeFixed() (lit [litTableSize]uint32, dist [distTableSize]uint32) {
	var syms [288]coded
	for i := range syms {
		syms[i] = coded(i<<4) | coded(fixedWidth(i))
	}
	buildTable(lit[:], litTableBits, syms[:], 0, litEntries[:])
	for i := range 32 {
		syms[i] = coded(i<<4 | 5)
	}
	buildTable(dist[:], distTableBits, syms[:32], 0, distEntries[:])
	return lit, dist
}
