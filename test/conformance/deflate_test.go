package conformance

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/test/rawws"
)

func TestDeflate(t *testing.T) {
	var cases []Case
	common := slices.Concat(deflateSizes(), deflateForms(), deflateFragments(), deflateMisuse())
	for _, path := range []string{shared, dedicated} {
		for _, c := range slices.Concat(common, deflatePings(path)) {
			c.Name, c.Profile, c.Offer = path[1:]+"/"+c.Name, path, pmd
			cases = append(cases, c)
		}
	}
	runAll(t, cases)
}

// deflated is p as a compressed message that needs no context.
func deflated(op byte, p string) []byte {
	return rawws.Frame{Fin: true, Op: op, Rsv: rawws.Rsv1, Payload: rawws.Compress([]byte(p), 6)}.Bytes()
}

// deflatedAs is a binary message whose compressed payload is given.
func deflatedAs(payload []byte) []byte {
	return rawws.Frame{Fin: true, Op: rawws.Binary, Rsv: rawws.Rsv1, Payload: payload}.Bytes()
}

func random(n int) []byte {
	rng := rand.New(rand.NewPCG(uint64(n), 7692))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// prose is n bytes of compressible text that does not repeat itself exactly.
func prose(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `{"id":%d,"user":"user-%d","text":"the quick brown fox jumps over %d lazy dogs"},`, i, i*i%97, i%13)
	}
	return b.String()[:n]
}

// deflateSizes also take care of every level a client may compress with.
func deflateSizes() (cases []Case) {
	for _, n := range []int{0, 1, 16, 63, 64, 100, 125, 126, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072, 300000} {
		contents := map[string][]byte{"prose": []byte(prose(n)), "random": random(n), "zeros": make([]byte, n)}
		for what, p := range contents {
			for _, level := range levels(n) {
				cases = append(cases, Case{
					Name: fmt.Sprintf("%d bytes of %s at level %d", n, what, level), Section: "RFC 7692 7.2",
					Steps: steps(send(deflatedAs(rawws.Compress(p, level))), wantBinary(p), echo(textOf("not compressed"))),
				})
			}
		}
	}
	return append(cases, Case{
		Name: "compressed and not, by turns", Section: "RFC 7692 6",
		Steps: steps(repeat(50,
			send(deflated(rawws.Text, prose(700))), wantText(prose(700)),
			send(text(prose(900))), wantText(prose(900)))),
	})
}

// deflatePings: control frames are no part of a compression context.
func deflatePings(path string) []Case {
	conversation := func(n int) Step {
		return repeat(n, send(deflated(rawws.Text, prose(700)), ping("p")), wantText(prose(700)), wantPong("p"))
	}
	var e Except
	if path == dedicated {
		// The first pong shifts what the second message refers to.
		e = Except{"gws": {"adds the payload of its pongs to the context", steps(conversation(1))}}
	}
	return []Case{{
		Name: "pings between messages", Section: "RFC 7692 6, 7.1.1",
		Steps: steps(conversation(50)), Except: e,
	}}
}

// levels are those a client may use; one does for the largest messages.
func levels(n int) []int {
	if n > 64<<10 && !long {
		return []int{6}
	}
	return []int{-2, 0, 1, 6, 9}
}

// deflateForms are the ways in which a compressed message may end and be built.
func deflateForms() []Case {
	compressed := func(hex string) []byte { return deflatedAs([]byte(hex)) }
	hello := wantBinary([]byte("Hello"))
	final := rawws.CompressFinal([]byte(prose(5000)))
	return []Case{
		{
			Name: "one fixed block", Section: "RFC 7692 7.2.3.1",
			Steps: steps(send(compressed("\xf2\x48\xcd\xc9\xc9\x07\x00")), hello),
		},
		{
			Name: "reference into the message before", Section: "RFC 7692 7.2.3.2",
			Steps: steps(func(p *peer) error {
				for range 3 {
					if err := send(deflatedAs(p.Compress([]byte("Hello"))))(p); err != nil {
						return err
					}
					if err := hello(p); err != nil {
						return err
					}
				}
				return nil
			}),
		},
		{
			Name: "stored block", Section: "RFC 7692 7.2.3.3",
			Steps: steps(send(compressed("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00")), hello),
		},
		{
			Name: "final block", Section: "RFC 7692 7.2.3.4",
			Steps: steps(send(compressed("\xf3\x48\xcd\xc9\xc9\x07\x00\x00")), hello, echo(textOf("next"))),
		},
		{
			Name: "long final block", Section: "RFC 7692 7.2.3.4",
			Steps: steps(repeat(2, send(deflatedAs(final)), wantBinary([]byte(prose(5000))))),
		},
		{
			Name: "two blocks", Section: "RFC 7692 7.2.3.5",
			Steps: steps(send(compressed("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")), hello),
		},
		{
			Name: "empty message", Section: "RFC 7692 7.2.3.6",
			Steps: steps(send(compressed("\x00")), wantBinary(nil)),
		},
		{
			Name: "empty text by a fixed block", Section: "RFC 7692 7.2.3.6",
			Steps: steps(send(compressed("\x02\x00")), wantBinary(nil)),
		},
		{
			Name: "many empty blocks", Section: "RFC 7692 7.2.1",
			Steps: steps(send(compressed(strings.Repeat("\x00\x00\x00\xff\xff", 100)+"\xf2\x48\xcd\xc9\xc9\x07\x00")), hello),
		},
	}
}

