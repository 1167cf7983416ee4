package deflate_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/codec/deflate"
)

// zlibOracle collects requests to real zlib and asks them in one process.
type zlibOracle struct {
	in     strings.Builder
	checks []func(t *testing.T, out []byte, err error)
}

func (z *zlibOracle) ask(check func(t *testing.T, out []byte, err error), request string, parts ...[]byte) {
	z.in.WriteString(request)
	for _, p := range parts {
		z.in.WriteString(" " + base64.StdEncoding.EncodeToString(p))
	}
	z.in.WriteString("\n")
	z.checks = append(z.checks, check)
}

// run puts all questions to every zlib that is installed.
func (z *zlibOracle) run(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process")
	}
	found := false
	for _, program := range [][]string{{"python3", "testdata/zlib.py"}, {"node", "testdata/zlib.js"}} {
		if exec.Command(program[0], "--version").Run() != nil {
			continue
		}
		found = true
		t.Run(program[0], func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, program[0], program[1])
			cmd.Stdin = strings.NewReader(z.in.String())
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, stderr.Bytes())
			}
			lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
			if len(lines) != len(z.checks) {
				t.Fatalf("%d answers to %d questions", len(lines), len(z.checks))
			}
			for i, line := range lines {
				answer, err := base64.StdEncoding.DecodeString(line[1:])
				if line[0] == '!' {
					answer, err = nil, errors.New(line[1:])
				}
				z.checks[i](t, answer, err)
			}
		})
	}
	if !found {
		t.Skip("neither python3 nor node")
	}
}

var zlibSizes = []int{1, 64, 257, 1024, 4097, 9000, 70000}

// What the compressor writes, zlib reads, with no more window than agreed.
func TestZlibReadsCompressor(t *testing.T) {
	var z zlibOracle
	var c deflate.Compressor
	for name, kind := range kinds {
		for _, n := range zlibSizes {
			for bits := deflate.MinWindowBits; bits <= deflate.MaxWindowBits; bits++ {
				if n > 9000 && bits%3 != 0 {
					continue
				}
				want := kind(n)
				msg, ok := c.Append(nil, want, bits)
				if !ok {
					continue
				}
				z.ask(func(t *testing.T, out []byte, err error) {
					if err != nil || !bytes.Equal(out, want) {
						t.Errorf("%s, %d bytes, window %d: %v, %d bytes", name, n, bits, err, len(out))
					}
				}, fmt.Sprintf("inflate %d 64", bits), msg)
			}
		}
	}
	z.run(t)
}

// The same for the messages of one connection, with context.
func TestZlibReadsStream(t *testing.T) {
	var z zlibOracle
	var c deflate.Compressor
	for bits := deflate.MinWindowBits; bits <= deflate.MaxWindowBits; bits++ {
		s := deflate.NewStream(&c, bits)
		var want []byte
		var msgs [][]byte
		for i, n := range []int{100, 1, 1024, 1024, 3, 300, 5000, 17, 1024, 70000, 1024, 12, 4096, 4097, 20} {
			for _, kind := range []string{"json", "random", "text"} {
				p := kinds[kind](n + i)
				if msg, ok := s.Append(nil, p); ok {
					msgs = append(msgs, msg)
					want = append(want, p...)
				}
			}
		}
		z.ask(func(t *testing.T, out []byte, err error) {
			if err != nil || !bytes.Equal(out, want) {
				t.Errorf("window %d: %v, %d bytes", bits, err, len(out))
			}
		}, fmt.Sprintf("inflate %d 64", bits), msgs...)
	}
	z.run(t)
}

// What zlib writes, with any parameters, the decompressor reads; and none of
// it is larger than CompressBound.
func TestDecompressorReadsZlib(t *testing.T) {
	var z zlibOracle
	var d deflate.Decompressor
	i := 0
	for name, kind := range kinds {
		for _, n := range zlibSizes {
			for _, level := range []int{0, 1, 6, 9} {
				i++
				bits, mem, strategy := 9+i%7, 1+i%9, i%5
				request := fmt.Sprintf("deflate %d %d %d %d", level, bits, mem, strategy)
				want := kind(n)
				z.ask(func(t *testing.T, msg []byte, err error) {
					if err != nil {
						t.Errorf("%s: %v", request, err)
						return
					}
					msg = bytes.TrimSuffix(msg, []byte(tail))
					if len(msg) > deflate.CompressBound(n) {
						t.Errorf("%s, %s: %d bytes are %d, beyond the bound of %d", name, request, n, len(msg), deflate.CompressBound(n))
					}
					got, err := d.Append(nil, msg, n)
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("%s, %d bytes, %s: %v, %d bytes", name, n, request, err, len(got))
					}
				}, request, want)
				parts := [][]byte{want[:n/3], want[n/3 : n/2], nil, want[n/2:]}
				z.ask(func(t *testing.T, msg []byte, zlibErr error) {
					got, err := d.Append(nil, bytes.TrimSuffix(msg, []byte(tail)), n)
					if zlibErr != nil || err != nil || !bytes.Equal(got, want) {
						t.Errorf("%s, %d bytes, %s, flushed: %v, %v, %d bytes", name, n, request, zlibErr, err, len(got))
					}
				}, request, parts...)
			}
		}
	}
	z.run(t)
}

// The worst that zlib does to incompressible data stays below CompressBound.
func TestCompressBound(t *testing.T) {
	var z zlibOracle
	for _, kind := range []string{"random", "steps"} {
		for _, n := range []int{0, 1, 100, 1000, 20000} {
			for _, mem := range []int{1, 2, 5, 8, 9} {
				for _, strategy := range []int{0, 2, 4} { // 2: no matches, 4: fixed codes only
					z.ask(func(t *testing.T, msg []byte, err error) {
						if err != nil || len(msg)-len(tail) > deflate.CompressBound(n) {
							t.Errorf("%s, memLevel %d, strategy %d: %v, %d bytes are %d, bound %d", kind, mem, strategy, err, n, len(msg), deflate.CompressBound(n))
						}
					}, fmt.Sprintf("deflate %d 15 %d %d", mem%3*4+1, mem, strategy), kinds[kind](n))
				}
			}
		}
	}
	z.run(t)
}

func TestCompressBoundExtremes(t *testing.T) {
	const most = int(^uint(0) >> 1)
	for _, c := range []struct{ n, least int }{{-1, 0}, {0, 5}, {1, 6}, {most - 1, most - 1}, {most, most}, {most / 8 * 7, most / 8 * 7}} {
		if got := deflate.CompressBound(c.n); got < c.least || got < 0 {
			t.Errorf("CompressBound(%d) = %d", c.n, got)
		}
	}
}
