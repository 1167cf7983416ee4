package deflate_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/deflate"
)

const (
	tail    = "\x00\x00\xff\xff"
	noLimit = 1 << 26
)

var stdWriters = map[int]*flate.Writer{} // by level; no test runs in parallel

// stdDeflate compresses with the standard library: a sync flush after each
// chunk, without the last tail.
func stdDeflate(level int, chunks ...[]byte) []byte {
	var b bytes.Buffer
	w := stdWriters[level]
	if w == nil {
		var err error
		if w, err = flate.NewWriter(&b, level); err != nil {
			panic(err)
		}
		stdWriters[level] = w
	}
	w.Reset(&b)
	for _, c := range chunks {
		w.Write(c)
		w.Flush()
	}
	return bytes.TrimSuffix(b.Bytes(), []byte(tail))
}

// stdInflate is the oracle: the standard library over msg and the tail. It
// returns what came out before the error, at most limit+1 bytes. Unless there
// was a final block, the end is a good one if a final block can follow: one
// with no bytes and one with three, so that they are not taken for what a cut
// message lacks.
func stdInflate(msg, dict []byte, limit int) ([]byte, error) {
	read := func(more string) ([]byte, error) {
		in := io.MultiReader(bytes.NewReader(msg), strings.NewReader(tail+more))
		r := flate.NewReaderDict(bufio.NewReader(in), dict)
		return io.ReadAll(io.LimitReader(r, int64(limit)+1))
	}
	out, err := read("")
	if err == nil {
		return out, nil
	}
	none, err1 := read("\x01\x00\x00\xff\xff")
	three, err2 := read("\x01\x03\x00\xfc\xffabc")
	if err1 == nil && err2 == nil && bytes.HasPrefix(append(none, "abc"...), three) && len(three) > len(none) || len(none) > limit {
		return none, nil
	}
	return out, err
}

func TestDecompressorReadsStandardLibrary(t *testing.T) {
	var d deflate.Decompressor
	buf := make([]byte, 0, 1<<17)
	for name, kind := range kinds {
		for i, n := range sizes {
			levels := []int{flate.HuffmanOnly, 0, 1, 6, 9}
			for _, level := range []int{levels[i%5], levels[(i+1)%5]} {
				want := kind(n)
				msg := stdDeflate(level, want)
				got, err := d.Append(buf[:3], msg, n)
				if err != nil || !bytes.Equal(got[3:], want) {
					t.Fatalf("%s, %d bytes, level %d: %v, %d bytes", name, n, level, err, len(got)-3)
				}
				if n > 0 {
					if _, err := d.Append(nil, msg, n-1); !errors.Is(err, deflate.ErrTooLarge) {
						t.Fatalf("%s, %d bytes, level %d, limit %d: %v", name, n, level, n-1, err)
					}
				}
			}
		}
	}
}

func TestDecompressorMessageEndings(t *testing.T) {
	hello := []byte("Hello")
	final := func(p []byte) []byte {
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, 6)
		w.Write(p)
		w.Close()
		return b.Bytes()
	}
	long := trades(3000, 1)
	cases := []struct {
		name string
		msg  []byte
		want []byte
	}{
		{"RFC 7692 7.2.3.1", []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, hello},
		{"RFC 7692 7.2.3.3, stored", []byte{0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00}, hello},
		{"RFC 7692 7.2.3.4, final block", []byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}, hello},
		{"RFC 7692 7.2.3.5, two blocks", []byte{0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00}, hello},
		{"RFC 7692 7.2.3.6, empty", []byte{0x00}, nil},
		{"no bytes", nil, nil},
		{"tail left on", []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff}, hello},
		{"only a tail", []byte("\x00\x00\x00\xff\xff"), nil},
		{"final, nothing behind", final(long), long},
		{"final, garbage behind", append(final(long), "garbage"...), long},
		{"final and empty", final(nil), nil},
		{"ends without a flush", []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07}, hello},
		{"many flushes", stdDeflate(6, long, nil, long, []byte("x"), nil, nil), bytes.Join([][]byte{long, long, []byte("x")}, nil)},
	}
	var d deflate.Decompressor
	for _, c := range cases {
		got, err := d.Append(nil, c.msg, noLimit)
		if err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}

