package msgpack

import (
	"encoding/binary"
	"math"
)

// Kind is what a token is.
type Kind uint8

// The kinds of tokens.
const (
	KindNil Kind = iota
	KindUndefined
	KindBool   // Bits is 0 or 1
	KindInt    // a negative number: int64(Bits)
	KindUint   // Bits
	KindFloat  // math.Float64frombits(Bits)
	KindString // Data, not checked to be UTF-8
	KindBinary // Data
	KindTime   // int64(Bits), as a [Time]
	KindExt    // Type and Data
	KindArray  // Len values follow
	KindMap    // Len keys follow, each with its value
)

// Token is a value without what is in it.
type Token struct {
	Kind Kind
	Type int8   // KindExt
	Len  int    // KindArray and KindMap; never more than the bytes that follow
	Bits uint64 // of a bool, a number or a time
	Data []byte // of strings, binary data and extensions; aliases the input
}

// Int returns a number that is whole, a float too, and fits.
func (t *Token) Int() (n int64, ok bool) {
	switch t.Kind {
	case KindInt:
		return int64(t.Bits), true
	case KindUint:
		return int64(t.Bits), t.Bits <= math.MaxInt64
	case KindFloat:
		f := math.Float64frombits(t.Bits)
		if f == math.Trunc(f) && f >= -1<<63 && f < 1<<63 {
			return int64(f), true
		}
	}
	return 0, false
}

// Next reads the first token of b and returns what follows it. It takes every
// valid form of MessagePack, those of all three dialects included. The errors
// are [ErrShort] and [ErrFormat]. Hot path: per value.
func Next(b []byte) (t Token, rest []byte, err error) {
	if len(b) == 0 {
		return Token{}, nil, ErrShort
	}
	c := b[0]
	b = b[1:]
	switch {
	case c < 0x80:
		return Token{Kind: KindUint, Bits: uint64(c)}, b, nil
	case c < 0x90:
		return container(KindMap, uint64(c&0x0f), b)
	case c < 0xa0:
		return container(KindArray, uint64(c&0x0f), b)
	case c < 0xc0:
		return data(KindString, uint64(c&0x1f), b)
	case c >= 0xe0:
		return Token{Kind: KindInt, Bits: uint64(int64(int8(c)))}, b, nil
	}
	switch c {
	case 0xc0:
		return Token{Kind: KindNil}, b, nil
	case 0xc2, 0xc3:
		return Token{Kind: KindBool, Bits: uint64(c & 1)}, b, nil
	case 0xc1:
		return Token{}, nil, ErrFormat
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return extension(1<<(c-0xd4), true, b)
	}
	// The others have a number of 1, 2, 4 or 8 bytes.
	size := sizes[c-0xc4]
	if len(b) < size {
		return Token{}, nil, ErrShort
	}
	n := number(b, size)
	b = b[size:]
	switch c {
	case 0xc4, 0xc5, 0xc6:
		return data(KindBinary, n, b)
	case 0xc7, 0xc8, 0xc9:
		return extension(n, false, b)
	case 0xca:
		return Token{Kind: KindFloat, Bits: math.Float64bits(float64(math.Float32frombits(uint32(n))))}, b, nil
	case 0xcb:
		return Token{Kind: KindFloat, Bits: n}, b, nil
	case 0xcc, 0xcd, 0xce, 0xcf:
		return Token{Kind: KindUint, Bits: n}, b, nil
	case 0xd0, 0xd1, 0xd2, 0xd3:
		unused := 64 - 8*size
		signed := int64(n<<unused) >> unused
		if signed >= 0 {
			return Token{Kind: KindUint, Bits: uint64(signed)}, b, nil
		}
		return Token{Kind: KindInt, Bits: uint64(signed)}, b, nil
	case 0xd9, 0xda, 0xdb:
		return data(KindString, n, b)
	case 0xdc, 0xdd:
		return container(KindArray, n, b)
	}
	return container(KindMap, n, b)
}

// sizes are the bytes of the numbers behind the formats from 0xc4 on.
var sizes = [...]int{
	1, 2, 4, // bin
	1, 2, 4, // ext
	4, 8, // float
	1, 2, 4, 8, // uint
	1, 2, 4, 8, // int
	0, 0, 0, 0, 0, // fixext
	1, 2, 4, // str
	2, 4, // array
	2, 4, // map
}

func number(b []byte, size int) uint64 {
	switch size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	}
	return binary.BigEndian.Uint64(b)
}

// container checks that n values, or pairs, can be in b: each takes a byte.
func container(k Kind, n uint64, b []byte) (Token, []byte, error) {
	least := n
	if k == KindMap {
		least *= 2
	}
	if least > uint64(len(b)) {
		return Token{}, nil, ErrShort
	}
	return Token{Kind: k, Len: int(n)}, b, nil
}

func data(k Kind, n uint64, b []byte) (Token, []byte, error) {
	if n > uint64(len(b)) {
		return Token{}, nil, ErrShort
	}
	return Token{Kind: k, Data: b[:n:n]}, b[n:], nil
}

// extension reads the type and the n bytes of an extension. Only Notepack2's
// forms without a length are undefined and a date: an ArrayBuffer has one.
func extension(n uint64, fixed bool, b []byte) (Token, []byte, error) {
	if len(b) == 0 {
		return Token{}, nil, ErrShort
	}
	kind := int8(b[0])
	t, rest, err := data(KindExt, n, b[1:])
	if err != nil {
		return Token{}, nil, err
	}
	t.Type = kind
	switch {
	case kind == extNotepack && !fixed:
		t.Kind = KindBinary
	case kind == extNotepack && n == 1:
		t = Token{Kind: KindUndefined}
	case kind == extNotepack && n == 8:
		t = Token{Kind: KindTime, Bits: binary.BigEndian.Uint64(t.Data)}
	case kind == extTimestamp:
		if ms, ok := timestamp(t.Data); ok {
			t = Token{Kind: KindTime, Bits: uint64(ms)}
		}
	}
	return t, rest, nil
}

// timestamp reads the extension of the specification. ok is false if it is
// malformed or beyond what milliseconds can say.
func timestamp(b []byte) (ms int64, ok bool) {
	var sec int64
	var ns uint64
	switch len(b) {
	case 4:
		sec = int64(binary.BigEndian.Uint32(b))
	case 8:
		n := binary.BigEndian.Uint64(b)
		sec, ns = int64(n&(1<<34-1)), n>>34
	case 12:
		ns, sec = uint64(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint64(b[4:]))
	default:
		return 0, false
	}
	const limit = math.MaxInt64/1000 - 1
	if ns >= 1e9 || sec > limit || sec < -limit {
		return 0, false
	}
	return sec*1000 + int64(ns/1e6), true
}

// Skip passes over one whole value, however deep, without allocating. The
// errors are those of [Next].
func Skip(b []byte) (rest []byte, err error) {
	for due := 1; due > 0; {
		var t Token
		if t, b, err = Next(b); err != nil {
			return nil, err
		}
		due += t.Len - 1
		if t.Kind == KindMap {
			due += t.Len
		}
		if due > len(b) {
			return nil, ErrShort
		}
	}
	return b, nil
}
