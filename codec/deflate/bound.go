package deflate

// CompressBound is the largest size in bytes of n payload bytes, compressed
// by any common deflater, at any level and memLevel, without the tail. A
// receiver adds this slack to its limit when it judges a compressed frame by
// its header alone: incompressible data grows, by 5 bytes for each stored
// block or, for zlib's smallest symbol buffer (memLevel 1, fixed codes), by
// an eighth.
//
// zlib's own deflateBound assumes 9 bits a byte and some constants for the
// least favourable parameters; this is that sum with the constants rounded up.
func CompressBound(n int) int {
	if n < 0 {
		return 0
	}
	const most = int(^uint(0) >> 1)
	if n > most-most/4 {
		return most
	}
	return n + n>>3 + n>>8 + n>>9 + 64
}
