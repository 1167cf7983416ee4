package deflate

// BuildCode gives the lengths of a Huffman code for counts, none above limit
// bits, and what all symbols take in it.
func BuildCode(counts []uint16, limit int) (lens []uint8, bits int) {
	lens = make([]uint8, len(counts))
	var k coder
	bits = k.build(make(code, len(counts)), lens, counts, limit)
	return lens, bits
}
