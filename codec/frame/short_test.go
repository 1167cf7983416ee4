package frame_test

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/codec/frame"
)

// Short must accept exactly those beginnings which the long way accepts as a
// whole, plain, final data frame with a short length.
func TestShortAgreesWithTheLongWay(t *testing.T) {
	rules := frame.Rules{Masked: true, Deflate: true}
	for b0 := range 256 {
		for b1 := range 256 {
			for _, have := range []int{0, 1, 5, 6, 7, 6 + b1&0x7f - 1, 6 + b1&0x7f, 200} {
				b := make([]byte, max(have, 0))
				copy(b, []byte{byte(b0), byte(b1), 1, 2, 3, 4})
				op, size := frame.Short(b)
				wantOp, want := longWay(b, &rules)
				if size != want || op != wantOp {
					t.Fatalf("% x of %d bytes: opcode %d, size %d; want %d, %d", b[:min(len(b), 6)], len(b), op, size, wantOp, want)
				}
			}
		}
	}
}

func longWay(b []byte, rules *frame.Rules) (frame.OpCode, int) {
	var h frame.Header
	var m frame.Message
	n, err := frame.ParseHeader(b, &h)
	if n == 0 || err != nil || m.Accept(&h, rules) != nil || !m.Done || m.Compressed || h.Length > 125 || int64(len(b)-n) < h.Length {
		return 0, 0
	}
	return m.Op, n + int(h.Length)
}

func TestUnmaskText(t *testing.T) {
	key := [4]byte{0x80, 0xff, 0x01, 0x7f}
	for n := range 126 {
		plain := bytes.Repeat([]byte("wsd & co"), 16)[:n]
		for bad := -1; bad < n; bad++ {
			p := bytes.Clone(plain)
			if bad >= 0 {
				p[bad] = 0xc3
			}
			want := bytes.Clone(p)
			frame.Mask(p, key, 0)
			ascii := frame.UnmaskText(p, key)
			if !bytes.Equal(p, want) {
				t.Fatalf("%d bytes: %q, want %q", n, p, want)
			}
			if ascii != (bad < 0) {
				t.Fatalf("%d bytes, byte %d not ASCII: reported %v", n, bad, ascii)
			}
		}
	}
}

func BenchmarkUnmaskText(b *testing.B) {
	p := bytes.Repeat([]byte("x"), 20)
	key := [4]byte{1, 2, 3, 4}
	b.Run("20B", func(b *testing.B) {
		for range b.N {
			frame.UnmaskText(p, key)
		}
	})
	b.Run("20B/Mask and utf8.Valid", func(b *testing.B) {
		for range b.N {
			frame.Mask(p, key, 0)
			utf8.Valid(p)
		}
	})
}
