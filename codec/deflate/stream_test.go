package deflate_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"math"
	"testing"

	"github.com/fe4bcecb/wsd/codec/deflate"
)

func TestStreamUsesContext(t *testing.T) {
	var c deflate.Compressor
	var d deflate.Decompressor
	s := deflate.NewStream(&c, deflate.MaxWindowBits)
	in := deflate.NewInflater(&d, deflate.MaxWindowBits)
	alone, _ := c.Append(nil, trades(1024, 1), deflate.MaxWindowBits)
	for i := range uint64(20) {
		want := trades(1024, i)
		msg, ok := s.Append([]byte("p"), want)
		if !ok || i > 0 && len(msg) > len(alone)/4 {
			t.Fatalf("message %d: %v, %d bytes; %d alone", i, ok, len(msg), len(alone))
		}
		got, err := in.Append([]byte("q"), msg[1:], 1024)
		if err != nil || !bytes.Equal(got[1:], want) {
			t.Fatalf("message %d: %v", i, err)
		}
	}
}

// A message after Forget is compressed as if it were the first, and its receiver, who
// keeps all that came, reads it and what follows.
func TestStreamForgets(t *testing.T) {
	var c deflate.Compressor
	var d deflate.Decompressor
	s := deflate.NewStream(&c, deflate.MaxWindowBits)
	in := deflate.NewInflater(&d, deflate.MaxWindowBits)
	want := trades(1024, 1)
	alone, _ := c.Append(nil, want, deflate.MaxWindowBits)
	for i := range 6 {
		if i == 3 {
			s.Forget()
		}
		msg, ok := s.Append(nil, want)
		if first := i%3 == 0; !ok || first != bytes.Equal(msg, alone) {
			t.Errorf("message %d: %v, %d bytes; %d alone", i, ok, len(msg), len(alone))
		}
		if got, err := in.Append(nil, msg, 1024); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("message %d: %v", i, err)
		}
	}
}

// Two connections share the tables of one loop and never see each other's
// bytes, and a message that is declined leaves no trace.
func TestStreamsShareTables(t *testing.T) {
	var c deflate.Compressor
	var d deflate.Decompressor
	type peer struct {
		s  *deflate.Stream
		in *deflate.Inflater
	}
	var peers [3]peer
	for i := range peers {
		bits := 8 + 3*i
		peers[i] = peer{deflate.NewStream(&c, bits), deflate.NewInflater(&d, bits)}
	}
	for i := range 60 {
		p := peers[i%len(peers)]
		for _, kind := range []string{"random", "json", "text", "hex"} {
			want := kinds[kind](10 + i*i*2)
			msg, ok := p.s.Append(nil, want)
			if !ok {
				continue
			}
			got, err := p.in.Append(nil, msg, len(want))
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("message %d, %s: %v", i, kind, err)
			}
		}
	}
}

// The messages of a client that keeps its context, here the standard library.
func TestInflaterReadsStandardLibrary(t *testing.T) {
	var d deflate.Decompressor
	in := deflate.NewInflater(&d, deflate.MaxWindowBits)
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	for i := range uint64(300) {
		want := trades(100+int(i*i%3000), i/3)
		if i%50 == 49 {
			want = kinds["text"](50000)
		}
		w.Write(want)
		w.Flush()
		got, err := in.Append(nil, bytes.TrimSuffix(b.Bytes(), []byte(tail)), len(want))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("message %d: %v", i, err)
		}
		b.Reset()
	}
}

