package deflate_test

import (
	"compress/flate"
	"fmt"
	"testing"

	"github.com/fe4bcecb/wsd/codec/deflate"
)

// benchDocuments are 64 documents that differ in 16 hex digits, as the
// messages of a connection would.
func benchDocuments(size int) [][]byte {
	docs := make([][]byte, 64)
	for i := range docs {
		docs[i] = trades(size, 0x1000000*uint64(i)*2654435761+uint64(i))
	}
	return docs
}

var benchSizes = []int{128, 1 << 10, 4 << 10, 16 << 10}

func BenchmarkCompressor(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			docs := benchDocuments(size)
			var c deflate.Compressor
			var out []byte
			total := 0
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				out, _ = c.Append(out[:0], docs[i&63], deflate.MaxWindowBits)
				total += len(out)
			}
			b.ReportMetric(float64(total)/float64(b.N), "B/out")
		})
	}
}

func BenchmarkDecompressor(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			msgs := benchDocuments(size)
			for i, m := range msgs {
				msgs[i] = stdDeflate(flate.DefaultCompression, m)
			}
			var d deflate.Decompressor
			var out []byte
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				out, _ = d.Append(out[:0], msgs[i&63], size)
			}
		})
	}
}

// BenchmarkEcho inflates what zlib's level 6 makes of a document and deflates
// it again: the work of an echo with shared compression.
func BenchmarkEcho(b *testing.B) {
	docs := benchDocuments(1024)
	for i, m := range docs {
		docs[i] = stdDeflate(flate.DefaultCompression, m)
	}
	var c deflate.Compressor
	var d deflate.Decompressor
	var in, out []byte
	total := 0
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		in, _ = d.Append(in[:0], docs[i&63], 1024)
		out, _ = c.Append(out[:0], in, deflate.MaxWindowBits)
		total += len(out)
	}
	b.ReportMetric(float64(total)/float64(b.N), "B/out")
}

func BenchmarkStream(b *testing.B) {
	docs := benchDocuments(1024)
	var c deflate.Compressor
	s := deflate.NewStream(&c, deflate.MaxWindowBits)
	var out []byte
	total := 0
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		out, _ = s.Append(out[:0], docs[i&63])
		total += len(out)
	}
	b.ReportMetric(float64(total)/float64(b.N), "B/out")
}
