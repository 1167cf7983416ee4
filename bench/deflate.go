package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"

	"github.com/fe4bcecb/wsd/codec/frame"
)

// syncTail ends a flushed deflate stream; messages travel without it. RFC 7692
// 7.2.1.
const syncTail = "\x00\x00\xff\xff"

// finalBlock is an empty last block, so that the reader sees an end.
const finalBlock = "\x01\x00\x00\xff\xff"

type compressor struct {
	buf bytes.Buffer
	w   *flate.Writer
}

var compressors = sync.Pool{New: func() any {
	c := &compressor{}
	c.w, _ = flate.NewWriter(&c.buf, flate.BestSpeed) // fails for unknown levels only
	return c
}}

// appendDeflated appends a compressed client frame.
func appendDeflated(dst []byte, op frame.OpCode, payload []byte) []byte {
	c := compressors.Get().(*compressor)
	defer compressors.Put(c)
	c.buf.Reset()
	c.w.Reset(&c.buf)
	_, _ = c.w.Write(payload) // a bytes.Buffer does not fail
	_ = c.w.Flush()
	return appendMasked(dst, op, true, bytes.TrimSuffix(c.buf.Bytes(), []byte(syncTail)))
}

type inflater struct {
	in  bytes.Reader
	buf []byte
	out bytes.Buffer
	r   io.ReadCloser
}

var inflaters = sync.Pool{New: func() any {
	i := &inflater{}
	i.r = flate.NewReader(&i.in)
	return i
}}

// errInflate is wrapped when a compressed message cannot be read.
var errInflate = errors.New("bad compressed message")

// inflated calls f with the message that p holds in compressed form.
func inflated(p []byte, f func([]byte) error) error {
	i := inflaters.Get().(*inflater)
	defer inflaters.Put(i)
	i.buf = append(append(append(i.buf[:0], p...), syncTail...), finalBlock...)
	i.in.Reset(i.buf)
	if err := i.r.(flate.Resetter).Reset(&i.in, nil); err != nil {
		return fmt.Errorf("%w: %w", errInflate, err)
	}
	i.out.Reset()
	if _, err := io.Copy(&i.out, io.LimitReader(i.r, 2*maxSize)); err != nil {
		return fmt.Errorf("%w: %w", errInflate, err)
	}
	return f(i.out.Bytes())
}