func TestInflaterRefusesDistanceBeyondContext(t *testing.T) {
	var d deflate.Decompressor
	dict := []byte("0123456789abcdef")
	var b bytes.Buffer
	w, _ := flate.NewWriterDict(&b, 9, dict)
	w.Write(dict)
	w.Flush()
	in := deflate.NewInflater(&d, 15)
	if _, err := in.Append(nil, b.Bytes(), 100); !errors.Is(err, deflate.ErrCorrupt) {
		t.Errorf("no context: %v", err)
	}
	in = deflate.NewInflater(&d, 15)
	for _, p := range [][]byte{dict[:9], dict[9:]} {
		if _, err := in.Append(nil, stdDeflate(0, p), 100); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := in.Append(nil, b.Bytes(), 100); err != nil || !bytes.Equal(got, dict) {
		t.Errorf("with context: %q, %v", got, err)
	}
}

// A bomb of 8 MiB for a limit of 16 KiB: the answer comes early, and what it
// took is in proportion to the limit.
func TestDecompressorBomb(t *testing.T) {
	bomb := stdDeflate(1, make([]byte, 8<<20))
	var d deflate.Decompressor
	const limit = 16 << 10
	out, err := d.Append(nil, bomb, limit)
	if !errors.Is(err, deflate.ErrTooLarge) || len(out) != 0 || cap(out) > 2*limit {
		t.Fatalf("%v, %d bytes, room for %d", err, len(out), cap(out))
	}
	buf := make([]byte, 0, limit+1024)
	if n := testing.AllocsPerRun(20, func() {
		if _, err := d.Append(buf, bomb, limit); !errors.Is(err, deflate.ErrTooLarge) {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestDecompressorLimits(t *testing.T) {
	var d deflate.Decompressor
	for _, level := range []int{flate.HuffmanOnly, 0, 1, 9} {
		for _, n := range []int{0, 1, 257, 258, 259, 5000, 70000} {
			msg := stdDeflate(level, kinds["json"](n))
			for _, limit := range []int{math.MinInt, -1, 0, 1, n - 1, n, n + 1, math.MaxInt} {
				_, err := d.Append(make([]byte, 3, 40), msg, limit)
				if want := n > max(limit, 0); errors.Is(err, deflate.ErrTooLarge) != want || err != nil != want {
					t.Errorf("level %d, %d bytes, limit %d: %v", level, n, limit, err)
				}
			}
		}
	}
}

func TestNoAllocations(t *testing.T) {
	var c deflate.Compressor
	var d deflate.Decompressor
	s, in := deflate.NewStream(&c, 15), deflate.NewInflater(&d, 15)
	for _, n := range []int{20, 1024, 4096, 16 << 10, 70000} {
		doc := trades(max(96, n), 1)[:n]
		packed, inflated := make([]byte, 0, n+64), make([]byte, 0, n+512)
		if allocs := testing.AllocsPerRun(5, func() {
			for _, bits := range []int{8, 12, 15} {
				packed, _ = c.Append(packed[:0], doc, bits)
				if len(packed) == 0 {
					continue
				}
				var err error
				if inflated, err = d.Append(inflated[:0], packed, n); err != nil {
					t.Fatal(err)
				}
			}
			var ok bool
			if packed, ok = s.Append(packed[:0], doc); ok {
				if _, err := in.Append(inflated[:0], packed, n); err != nil {
					t.Fatal(err)
				}
			}
		}); allocs != 0 {
			t.Errorf("%d bytes: %v allocations", n, allocs)
		}
	}
}

// FuzzRoundTrip: what Compressor and Stream write is read by the standard
// library, by Decompressor and by Inflater.
func FuzzRoundTrip(f *testing.F) {
	for name := range kinds {
		f.Add(kinds[name](600), uint16(77), uint8(9))
	}
	f.Add(kinds["mixed"](20000), uint16(5000), uint8(12))
	f.Add(kinds["fibonacci"](4096), uint16(4096), uint8(15))
	var c deflate.Compressor
	var d deflate.Decompressor
	f.Fuzz(func(t *testing.T, data []byte, step uint16, bits uint8) {
		windowBits := 8 + int(bits%8)
		s, in := deflate.NewStream(&c, windowBits), deflate.NewInflater(&d, windowBits)
		var sent []byte
		for first := true; first || len(data) > 0; first = false {
			want := data[:min(len(data), int(step)+1)]
			data = data[len(want):]
			if msg, ok := c.Append([]byte("x"), want, windowBits); ok {
				checkRead(t, "alone", msg[1:], nil, want)
				if got, err := d.Append(nil, msg[1:], len(want)); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("Decompressor: %v", err)
				}
				if len(msg)-1 >= len(want) {
					t.Fatalf("%d bytes became %d", len(want), len(msg)-1)
				}
			} else if len(msg) != 1 {
				t.Fatal("declined, but dst is changed")
			}
			if msg, ok := s.Append(nil, want); ok {
				checkRead(t, "in context", msg, sent[max(0, len(sent)-1<<windowBits):], want)
				if got, err := in.Append(nil, msg, len(want)); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("Inflater: %v", err)
				}
				sent = append(sent, want...)
			}
		}
	})
}

func checkRead(t *testing.T, what string, msg, dict, want []byte) {
	t.Helper()
	got, err := stdInflate(msg, dict, len(want))
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%s: the standard library: %v, %d bytes for %d", what, err, len(got), len(want))
	}
}
