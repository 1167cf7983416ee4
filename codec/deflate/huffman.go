package deflate

import "math/bits"

// Sizes of DEFLATE's alphabets. RFC 1951 3.2.5 to 3.2.7.
const (
	numLiterals  = 286 // literals, end of block, lengths
	numDistances = 30
	numLengths   = 19 // the alphabet of code lengths
	endOfBlock   = 256
	maxCodeBits  = 15
	maxMatch     = 258
)

// lengthOrder is the order in which code lengths of code lengths are sent.
// RFC 1951 3.2.7.
var lengthOrder = [numLengths]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// lengthBase and lengthExtra belong to symbols 257 and up, distBase and
// distExtra to distance symbols. RFC 1951 3.2.5.
var (
	lengthBase  = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase    = [numDistances]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distExtra   = [numDistances]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
)

// A decoding table maps the next tableBits bits of the input to an entry:
//
//	bit 31      literal
//	bits 16-30  the literal, the base of a length or distance, or the first
//	            index of a subtable
//	bit 15      end of block
//	bit 14      subtable
//	bits 8-13   length of the code alone; of a subtable, its index bits
//	bits 0-7    bits to take: the code and, behind it, the extra bits
//
// In a subtable the bits of the main table are not counted again. An entry
// that is none of these and has base 0 is an error in the input.
const (
	entryLiteral  = 1 << 31
	entryEnd      = 1 << 15
	entrySubtable = 1 << 14
	codeLen       = 1<<8 | 1 // times the length

	litTableBits    = 10
	distTableBits   = 8
	lengthTableBits = 7

	// Main table and all subtables of a complete code need at most 1334
	// entries for 288 symbols at 10 bits and 402 for 32 symbols at 8 bits.
	litTableSize    = 2048
	distTableSize   = 512
	lengthTableSize = 1 << lengthTableBits
)

// Entries without the length of the code, which codeLen adds, by symbol.
var (
	litEntries    = makeLitEntries()
	distEntries   = makeDistEntries()
	lengthEntries = makeLengthEntries()
)

func makeLitEntries() (e [288]uint32) {
	for i := range endOfBlock {
		e[i] = entryLiteral | uint32(i)<<16
	}
	e[endOfBlock] = entryEnd
	for i, base := range lengthBase {
		e[endOfBlock+1+i] = uint32(base)<<16 | uint32(lengthExtra[i])
	}
	return e // 286 and 287 have a place in the fixed code, and no meaning: base 0
}

func makeDistEntries() (e [32]uint32) {
	for i, base := range distBase {
		e[i] = uint32(base)<<16 | uint32(distExtra[i])
	}
	return e
}

func makeLengthEntries() (e [numLengths]uint32) {
	for i := range e {
		e[i] = uint32(i) << 16
	}
	return e
}

// coded is a symbol that has a code: the symbol in the upper bits, the length
// of its code in the lower four.
type coded uint16

// buildTable fills table, whose first 1<<tableBits entries are indexed by
// input bits, for the canonical code of syms (ordered by symbol). It reports
// false for a code that is over-subscribed or incomplete. As elsewhere, a
// single symbol with a 1 bit code passes, and no symbol at all: reading the
// code that is not there is the error. base is taken off each symbol.
func buildTable(table []uint32, tableBits int, syms []coded, base int, entries []uint32) bool {
	var count, next [maxCodeBits + 1]uint16
	for _, s := range syms {
		count[s&15]++
	}
	longest, used := 0, 0
	var offset uint16
	for n := 1; n <= maxCodeBits; n++ {
		next[n] = offset
		offset += count[n]
		if count[n] != 0 {
			longest = n
		}
		used = used<<1 + int(count[n])
	}
	if used != 1<<maxCodeBits {
		if len(syms) > 1 || longest > 1 {
			return false
		}
		clear(table[:1<<tableBits])
		if len(syms) == 1 {
			e := entries[int(syms[0]>>4)-base] + codeLen
			for i := 0; i < 1<<tableBits; i += 2 {
				table[i] = e
			}
		}
		return true
	}

	var sorted [288]coded
	for _, s := range syms {
		n := s & 15
		sorted[next[n]] = s
		next[n]++
	}

	// Codes run through the table with their bits reversed: the successor of
	// a code clears the run of ones at the top and sets the next bit. Every
	// longer length starts by doubling what is there.
	code, size, i := 0, 1, 0
	for n := 1; n <= min(longest, tableBits); n++ {
		copy(table[size:2*size], table[:size])
		size *= 2
		for range count[n] {
			s := sorted[i]
			i++
			table[code] = entries[int(s>>4)-base] + uint32(n)*codeLen
			code = successor(code, size)
		}
	}
	for ; size < 1<<tableBits; size *= 2 {
		copy(table[size:2*size], table[:size])
	}
	if i == len(syms) {
		return true
	}
	buildSubtables(table, tableBits, sorted[i:len(syms)], code, &count, base, entries)
	return true
}

// successor is the next code of the same length, bits reversed, below size.
func successor(code, size int) int {
	gap := code ^ (size - 1)
	if gap == 0 {
		return 0 // that was the last code of all
	}
	bit := 1 << (bits.Len(uint(gap)) - 1)
	return code&(bit-1) | bit
}

// buildSubtables places the codes longer than tableBits, in order of their
// length; code is the first of them, at the length tableBits.
func buildSubtables(table []uint32, tableBits int, syms []coded, code int, count *[maxCodeBits + 1]uint16, base int, entries []uint32) {
	prefix, start, end := -1, 0, 1<<tableBits
	for _, s := range syms {
		n := int(s & 15)
		if p := code & (1<<tableBits - 1); p != prefix {
			prefix, start = p, end
			// The subtable is as large as the codes that share the prefix
			// need: it grows until they fill it.
			width := n - tableBits
			for room := int(count[n]); room < 1<<width; {
				width++
				room = room<<1 + int(count[tableBits+width])
			}
			end = start + 1<<width
			table[prefix] = entrySubtable | uint32(start)<<16 | uint32(width)<<8 | uint32(tableBits)
		}
		e := entries[int(s>>4)-base] + uint32(n-tableBits)*codeLen
		for i := start + code>>tableBits; i < end; i += 1 << (n - tableBits) {
			table[i] = e
		}
		count[n]--
		code = successor(code, 1<<n)
	}
}
