package rawws

import (
	"bytes"
	"compress/flate"
	"io"
	"math/rand/v2"
	"testing"
)

func TestInflateAgainstStandardLibrary(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for size := 0; size < 40000; size = size*3 + 1 {
		for _, letters := range []int{1, 4, 256} {
			p := make([]byte, size)
			for i := range p {
				p[i] = byte(rng.IntN(letters))
			}
			for level := -2; level <= 9; level++ {
				in := append(Compress(p, level), 0, 0, 0xff, 0xff)
				got, err := inflate(nil, in, 32768)
				want, _ := io.ReadAll(flate.NewReader(bytes.NewReader(append(bytes.Clone(in), 1, 0, 0, 0xff, 0xff))))
				if err != nil || !bytes.Equal(got, want) || !bytes.Equal(got, p) {
					t.Fatalf("%d bytes of %d letters at level %d: %d bytes, %v", size, letters, level, len(got), err)
				}
			}
		}
	}
}

func TestInflateSeesDistances(t *testing.T) {
	p := append(bytes.Repeat([]byte{'a'}, 600), "bcdefghijk"...)
	p = append(p, p...)
	in := append(Compress(p, 9), 0, 0, 0xff, 0xff)
	if _, err := inflate(nil, in, 1024); err != nil {
		t.Errorf("window 1024: %v", err)
	}
	if _, err := inflate(nil, in, 512); err == nil {
		t.Error("window 512: a distance of 610 passed")
	}
}

func TestInflateRefusesDamage(t *testing.T) {
	for _, in := range [][]byte{{6}, {0, 1, 0, 0, 0}, {0, 5, 0, 0xfa, 0xff, 'a'}, {0x02, 0x00, 0, 0}, {0xff}} {
		if out, err := inflate(nil, in, 32768); err == nil {
			t.Errorf("% x inflated to %q", in, out)
		}
	}
}

func TestContextTakeover(t *testing.T) {
	p := Params{ClientMaxWindowBits: 15, ServerMaxWindowBits: 15}
	for _, bits := range []int{8, 10, 15} {
		p.ClientMaxWindowBits = bits
		d := newDeflater(p)
		c := &Conn{Deflate: true, Params: Params{ServerMaxWindowBits: bits}}
		for i := range 20 {
			message := bytes.Repeat([]byte("context takeover "), i)
			out, err := c.inflate(d.message(message))
			if err != nil || !bytes.Equal(out, message) {
				t.Fatalf("%d bits, message %d: %v", bits, i, err)
			}
		}
	}
}

func TestNegotiated(t *testing.T) {
	const pmd = "permessage-deflate"
	for _, c := range []struct {
		offer, answer string
		valid         bool
	}{
		{pmd, "", true},
		{pmd, pmd, true},
		{pmd, pmd + "; server_no_context_takeover; client_no_context_takeover", true},
		{pmd + "; server_no_context_takeover", pmd, false},
		{pmd, pmd + "; client_max_window_bits=15", false},
		{pmd + "; client_max_window_bits", pmd + "; client_max_window_bits=9", true},
		{pmd + "; client_max_window_bits", pmd + "; client_max_window_bits", false},
		{pmd + "; server_max_window_bits=10", pmd + "; server_max_window_bits=11", false},
		{pmd + "; server_max_window_bits=10", pmd, false},
		{pmd + "; server_max_window_bits=10, " + pmd, pmd, true},
		{pmd, pmd + "; server_max_window_bits=7", false},
		{pmd, pmd + "; server_max_window_bits=010", false},
		{pmd, pmd + "; server_no_context_takeover; server_no_context_takeover", false},
		{pmd, pmd + "; unknown", false},
		{pmd, pmd + ", " + pmd, false},
		{"x-other", pmd, false},
		{pmd + "; bad=, " + pmd, pmd, true},
	} {
		if _, _, err := negotiated(c.offer, c.answer); (err == nil) != c.valid {
			t.Errorf("offer %q, answer %q: %v", c.offer, c.answer, err)
		}
	}
}