// Every byte of a message is changed in turn, and the message is cut at every
// byte; what comes out is what the standard library makes of it.
func TestDecompressorCorruptAtEveryPosition(t *testing.T) {
	plain := trades(400, 7)
	var d deflate.Decompressor
	for _, level := range []int{flate.HuffmanOnly, 0, 1, 9} {
		msg := stdDeflate(level, plain[:300], plain[300:])
		for i := range msg {
			if err := checkInflate(&d, nil, msg[:i], 4000); err != nil {
				t.Fatalf("level %d, cut at %d: %v", level, i, err)
			}
			for _, flip := range []byte{1, 2, 4, 8, 16, 32, 64, 128} {
				bad := bytes.Clone(msg)
				bad[i] ^= flip
				if err := checkInflate(&d, nil, bad, 4000); err != nil {
					t.Fatalf("level %d, byte %d, flip %#x: %v", level, i, flip, err)
				}
			}
		}
	}
}

// checkInflate compares one message, in the context of dict, with the standard
// library. Endings that only Decompressor takes are an unexpected end for the
// standard library or, in the bytes of the second tail, corruption.
func checkInflate(d *deflate.Decompressor, dict, msg []byte, limit int) error {
	prefix := []byte("prefix")
	in := deflate.NewInflater(d, deflate.MaxWindowBits)
	if _, err := in.Append(nil, stdDeflate(0, dict), len(dict)); err != nil {
		return err
	}
	got, err := in.Append(prefix, msg, limit)
	if len(dict) == 0 {
		alone, aloneErr := d.Append(prefix, msg, limit)
		if !errors.Is(aloneErr, err) || !bytes.Equal(alone, got) {
			return fmt.Errorf("Inflater: %w, Decompressor: %w", err, aloneErr)
		}
	}
	if !bytes.HasPrefix(got, prefix) {
		return fmt.Errorf("prefix lost")
	}
	got = got[len(prefix):]
	want, wantErr := stdInflate(msg, dict, limit)
	switch {
	case err != nil && len(got) != 0:
		return fmt.Errorf("%d bytes beside %v", len(got), err)
	case err == nil && len(got) > limit:
		return fmt.Errorf("%d bytes for a limit of %d", len(got), limit)
	case err == nil && !bytes.Equal(got, want):
		return fmt.Errorf("got %d bytes, want %d (%v)", len(got), len(want), wantErr)
	case err != nil && wantErr == nil && len(want) <= limit:
		return fmt.Errorf("%w; the standard library reads %d bytes", err, len(want))
	case err == nil && wantErr != nil && !endsAtBoundary(dict, msg, len(want)):
		return fmt.Errorf("accepted; the standard library: %w", wantErr)
	}
	return nil
}

// endsAtBoundary reports whether a block ends within the last byte of msg or
// within the tail, after n bytes of output: whether, from some bit on, an
// empty final block with fixed codes can stand there.
func endsAtBoundary(dict, msg []byte, n int) bool {
	whole := append(bytes.Clone(msg), tail...)
	for bit := max(0, 8*len(msg)-7); bit <= 8*len(whole); bit++ {
		b := append(bytes.Clone(whole[:bit/8]), 0, 0, 0)
		if bit%8 != 0 {
			b[bit/8] = whole[bit/8] & (1<<(bit%8) - 1)
		}
		finalBlock := 0b11 // final, fixed codes, and seven zeros: end of block
		b[bit/8] |= byte(finalBlock << (bit % 8))
		b[bit/8+1] |= byte(finalBlock << (bit % 8) >> 8)
		out, err := io.ReadAll(flate.NewReaderDict(bytes.NewReader(b), dict))
		if err == nil && len(out) == n {
			return true
		}
	}
	return false
}

func FuzzInflate(f *testing.F) {
	dict := trades(300, 4)
	for _, level := range []int{flate.HuffmanOnly, 0, 1, 6, 9} {
		f.Add(stdDeflate(level, trades(300, 1), nil, trades(1200, 2)), uint16(2000), dict)
		f.Add(stdDeflate(level, bytes.Repeat([]byte("ab"), 700)), uint16(1399), []byte(nil))
	}
	f.Add([]byte{0x00}, uint16(0), []byte(nil))
	f.Add([]byte("\x00\x00\x00\xff\xff"), uint16(9), dict[:9])
	var d deflate.Decompressor
	f.Fuzz(func(t *testing.T, msg []byte, limit uint16, dict []byte) {
		if err := checkInflate(&d, dict, msg, int(limit)); err != nil {
			t.Fatal(err)
		}
	})
}
