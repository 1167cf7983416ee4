package deflate

import "encoding/binary"

// encoder makes blocks of chunks.
type encoder struct {
	matcher
	coder

	litLens  [numLiterals + numDistances]uint8 // of both codes, one behind the other, when sent
	distLens [numDistances]uint8
	litCode  [numLiterals]uint32
	distCode [numDistances]uint32

	// The lengths as they are sent: symbols of the alphabet of code lengths
	// with their extra bits above the symbol's 5.
	header     [numLiterals + numDistances]uint16
	headerLen  int
	lenCounts  [numLengths]uint16
	lenLens    [numLengths]uint8
	lenCode    [numLengths]uint32
	numLit     int
	numDist    int
	numLenCode int
}

// append compresses msg, which follows history, behind dst. If the result is
// not smaller, it returns dst as it came and false.
func (e *encoder) append(dst, history, msg []byte, window int) ([]byte, bool) {
	w := bitWriter{out: dst, pos: len(dst)}
	most := len(dst) + len(msg) - 1
	for from := 0; from < len(msg); from += chunkSize {
		chunk := msg[from:min(from+chunkSize, len(msg))]
		if from > 0 {
			history = msg[from-min(from, window, maxHistory) : from]
		} else {
			history = history[max(0, len(history)-min(window, maxHistory)):]
		}
		if !e.block(&w, history, chunk, window, most) {
			return dst, false
		}
	}
	w.put(0, 3) // the block whose rest is the tail
	end := w.pos + int(w.n+7)/8
	if end > most {
		return dst, false
	}
	w.flush()
	return w.out[:end], true
}

// block writes one chunk in the smallest form. It gives up, and returns false,
// if that would end behind the byte most of the output.
func (e *encoder) block(w *bitWriter, history, chunk []byte, window, most int) bool {
	count := e.split(history, chunk, window)
	extra := e.extraBits()
	fixed := extra + e.fixedBits(count)
	dynamic := fixed
	if count > 32 { // a header is dearer than anything it could save
		dynamic = extra + e.plan()
	}
	stored := 7 + 32 + 8*len(chunk)
	bits := min(fixed, dynamic, stored)
	size := (int(w.n)+3+bits)/8 + 1 // and the next header
	if w.pos+size > most {
		return false
	}
	w.grow(size)
	switch {
	case bits == stored:
		w.put(0b000, 3)
		w.stored(chunk)
	case bits == fixed:
		w.put(0b010, 3)
		e.write(w, count, &fixedLitCode, &fixedDistCode)
	default:
		w.put(0b100, 3)
		e.writeHeader(w)
		e.write(w, count, &e.litCode, &e.distCode)
	}
	return true
}

// extraBits is the number of extra bits of all lengths and distances.
func (e *encoder) extraBits() int {
	n := 0
	for i, x := range lengthExtra {
		n += int(e.lits[endOfBlock+1+i]) * int(x)
	}
	for i, x := range distExtra {
		n += int(e.dists[i]) * int(x)
	}
	return n
}

// fixedBits is the number of bits of count tokens and the end of the block in
// the fixed codes: 8 bits, one more or less for some, and 5 for a distance.
func (e *encoder) fixedBits(count int) int {
	n := 8 * (count + 1)
	for _, c := range e.lits[144:256] {
		n += int(c)
	}
	for _, c := range e.lits[256:280] {
		n -= int(c)
	}
	for _, c := range e.dists {
		n += 5 * int(c)
	}
	return n
}

// plan builds codes for the message and returns the number of bits of the
// header and all symbols in them.
func (e *encoder) plan() int {
	n := e.build(e.litCode[:], e.litLens[:numLiterals], e.lits[:], maxCodeBits)
	n += e.build(e.distCode[:], e.distLens[:], e.dists[:], maxCodeBits)
	return n + e.planHeader()
}

// planHeader turns the lengths of the codes into symbols and returns the
// number of bits of the header. RFC 1951 3.2.7.
func (e *encoder) planHeader() int {
	e.numLit, e.numDist = numLiterals, numDistances
	for e.litLens[e.numLit-1] == 0 {
		e.numLit--
	}
	for e.distLens[e.numDist-1] == 0 {
		e.numDist--
	}
	copy(e.litLens[e.numLit:], e.distLens[:e.numDist])
	e.runs(e.litLens[:e.numLit+e.numDist])
	total := e.build(e.lenCode[:], e.lenLens[:], e.lenCounts[:], 7)
	e.numLenCode = numLengths
	for e.numLenCode > 4 && e.lenLens[lengthOrder[e.numLenCode-1]] == 0 {
		e.numLenCode--
	}
	total += 5 + 5 + 4 + 3*e.numLenCode
	return total + 2*int(e.lenCounts[16]) + 3*int(e.lenCounts[17]) + 7*int(e.lenCounts[18])
}

