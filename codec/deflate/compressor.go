package deflate

import (
	"bytes"

	"github.com/klauspost/compress/flate"
)

// Threshold is the size in bytes below which Compressor declines a message
// without a try: too little is saved for what it costs on both sides.
const Threshold = 64

// Compressor compresses whole messages, each without the context of the one
// before. The zero value is ready; it takes its memory with the first message
// that needs it and keeps it: 60 KB, and 0.8 MB more after a message above
// 4 KiB. One goroutine at a time: a loop owns one.
type Compressor struct {
	small *encoder
	large *flate.Writer
	out   sliceWriter
}

// Append compresses msg behind dst, without the tail of RFC 7692 7.2.1, and
// returns the extended slice; the two must not overlap. Hot path: per message;
// it allocates only to grow dst. Distances stay within 2^windowBits bytes (8..15). If the result is not
// smaller than msg, or msg is shorter than Threshold, ok is false and dst is
// returned as it came: send the message uncompressed.
func (c *Compressor) Append(dst, msg []byte, windowBits int) (out []byte, ok bool) {
	if len(msg) < Threshold {
		return dst, false
	}
	return c.append(dst, nil, msg, windowBits)
}

// append compresses msg with history as the bytes before it.
func (c *Compressor) append(dst, history, msg []byte, windowBits int) ([]byte, bool) {
	if len(msg) <= chunkSize || windowBits < MaxWindowBits {
		if c.small == nil {
			c.small = &encoder{}
		}
		return c.small.append(dst, history, msg, 1<<windowBits)
	}
	c.out.b = dst
	if c.large == nil {
		w, err := flate.NewWriter(&c.out, flate.BestSpeed)
		if err != nil {
			panic("deflate: " + err.Error()) // the level is within range
		}
		c.large = w
	}
	c.large.ResetDict(&c.out, history)
	_, err := c.large.Write(msg)
	if err == nil {
		err = c.large.Flush()
	}
	if err != nil {
		panic("deflate: " + err.Error()) // sliceWriter does not fail
	}
	out := bytes.TrimSuffix(c.out.b, []byte(tail))
	c.out.b = nil
	if len(out)-len(dst) >= len(msg) {
		return dst, false
	}
	return out, true
}

// sliceWriter collects what a flate.Writer writes.
type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}