func deflateFragments() (cases []Case) {
	p := []byte(prose(20000))
	payload := rawws.Compress(p, 6)
	first := rawws.Frame{Op: rawws.Binary, Rsv: rawws.Rsv1}
	for _, n := range []int{7, 64, 125, 126, 1000} {
		if len(payload)/n > 1000 {
			continue
		}
		cases = append(cases,
			Case{
				Name: fmt.Sprintf("%d compressed bytes in frames of %d", len(payload), n), Section: "RFC 7692 6.1, 7.2.3.1",
				Steps: steps(send(split(first, payload, n)), wantBinary(p)),
			},
			Case{
				Name: fmt.Sprintf("%d compressed bytes in packets of %d", len(payload), n), Section: "RFC 7692 6.2",
				Steps: steps(chop(n, deflatedAs(payload)), wantBinary(p)),
			})
	}
	hello := []byte("\xf2\x48\xcd\xc9\xc9\x07\x00")
	return append(cases,
		Case{
			Name: "one byte a frame with pings between", Section: "RFC 7692 6.1, RFC 6455 5.4",
			Steps: steps(send(interleave(split(first, hello, 1), ping("x"))),
				repeat(len(hello), wantPong("x")), wantBinary([]byte("Hello"))),
		},
		Case{
			Name: "empty first and last frames", Section: "RFC 7692 6.1",
			Steps: steps(send(first.Bytes(), part(rawws.Continuation, string(hello)), last("")), wantBinary([]byte("Hello"))),
		},
		Case{
			Name: "uncompressed fragments behind compressed ones", Section: "RFC 7692 6.1",
			Steps: steps(send(split(first, hello, 2), part(rawws.Text, "pl"), last("ain")),
				wantBinary([]byte("Hello")), wantText("plain")),
		},
	)
}

// interleave puts a control frame before the last of the short frames and each
// one before it.
func interleave(frames, control []byte) (out []byte) {
	for len(frames) > 0 {
		n := 6 + int(frames[1]&0x7f)
		out = append(append(out, control...), frames[:n]...)
		frames = frames[n:]
	}
	return out
}

// deflateMisuse: data that is no DEFLATE fails the connection. RFC 7692 gives no
// code; 1007 says that the payload is not what its type promises.
func deflateMisuse() (cases []Case) {
	whole := rawws.Compress([]byte(prose(5000)), 6)
	damaged := bytes.Clone(whole)
	for i := range 50 {
		damaged[len(damaged)/2+i] ^= 0xff
	}
	for name, payload := range map[string][]byte{
		"block type 3":                 {0x06},
		"all ones":                     bytes.Repeat([]byte{0xff}, 100),
		"stored with a bad complement": {0x00, 0x05, 0x00, 0x00, 0x00, 'H', 'e', 'l', 'l', 'o', 0x00},
		"distance beyond the start":    {0x02, 0x0f, 0x00}, // a match in front of any literal
		"damaged in the middle":        damaged,
		"cut in the middle":            whole[:len(whole)/2],
	} {
		c := Case{
			Name: name, Section: "RFC 7692 6.2, RFC 6455 7.4.1",
			Steps:  steps(send(deflatedAs(payload)), fails(1007)),
			Except: Except{"gws": {"fails a failed inflation with 1011", steps(send(deflatedAs(payload)), fails(1011))}},
		}
		cases = append(cases, c)
	}
	return cases
}