// runs fills e.header and e.lenCounts.
func (e *encoder) runs(lens []uint8) {
	clear(e.lenCounts[:])
	n := 0
	for i := 0; i < len(lens); {
		v := lens[i]
		end := i + 1
		for end < len(lens) && lens[end] == v {
			end++
		}
		run := end - i
		i = end
		if v == 0 {
			for run >= 11 {
				k := min(run, 138)
				e.header[n] = 18 | uint16(k-11)<<5
				e.lenCounts[18]++
				n++
				run -= k
			}
			if run >= 3 {
				e.header[n] = 17 | uint16(run-3)<<5
				e.lenCounts[17]++
				n++
				run = 0
			}
		} else if run >= 4 {
			e.header[n] = uint16(v)
			e.lenCounts[v]++
			n++
			for run--; run >= 3; {
				k := min(run, 6)
				e.header[n] = 16 | uint16(k-3)<<5
				e.lenCounts[16]++
				n++
				run -= k
			}
		}
		for ; run > 0; run-- {
			e.header[n] = uint16(v)
			e.lenCounts[v]++
			n++
		}
	}
	e.headerLen = n
}

func (e *encoder) writeHeader(w *bitWriter) {
	w.put(uint64(e.numLit-257), 5)
	w.put(uint64(e.numDist-1), 5)
	w.put(uint64(e.numLenCode-4), 4)
	for _, sym := range lengthOrder[:e.numLenCode] {
		w.put(uint64(e.lenLens[sym]), 3)
	}
	for _, h := range e.header[:e.headerLen] {
		sym := h & 31
		c := e.lenCode[sym]
		w.put(uint64(c>>5), uint(c&31))
		switch sym {
		case 16:
			w.put(uint64(h>>5), 2)
		case 17:
			w.put(uint64(h>>5), 3)
		case 18:
			w.put(uint64(h>>5), 7)
		}
	}
}

// write writes the tokens and the end of the block.
func (e *encoder) write(w *bitWriter, count int, lit *[numLiterals]uint32, dist *[numDistances]uint32) {
	out, pos, bits, n := w.out, w.pos, w.bits, w.n
	for _, t := range e.tokens[:count] {
		if n >= 48 {
			binary.LittleEndian.PutUint64(out[pos:], bits)
			pos += int(n >> 3)
			bits >>= n & 0x38
			n &= 7
		}
		if t&matchFlag == 0 {
			c := lit[t&0xff]
			bits |= uint64(c>>5) << (n & 63)
			n += uint(c & 31)
			continue
		}
		v, k := matchBits(t, lit, dist)
		bits |= v << (n & 63)
		if n += k; n >= 64 {
			n -= k
			binary.LittleEndian.PutUint64(out[pos:], bits)
			pos += 8
			bits = v >> (64 - n)
			n += k - 64
		}
	}
	w.pos, w.bits, w.n = pos, bits, n
	c := lit[endOfBlock]
	w.put(uint64(c>>5), uint(c&31))
}

// matchBits is what a match is written as, and its length: 48 bits at most.
//
//go:noinline
func matchBits(t token, lit *[numLiterals]uint32, dist *[numDistances]uint32) (v uint64, n uint) {
	length := int(t >> 16 & 0xff)
	s := lengthSymbol[length]
	c := lit[endOfBlock+1+int(s)]
	v = uint64(c >> 5)
	n = uint(c & 31)
	v |= uint64(length+minMatch-int(lengthBase[s])) << (n & 63)
	n += uint(lengthExtra[s])
	distance := int(t&0x7fff) + 1
	d := distSymbol(distance)
	c = dist[d]
	v |= uint64(c>>5) << (n & 63)
	n += uint(c & 31)
	v |= uint64(distance-int(distBase[d])) << (n & 63)
	return v, n + uint(distExtra[d])
}

// bitWriter writes bits to out, lowest first. RFC 1951 3.1.1.
type bitWriter struct {
	out  []byte // up to its capacity once grow was called
	pos  int
	bits uint64
	n    uint
}

// put appends the lower n bits of v, at most 16; the others must be zero.
func (w *bitWriter) put(v uint64, n uint) {
	if w.n >= 48 {
		w.flush()
	}
	w.bits |= v << (w.n & 63)
	w.n += n
}

func (w *bitWriter) flush() {
	binary.LittleEndian.PutUint64(w.out[w.pos:], w.bits)
	w.pos += int(w.n >> 3)
	w.bits >>= w.n & 0x38
	w.n &= 7
}

// grow makes room for n bytes, and for the word that flush writes.
func (w *bitWriter) grow(n int) {
	if n += w.pos + 16; n > cap(w.out) {
		w.out = append(w.out[:w.pos], make([]byte, n-w.pos)...)
	}
	w.out = w.out[:cap(w.out)]
}

// stored writes the rest of a stored block. RFC 1951 3.2.4.
func (w *bitWriter) stored(p []byte) {
	w.n = (w.n + 7) &^ 7
	w.flush()
	w.put(uint64(len(p)), 16)
	w.put(uint64(^uint16(len(p))), 16)
	w.flush()
	w.pos += copy(w.out[w.pos:], p)
}

var fixedLitCode, fixedDistCode = makeFixedCode()

func makeFixedCode() (lit [numLiterals]uint32, dist [numDistances]uint32) {
	var lens [numLiterals]uint8
	var width [maxCodeBits + 1]uint16
	var used [numLiterals]uint32
	for i := range lens {
		lens[i] = fixedWidth(i)
		used[i] = uint32(i)
	}
	width[7], width[8], width[9] = 24, 152, 112
	assign(lit[:], lens[:], used[:], &width)
	for i := range dist {
		dist[i] = reverse(uint32(i), 5)<<5 | 5
	}
	return lit, dist
}
