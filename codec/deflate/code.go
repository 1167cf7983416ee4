package deflate

// code is a Huffman code for writing: by symbol, the code with its bits
// reversed, shifted left by 5, and its length in the lower 5 bits.
type code []uint32

// coder builds codes; its fields are scratch space.
type coder struct {
	used   [numLiterals]uint32     // count<<9 | symbol, by symbol
	sorted [numLiterals + 1]uint32 // the same, rarest first, and a sentinel
	node   [numLiterals]uint32
}

// build makes lens the lengths of a Huffman code for counts, none above limit
// bits, and c its codes, and returns the number of bits that all symbols
// take. A code of fewer than two symbols gets more, so that every code is
// complete. What c has for symbols without a code is undefined.
func (k *coder) build(c code, lens []uint8, counts []uint16, limit int) (total int) {
	n := 0
	for sym, f := range counts {
		if f != 0 {
			k.used[n] = uint32(f)<<9 | uint32(sym)
			n++
		}
	}
	if n < 2 { // all that is there is a symbol that is not 0 or not 1
		other := uint32(0)
		if n == 1 && k.used[0]&0x1ff == 0 {
			other = 1
		}
		k.used[n] = other
		if n++; n == 1 {
			k.used[1] = 1
			n++
		}
		if k.used[0]&0x1ff > k.used[1]&0x1ff {
			k.used[0], k.used[1] = k.used[1], k.used[0]
		}
	}
	k.sort(n)
	var width [maxCodeBits + 1]uint16
	k.depths(n, limit, &width)

	// The rarest symbols get the longest codes.
	clear(lens)
	i := 0
	for w := limit; w > 0; w-- {
		for range width[w] {
			s := k.sorted[i]
			lens[s&0x1ff] = uint8(w)
			total += int(s>>9) * w
			i++
		}
	}
	assign(c, lens, k.used[:n], &width)
	return total
}

// assign gives the used symbols their canonical codes. RFC 1951 3.2.2.
func assign(c code, lens []uint8, used []uint32, width *[maxCodeBits + 1]uint16) {
	var next [maxCodeBits + 1]uint32
	v := uint32(0)
	for w := 1; w <= maxCodeBits; w++ {
		next[w] = v
		v = (v + uint32(width[w])) << 1
	}
	lens = lens[:len(c)]
	for _, s := range used {
		if s &= 0x1ff; int(s) < len(c) {
			w := lens[s] & 15
			c[s] = reverse(next[w], w)<<5 | uint32(w)
			next[w]++
		}
	}
}

func reverse(v uint32, n uint8) uint32 {
	v = uint32(reversed[v&0xff])<<8 | uint32(reversed[v>>8&0xff])
	return v >> (16 - n)
}

var reversed = makeReversed()

func makeReversed() (t [256]uint8) {
	for i := range t {
		for b := range 8 {
			t[i] |= uint8(i>>b&1) << (7 - b)
		}
	}
	return t
}

// sort fills k.sorted from the first n of k.used: a counting sort for counts
// below many, an insertion sort for the others and for few symbols.
func (k *coder) sort(n int) {
	const many = 64
	used, sorted := k.used[:n], k.sorted[:n]
	from := 0
	if n < many/2 {
		copy(sorted, used)
	} else {
		var start [many]uint16
		for _, u := range used {
			start[min(u>>9, many-1)]++
		}
		sum := uint16(0)
		for f := range start {
			start[f], sum = sum, sum+start[f]
		}
		from = int(start[many-1])
		for _, u := range used {
			at := &start[min(u>>9, many-1)]
			sorted[*at] = u
			*at++
		}
	}
	for i := from + 1; i < n; i++ {
		v, j := sorted[i], i
		for ; j > from && sorted[j-1] > v; j-- {
			sorted[j] = sorted[j-1]
		}
		sorted[j] = v
	}
}

// depths counts how many of the n sorted symbols get a code of each width in
// a Huffman tree, with the widths above limit taken back.
//
// The tree is built in place with two queues, the leaves and the nodes made
// of them, whose weights both ascend. An element of k.node is a weight until
// its parent is known, then the index of the parent, then its depth.
func (k *coder) depths(n, limit int, width *[maxCodeBits + 1]uint16) {
	const none = 1<<23 - 1 // above every weight
	leaves, nodes := k.sorted[:n+1], k.node[:n]
	leaves[n] = none << 9
	nodes[0] = none
	leaf, inner := 0, 0
	a, b := leaves[0]>>9, uint32(none) // the heads of the queues
	for next := 0; next < n-1; next++ {
		var weight uint32
		if a <= b {
			weight = a
			leaf++
			a = leaves[leaf] >> 9
		} else {
			weight = b
			nodes[inner] = uint32(next)
			inner++
			b = nodes[inner]
		}
		if a <= b {
			weight += a
			leaf++
			a = leaves[leaf] >> 9
		} else {
			weight += b
			nodes[inner] = uint32(next)
			inner++
		}
		nodes[next], nodes[next+1] = weight, none
		b = nodes[inner]
	}

	// From the root down: each inner node at a depth turns one code of that
	// width into two that are longer, unless the limit forbids: then a
	// shorter code is split instead.
	width[1] = 2
	nodes[n-2] = 0
	for i := n - 3; i >= 0; i-- {
		depth := nodes[nodes[i]] + 1
		nodes[i] = depth
		w := min(int(depth), limit-1)
		for width[w&15] == 0 {
			w--
		}
		width[w&15]--
		width[(w+1)&15] += 2
	}
}
