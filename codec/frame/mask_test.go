package frame_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/fe4bcecb/wsd/codec/frame"
)

// maskSlow is RFC 6455 5.3 word for word: octet i of the transformed data is
// octet i of the original XOR octet i modulo 4 of the key.
func maskSlow(p []byte, key [4]byte, offset int) []byte {
	out := make([]byte, len(p))
	for i := range p {
		out[i] = p[i] ^ key[(i+offset)%4]
	}
	return out
}

func randomBytes(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

func TestMask(t *testing.T) {
	const guard = 24
	source := randomBytes(guard + 10_000 + guard)
	sizes := []int{511, 512, 513, 4095, 4096, 4097, 8191, 8193, 9999}
	for n := range 2*frame.CipherMin + 40 {
		sizes = append(sizes, n)
	}
	for _, n := range sizes {
		for offset := range 5 {
			start := guard - offset*3 // at several alignments
			in := source[start : start+n]
			want := maskSlow(in, key, offset)

			whole := bytes.Clone(source)
			p := whole[start : start+n]
			frame.Mask(p, key, offset)
			if !bytes.Equal(p, want) {
				t.Fatalf("Mask of %d bytes at offset %d is wrong", n, offset)
			}
			frame.Mask(p, key, offset)
			if !bytes.Equal(whole, source) {
				t.Fatalf("Mask of %d bytes at offset %d is not undone by itself, or wrote outside", n, offset)
			}

			dst := bytes.Clone(source)
			frame.MaskCopy(dst[guard:], in, key, offset)
			if !bytes.Equal(dst[guard:guard+n], want) {
				t.Fatalf("MaskCopy of %d bytes at offset %d is wrong", n, offset)
			}
			if !bytes.Equal(dst[:guard], source[:guard]) || !bytes.Equal(dst[guard+n:], source[guard+n:]) {
				t.Fatalf("MaskCopy of %d bytes at offset %d wrote outside", n, offset)
			}
			frame.MaskCopy(p, p, key, offset)
			if !bytes.Equal(p, want) {
				t.Fatalf("MaskCopy of %d bytes onto themselves at offset %d is wrong", n, offset)
			}
		}
	}
}

func TestMaskInPieces(t *testing.T) {
	source := randomBytes(3000)
	want := maskSlow(source, key, 0)
	for piece := 1; piece < 700; piece += 13 {
		p := bytes.Clone(source)
		for at := 0; at < len(p); at += piece {
			frame.Mask(p[at:min(at+piece, len(p))], key, at)
		}
		if !bytes.Equal(p, want) {
			t.Fatalf("in pieces of %d bytes the result is wrong", piece)
		}
	}
}

func TestMaskCopyShortDestination(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a destination that is too short was not refused")
		}
	}()
	frame.MaskCopy(make([]byte, 9), make([]byte, 10), key, 0)
}
