package rawws

import (
	"errors"
	"fmt"
	"io"
)

var (
	errNotNegotiated = errors.New("server set RSV1 without permessage-deflate")
	errHuffman       = errors.New("inflate: bad Huffman code")
)

// maxInflated bounds a server's message, in bytes.
const maxInflated = 64 << 20

// inflate decodes the DEFLATE blocks of src (RFC 1951) behind the given
// history until src is used up, and refuses a distance beyond window bytes.
// It is written for clarity, not for speed.
func inflate(history, src []byte, window int) ([]byte, error) {
	d := &inflater{src: src, out: append([]byte(nil), history...), start: len(history), window: window}
	for !d.done() {
		d.bits(1) // BFINAL: in permessage-deflate another block may follow
		var err error
		switch kind := d.bits(2); kind {
		case 0:
			err = d.stored()
		case 1:
			err = d.compressed(fixedLiterals, fixedDistances)
		case 2:
			err = d.dynamic()
		default:
			err = errors.New("inflate: block type 3")
		}
		if d.short {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
	}
	return d.out[d.start:], nil
}

type inflater struct {
	src    []byte
	pos    int // in bits
	short  bool
	out    []byte
	start  int
	window int
}

func (d *inflater) done() bool { return (d.pos+7)/8 >= len(d.src) }

func (d *inflater) bits(n int) (v int) {
	for i := range n {
		if d.pos>>3 >= len(d.src) {
			d.short = true
			return 0
		}
		v |= int(d.src[d.pos>>3]>>(d.pos&7)&1) << i
		d.pos++
	}
	return v
}

func (d *inflater) stored() error {
	d.pos = (d.pos + 7) &^ 7
	length, check := d.bits(16), d.bits(16)
	if !d.short && length != check^0xffff {
		return errors.New("inflate: stored length and its complement differ")
	}
	from := d.pos / 8
	if d.short || from+length > len(d.src) {
		return io.ErrUnexpectedEOF
	}
	d.out = append(d.out, d.src[from:from+length]...)
	d.pos += 8 * length
	return nil
}

// code is a canonical Huffman code: how many codes there are of each length,
// and their symbols in the order of the codes.
type code struct {
	count   [16]int
	symbols []int
}

func newCode(lengths []int) *code {
	c := &code{}
	for bits := 1; bits <= 15; bits++ {
		for symbol, n := range lengths {
			if n == bits {
				c.symbols = append(c.symbols, symbol)
				c.count[bits]++
			}
		}
	}
	return c
}

func (d *inflater) symbol(c *code) (int, error) {
	value, first, before := 0, 0, 0 // first code of this length, shorter codes
	for bits := 1; bits <= 15; bits++ {
		value = value<<1 | d.bits(1)
		first <<= 1
		if i := value - first; i < c.count[bits] {
			return c.symbols[before+i], nil
		}
		first += c.count[bits]
		before += c.count[bits]
	}
	return 0, errHuffman
}

func (d *inflater) compressed(literals, distances *code) error {
	for !d.short {
		s, err := d.symbol(literals)
		switch {
		case err != nil:
			return err
		case s < 256:
			d.out = append(d.out, byte(s))
		case s == 256:
			return nil
		case s > 285:
			return errHuffman
		default:
			if err := d.match(s-257, distances); err != nil {
				return err
			}
		}
		if len(d.out) > maxInflated {
			return errors.New("inflate: message too long")
		}
	}
	return io.ErrUnexpectedEOF
}

func (d *inflater) match(s int, distances *code) error {
	length := lengthBase[s] + d.bits(lengthExtra(s))
	s, err := d.symbol(distances)
	if err != nil || s > 29 {
		return errHuffman
	}
	distance := distanceBase[s] + d.bits(distanceExtra(s))
	if distance > len(d.out) || distance > d.window {
		return fmt.Errorf("inflate: distance %d with %d bytes of history and a window of %d", distance, len(d.out), d.window)
	}
	for range length {
		d.out = append(d.out, d.out[len(d.out)-distance])
	}
	return nil
}

func (d *inflater) dynamic() error {
	nLiterals, nDistances, nLengths := d.bits(5)+257, d.bits(5)+1, d.bits(4)+4
	var lengths [19]int
	for _, i := range lengthOrder[:nLengths] {
		lengths[i] = d.bits(3)
	}
	all, err := d.codeLengths(newCode(lengths[:]), nLiterals+nDistances)
	if err != nil {
		return err
	}
	return d.compressed(newCode(all[:nLiterals]), newCode(all[nLiterals:]))
}

func (d *inflater) codeLengths(c *code, n int) ([]int, error) {
	var all []int
	for len(all) < n && !d.short {
		s, err := d.symbol(c)
		if err != nil {
			return nil, err
		}
		value, count := 0, 1
		switch {
		case s < 16:
			value = s
		case s == 16:
			if len(all) == 0 {
				return nil, errHuffman
			}
			value, count = all[len(all)-1], 3+d.bits(2)
		case s == 17:
			count = 3 + d.bits(3)
		default:
			count = 11 + d.bits(7)
		}
		for range count {
			all = append(all, value)
		}
	}
	if len(all) != n {
		return nil, errHuffman
	}
	return all, nil
}

// RFC 1951 3.2.5 to 3.2.7
var (
	lengthOrder    = []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	lengthBase     = make([]int, 29)
	distanceBase   = make([]int, 30)
	fixedLiterals  *code
	fixedDistances *code
)

func lengthExtra(s int) int {
	if s < 8 || s == 28 {
		return 0
	}
	return s/4 - 1
}

func distanceExtra(s int) int { return max(0, s/2-1) }

func init() {
	for s, next := 0, 3; s < 28; s++ {
		lengthBase[s] = next
		next += 1 << lengthExtra(s)
	}
	lengthBase[28] = 258
	for s, next := 0, 1; s < 30; s++ {
		distanceBase[s] = next
		next += 1 << distanceExtra(s)
	}
	lengths := make([]int, 288)
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	fixedLiterals = newCode(lengths)
	distances := make([]int, 30)
	for i := range distances {
		distances[i] = 5
	}
	fixedDistances = newCode(distances)
}
