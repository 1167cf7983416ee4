package deflate_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fe4bcecb/wsd/codec/deflate"
)

// huffmanBits is the size of the message in an optimal code without a limit:
// the sum of all inner nodes, found the slow way.
func huffmanBits(counts []uint16) (bits, longest int) {
	type node struct{ weight, depth int }
	var nodes []node
	for _, f := range counts {
		if f != 0 {
			nodes = append(nodes, node{int(f), 0})
		}
	}
	for len(nodes) > 1 {
		slices.SortStableFunc(nodes, func(a, b node) int { return a.weight - b.weight })
		n := node{nodes[0].weight + nodes[1].weight, max(nodes[0].depth, nodes[1].depth) + 1}
		bits += n.weight
		longest = max(longest, n.depth)
		nodes = append(nodes[2:], n)
	}
	return bits, longest
}

func TestBuildCode(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	shapes := map[string]func(i int) uint16{
		"equal":       func(int) uint16 { return 7 },
		"ones":        func(int) uint16 { return 1 },
		"exponential": func(i int) uint16 { return uint16(1) << min(i/2, 11) },
		"doubling":    func(i int) uint16 { return uint16(1) << min(i, 11) },
		"fibonacci": func(i int) uint16 {
			a, b := uint16(1), uint16(1)
			for range min(i, 15) {
				a, b = b, a+b
			}
			return a
		},
		"random": func(int) uint16 { return uint16(r.IntN(60)) },
		"sparse": func(int) uint16 { return uint16(max(0, r.IntN(300)-280)) },
		"skewed": func(int) uint16 { return uint16(4000 / (1 + r.IntN(4000))) },
		"none":   func(int) uint16 { return 0 },
	}
	for name, shape := range shapes {
		for _, c := range []struct{ n, limit int }{{2, 15}, {3, 7}, {19, 7}, {19, 5}, {30, 15}, {30, 6}, {286, 15}, {286, 9}} {
			for range 3 {
				counts := make([]uint16, c.n)
				for i := range counts {
					counts[i] = shape(i)
				}
				r.Shuffle(c.n, func(i, j int) { counts[i], counts[j] = counts[j], counts[i] })
				lens, bits := deflate.BuildCode(counts, c.limit)
				space, sum := 0, 0
				for i, w := range lens {
					if int(w) > c.limit || counts[i] != 0 && w == 0 {
						t.Fatalf("%s, %d symbols, limit %d: length %d for count %d", name, c.n, c.limit, w, counts[i])
					}
					if w != 0 {
						space += 1 << (15 - w)
					}
					sum += int(w) * int(counts[i])
				}
				if space != 1<<15 {
					t.Fatalf("%s, %d symbols, limit %d: not complete: %d, %v", name, c.n, c.limit, space, lens)
				}
				best, longest := huffmanBits(counts)
				if bits != sum {
					t.Fatalf("%s: says %d bits, takes %d", name, bits, sum)
				}
				if longest > 0 && longest <= c.limit && bits != best || bits < best {
					t.Fatalf("%s, %d symbols, limit %d: %d bits, %d is possible", name, c.n, c.limit, bits, best)
				}
			}
		}
	}
}
