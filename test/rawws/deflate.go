package rawws

import (
	"bytes"
	stdflate "compress/flate"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// deflater compresses a client's messages as the negotiated parameters demand.
type deflater struct {
	bits     int
	takeover bool
	buf      bytes.Buffer
	w        interface {
		io.Writer
		Flush() error
		Reset(io.Writer)
	}
}

// deflaters keeps used ones, by window bits: each has about a megabyte.
var deflaters [16]sync.Pool

func newDeflater(p Params) *deflater {
	bits := p.ClientMaxWindowBits
	d, _ := deflaters[bits].Get().(*deflater)
	if d == nil {
		d = &deflater{bits: bits}
		if bits == 15 {
			d.w, _ = stdflate.NewWriter(&d.buf, 6)
		} else {
			d.w, _ = flate.NewWriterWindow(&d.buf, 1<<bits)
		}
	}
	d.takeover = !p.ClientNoContextTakeover
	d.w.Reset(&d.buf)
	return d
}

// Close closes the connection. Compress can't be called any more.
func (c *Conn) Close() error {
	if d := c.deflater; d != nil {
		c.deflater = nil
		deflaters[d.bits].Put(d)
	}
	return c.Conn.Close()
}

// message returns p without the 00 00 ff ff at its end. RFC 7692 7.2.1
func (d *deflater) message(p []byte) []byte {
	d.buf.Reset()
	if !d.takeover {
		d.w.Reset(&d.buf)
	}
	d.w.Write(p)
	d.w.Flush()
	return bytes.Clone(bytes.TrimSuffix(d.buf.Bytes(), []byte{0, 0, 0xff, 0xff}))
}

// Compress returns p deflated with the negotiated parameters; with context
// takeover it may refer to earlier calls, so that all must be sent, in order.
func (c *Conn) Compress(p []byte) []byte { return c.deflater.message(p) }

// Compress returns p deflated at level -2..9, without any context.
func Compress(p []byte, level int) []byte {
	d := &deflater{}
	d.w, _ = stdflate.NewWriter(&d.buf, level)
	return d.message(p)
}

// CompressFinal returns p as DEFLATE blocks of which the last has BFINAL set,
// followed by the byte 0 that RFC 7692 7.2.3.4 adds.
func CompressFinal(p []byte) []byte {
	var buf bytes.Buffer
	w, _ := stdflate.NewWriter(&buf, 6)
	w.Write(p)
	w.Close()
	return append(buf.Bytes(), 0)
}

// inflate returns a server's compressed message and keeps the context.
func (c *Conn) inflate(payload []byte) ([]byte, error) {
	if !c.Deflate {
		return nil, errNotNegotiated
	}
	in := append(bytes.Clone(payload), 0, 0, 0xff, 0xff)
	out, err := inflate(c.history, in, 1<<c.Params.ServerMaxWindowBits)
	if err != nil {
		return nil, err
	}
	if !c.Params.ServerNoContextTakeover {
		c.history = append(c.history, out...)
		c.history = bytes.Clone(c.history[max(0, len(c.history)-32768):])
	}
	return out, nil
}
