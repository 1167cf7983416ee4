package deflate

// Inflater inflates the messages of one connection whose client keeps its
// context. One goroutine at a time.
type Inflater struct {
	d      *Decompressor
	size   int
	window []byte
}

// NewInflater returns an Inflater for a client that was allowed a window of
// 2^windowBits bytes (8..15; 8 is taken as 9, because zlib's deflaters do so).
// It works with the tables of d, the Decompressor of the connection's loop, and
// must be used on that loop only.
func NewInflater(d *Decompressor, windowBits int) *Inflater {
	return &Inflater{d: d, size: 1 << max(windowBits, MinWindowBits+1)}
}

// Append is Decompressor.Append with the context of the messages before.
// After an error the Inflater must not be used again.
func (f *Inflater) Append(dst, msg []byte, limit int) (out []byte, err error) {
	if out, err = f.d.inflate(dst, msg, f.window, limit); err != nil {
		return out, err
	}
	f.window = keepLast(f.window, out[len(dst):], f.size)
	return out, nil
}
