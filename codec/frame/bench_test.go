package frame_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/fe4bcecb/wsd/codec/frame"
)

var key = [4]byte{0x37, 0xfa, 0x21, 0x3d}

func BenchmarkParseHeader(b *testing.B) {
	for _, length := range []int{20, 512, 100_000} {
		head := append(frame.AppendMaskedHeader(nil, true, false, ws.OpText, length, key), "payload"...)
		b.Run(fmt.Sprint(length), func(b *testing.B) {
			b.ReportAllocs()
			var h frame.Header
			for b.Loop() {
				if n, err := frame.ParseHeader(head, &h); n == 0 || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkAccept(b *testing.B) {
	rules := &frame.Rules{Masked: true, Deflate: true, MaxMessage: 16 << 10, MaxCompressed: 17 << 10}
	single := []frame.Header{{Fin: true, OpCode: ws.OpText, Masked: true, Length: 20}}
	fragments := []frame.Header{
		{OpCode: ws.OpText, Masked: true, Length: 20},
		{OpCode: ws.OpPing, Masked: true, Fin: true},
		{OpCode: ws.OpContinuation, Masked: true, Length: 20, Fin: true},
	}
	for name, headers := range map[string][]frame.Header{"single": single, "fragments": fragments} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var m frame.Message
			for b.Loop() {
				for i := range headers {
					if err := m.Accept(&headers[i], rules); err != nil {
						b.Fatal(err)
					}
				}
				m.Reset()
			}
		})
	}
}

func BenchmarkAppendHeader(b *testing.B) {
	b.ReportAllocs()
	buf := make([]byte, 0, frame.MaxHeaderSize)
	for b.Loop() {
		buf = frame.AppendHeader(buf[:0], true, false, ws.OpText, 20)
	}
}

// BenchmarkMask compares Mask with the two ways it chooses from, "words" and
// "blocks", and with ws.Cipher as it is.
func BenchmarkMask(b *testing.B) {
	kinds := []struct {
		name string
		mask func([]byte, [4]byte, int)
	}{{"mask", frame.Mask}, {"words", frame.MaskWords}, {"blocks", frame.MaskBlocks}, {"cipher", ws.Cipher}}
	for _, size := range []int{8, 20, 125, 160, 191, 192, 255, 256, 319, 512, 1 << 10, 16 << 10} {
		p := make([]byte, size)
		for _, kind := range kinds {
			if kind.name == "blocks" && size < 16 {
				continue
			}
			b.Run(fmt.Sprintf("%d/%s", size, kind.name), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					kind.mask(p, key, 0)
				}
			})
		}
	}
}

func BenchmarkMaskCopy(b *testing.B) {
	for _, size := range []int{20, 1 << 10, 16 << 10} {
		src, dst := make([]byte, size), make([]byte, size)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				frame.MaskCopy(dst, src, key, 0)
			}
		})
	}
}

func BenchmarkUTF8(b *testing.B) {
	texts := []struct{ name, text string }{
		{"ascii20", strings.Repeat("a", 20)},
		{"ascii1K", strings.Repeat("a", 1<<10)},
		{"mixed1K", strings.Repeat(`{"grüße":"привет мир, hello","n":12345,"e":"日本語"}`, 16)[:1<<10]},
		{"cyrillic1K", strings.Repeat("привет", 86)[:1<<10]},
	}
	for _, t := range texts {
		p := []byte(t.text)
		b.Run(t.name+"/stream", func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				var u frame.UTF8
				if !u.Write(p) {
					b.Fatal("not UTF-8")
				}
			}
		})
		b.Run(t.name+"/std", func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				utf8.Valid(p)
			}
		})
	}
}
