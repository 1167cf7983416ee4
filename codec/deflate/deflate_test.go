package deflate_test

import (
	"bytes"
	"testing"

	"github.com/fe4bcecb/wsd/codec/deflate"
)

func TestCompressorStandardLibraryReads(t *testing.T) {
	var c deflate.Compressor
	var d deflate.Decompressor
	for name, kind := range kinds {
		for i, n := range sizes {
			for _, bits := range []int{deflate.MinWindowBits + i%7, deflate.MaxWindowBits} {
				want := kind(n)
				msg, ok := c.Append([]byte("ab"), want, bits)
				if !ok {
					if len(msg) != 2 {
						t.Fatalf("%s, %d bytes, window %d: dst changed", name, n, bits)
					}
					if name != "random" && name != "hex" && name != "steps" && name != "mixed" && n > 300 {
						t.Errorf("%s, %d bytes, window %d: not compressed", name, n, bits)
					}
					continue
				}
				msg = msg[2:]
				if len(msg) >= n {
					t.Fatalf("%s, %d bytes: %d bytes", name, n, len(msg))
				}
				got, err := stdInflate(msg, nil, n)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%s, %d bytes, window %d: %v, %d bytes", name, n, bits, err, len(got))
				}
				got, err = d.Append(nil, msg, n)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%s, %d bytes, window %d, own inflater: %v, %d bytes", name, n, bits, err, len(got))
				}
			}
		}
	}
}

// The size of the benchmark's document is what the time is spent for: zlib's
// level 6 makes 405 bytes of it.
func TestCompressorRatio(t *testing.T) {
	var c deflate.Compressor
	total := 0
	docs := benchDocuments(1024)
	for _, doc := range docs {
		msg, ok := c.Append(nil, doc, deflate.MaxWindowBits)
		if !ok {
			t.Fatal("not compressed")
		}
		total += len(msg)
	}
	if mean := total / len(docs); mean > 405 {
		t.Errorf("%d bytes", mean)
	}
}

func TestCompressorThreshold(t *testing.T) {
	var c deflate.Compressor
	if _, ok := c.Append(nil, make([]byte, deflate.Threshold-1), deflate.MaxWindowBits); ok {
		t.Error("compressed below the threshold")
	}
	if _, ok := c.Append(nil, make([]byte, deflate.Threshold), deflate.MaxWindowBits); !ok {
		t.Error("declined at the threshold")
	}
	s := deflate.NewStream(&c, deflate.MaxWindowBits)
	if _, ok := s.Append(nil, nil); ok {
		t.Error("a stream compressed an empty message")
	}
}
