package deflate

import (
	"encoding/binary"
	"math/bits"
)

// A token is a literal byte, or a match: matchFlag, the length less minMatch
// in bits 16-23 and the distance less 1 in bits 0-14.
type token uint32

const (
	matchFlag token = 1 << 31
	minMatch        = 3
)

// measured: BenchmarkCompressor/1024, instructions and output at maxChain 4,
// 8, 16: 86.1k and 405 B, 87.3k and 400 B, 90.2k and 400 B; without the delay
// 84.0k and 416 B; hashBits 11 to 13 make no difference.
const (
	chunkSize  = 4 << 10 // bytes that become one block
	maxHistory = 4 << 10 // bytes before them that matches may refer to
	indexMask  = chunkSize + maxHistory - 1
	hashBytes  = 4 // shorter matches do not pay
	hashBits   = 12
	maxChain   = 8  // candidates looked at for one match
	lazyLength = 16 // a match this long is taken without a look at the next byte
	niceLength = 64 // a match this long ends the search
)

// matcher splits a chunk into literals and matches: chains of equal hashes,
// and one byte of delay to see whether a longer match follows.
type matcher struct {
	src    [chunkSize + maxHistory + 16]byte // history, chunk and zeros: words can be read everywhere
	head   [1 << hashBits]uint16
	prev   [chunkSize + maxHistory]uint16 // the next older position plus 1 with the hash of this one; 0: none
	tokens [chunkSize]token

	lits  [numLiterals]uint16 // how often each symbol is needed
	dists [numDistances]uint16
}

// split fills m.tokens and the counts for chunk, at most chunkSize bytes, which
// follows history, at most maxHistory. It returns the number of tokens.
// Distances stay within window bytes.
//
// Indexes are masked with indexMask where that saves a bounds check.
func (m *matcher) split(history, chunk []byte, window int) int {
	i := copy(m.src[:maxHistory], history)
	n := i + copy(m.src[i:i+chunkSize], chunk)
	clear(m.src[n : n+16])
	clear(m.head[:])
	clear(m.lits[:])
	clear(m.dists[:])
	m.lits[endOfBlock] = 1

	for j := range i {
		m.insert(j)
	}
	count := 0
	end := n - hashBytes // the last position that can be hashed
	for i <= end {
		p := m.insert(i)
		length, distance := 0, 0
		if p != 0 {
			length, distance = m.search(i, p, hashBytes-1, n, window)
		}
		if length == 0 {
			m.literal(count, i)
			count++
			i++
			continue
		}
		inserted := i
		for length < lazyLength && i < end {
			inserted = i + 1
			p := m.insert(i + 1)
			if p == 0 {
				break
			}
			l, d := m.search(i+1, p, length, n, window)
			if l == 0 {
				break
			}
			m.literal(count, i)
			count++
			i++
			length, distance = l, d
		}
		m.lits[endOfBlock+1+int(lengthSymbol[uint8(length-minMatch)])]++
		m.dists[distSymbol(distance)]++
		m.tokens[count&(chunkSize-1)] = matchFlag | token(length-minMatch)<<16 | token(distance-1)
		count++
		i += length
		for j, stop := inserted+1, min(i, end+1); j < stop; j++ {
			m.insert(j)
		}
	}
	for ; i < n; i++ {
		m.literal(count, i)
		count++
	}
	return count
}

func (m *matcher) literal(count, i int) {
	b := m.src[i&indexMask]
	m.lits[b]++
	m.tokens[count&(chunkSize-1)] = token(b)
}

func (m *matcher) word(i int) uint32 {
	i &= indexMask
	return binary.LittleEndian.Uint32(m.src[i : i+4])
}

func (m *matcher) long(i int) uint64 {
	i &= indexMask
	return binary.LittleEndian.Uint64(m.src[i : i+8])
}

// insert enters position i and returns the position plus 1 that had its hash
// before, or 0.
func (m *matcher) insert(i int) uint16 {
	head := &m.head[m.word(i)*0x9e3779b1>>(32-hashBits)]
	p := *head
	m.prev[i&indexMask] = p
	*head = uint16(i + 1)
	return p
}

// search looks for the longest match for position i among the candidates that
// begin with p, a position plus 1. It returns 0 unless it is longer than best.
func (m *matcher) search(i int, p uint16, best, n, window int) (length, distance int) {
	longest := min(maxMatch, n-i)
	if best >= longest {
		return 0, 0
	}
	enough := min(longest, niceLength)
	first, last := m.word(i), m.src[(i+best)&indexMask] // what a longer match has
	oldest := i - window
	for range maxChain {
		at := int(p) - 1
		if at < oldest {
			break
		}
		if m.word(at) == first && m.src[(at+best)&indexMask] == last {
			l := hashBytes
			for ; l < longest; l += 8 {
				if x := m.long(at+l) ^ m.long(i+l); x != 0 {
					l += bits.TrailingZeros64(x) >> 3
					break
				}
			}
			if l = min(l, longest); l > best {
				best, length, distance = l, l, i-at
				if l >= enough {
					break
				}
				last = m.src[(i+best)&indexMask]
			}
		}
		if p = m.prev[at&indexMask]; p == 0 {
			break
		}
	}
	return length, distance
}

// lengthSymbol is the symbol less 257 for a length less minMatch.
var lengthSymbol = makeLengthSymbol()

func makeLengthSymbol() (t [maxMatch - minMatch + 1]uint8) {
	for i := range t {
		for t[i]+1 < 29 && int(lengthBase[t[i]+1]) <= i+minMatch {
			t[i]++
		}
		if i+1 < len(t) {
			t[i+1] = t[i]
		}
	}
	return t
}

// distSymbol is the symbol of a distance from 1 to 32768.
func distSymbol(distance int) int {
	d := uint(distance - 1)
	if d < 2 {
		return int(d)
	}
	top := bits.Len(d) - 2 // two symbols for each power of two
	return 2*top + int(d>>(top&63))
}
