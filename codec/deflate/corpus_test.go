package deflate_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// trades is a JSON document of exactly size bytes (at least 96): a head with
// 16 hex digits that differ from message to message, trade records, and a pad.
func trades(size int, seq uint64) []byte {
	symbols := []string{"BTC-USD", "ETH-USD", "SOL-EUR", "AAPL", "MSFT", "NVDA", "EURUSD"}
	sides := []string{"buy", "sell"}
	var b strings.Builder
	fmt.Fprintf(&b, `{"t":"~%016x","type":"trade","data":[`, seq)
	cut := b.Len()
	for r := uint64(88172645463325252); ; {
		r ^= r << 13
		r ^= r >> 7
		r ^= r << 17
		comma := ","
		if b.Len() == cut && cut < 60 {
			comma = ""
		}
		fmt.Fprintf(&b, `%s{"id":%d,"sym":"%s","price":%d.%02d,"qty":%d,"side":"%s","ts":17324%d}`,
			comma, r%100000000, symbols[(r>>8)%7], (r>>16)%90000, (r>>40)%100,
			(r>>24)%1000, sides[(r>>33)&1], (r>>12)%100000000)
		if b.Len() > size-12 {
			break
		}
		cut = b.Len()
	}
	doc := append(make([]byte, 0, size), b.String()[:cut]...)
	doc = append(doc, `],"p":"`...)
	for len(doc) < size-2 {
		doc = append(doc, 'a'+byte(len(doc)%26))
	}
	return append(doc, `"}`...)
}

// sizes are the classes of message sizes that the tests walk through.
var sizes = []int{
	0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 128, 129, 255, 256, 257, 258, 259, 260,
	500, 511, 512, 513, 1000, 1023, 1024, 1025, 2047, 2048, 2049, 4095, 4096, 4097, 8191, 8192, 8193,
	16000, 16383, 16384, 16385, 32767, 32768, 32769, 40000, 65535, 65536, 65537, 70000,
}

// kinds are the kinds of content, each a function of the size.
var kinds = map[string]func(n int) []byte{
	"zeros": func(n int) []byte { return make([]byte, n) },
	"random": func(n int) []byte {
		r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})
		b := make([]byte, n)
		r.Read(b)
		return b
	},
	"hex": func(n int) []byte {
		r := rand.New(rand.NewPCG(1, uint64(n)))
		b := make([]byte, n)
		for i := range b {
			b[i] = "0123456789abcdef"[r.IntN(16)]
		}
		return b
	},
	"json": func(n int) []byte { return trades(max(n, 96), uint64(n))[:n] },
	"text": func(n int) []byte {
		r := rand.New(rand.NewPCG(2, uint64(n)))
		words := strings.Fields("the quick brown fox jumps over a lazy dog while météo 天気 says it will rain in Zürich tomorrow")
		b := make([]byte, 0, n+16)
		for len(b) < n {
			b = append(append(b, words[r.IntN(len(words))]...), ' ')
		}
		return b[:n]
	},
	"steps": func(n int) []byte { // every byte value, then repeats at many distances
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i + i>>8*i>>7)
		}
		return b
	},
	"mixed": func(n int) []byte { // compressible and incompressible stretches in turn
		r := rand.New(rand.NewPCG(3, uint64(n)))
		b := make([]byte, n)
		for i := range b {
			if i>>11&1 == 0 {
				b[i] = byte(r.Uint32())
			} else {
				b[i] = "abcab"[i%5]
			}
		}
		return b
	},
	"fibonacci": func(n int) []byte { // code lengths as uneven as they get
		b := make([]byte, 0, n)
		for v, f0, f1 := byte(0), 1, 1; len(b) < n; v, f0, f1 = v+1, f1, f0+f1 {
			for i := 0; i < f0 && len(b) < n; i++ {
				b = append(b, v)
			}
		}
		r := rand.New(rand.NewPCG(4, uint64(n)))
		r.Shuffle(n, func(i, j int) { b[i], b[j] = b[j], b[i] })
		return b
	},
}
