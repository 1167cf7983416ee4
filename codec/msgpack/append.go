package msgpack

import (
	"encoding/binary"
	"math"
)

// The functions here append one value, or the head of one, in its smallest form.
// They are what a message of a fixed shape is made of. Hot paths: per packet.

// AppendNil appends nil.
func AppendNil(dst []byte) []byte { return append(dst, 0xc0) }

// AppendUndefined appends undefined. As a member of a map it is left out by
// Notepack3: that is up to the caller.
func AppendUndefined(dst []byte, d Dialect) []byte {
	if d == Notepack2 {
		return append(dst, 0xd4, extNotepack, 0)
	}
	return AppendNil(dst)
}

// AppendBool appends true or false.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 0xc3)
	}
	return append(dst, 0xc2)
}

// maxSafe is up to where JavaScript counts exactly.
const maxSafe = 1<<53 - 1

// AppendInt appends a whole number.
func AppendInt(dst []byte, d Dialect, v int64) []byte {
	if v >= 0 {
		return AppendUint(dst, d, uint64(v))
	}
	switch {
	case v >= -32:
		return append(dst, byte(v))
	case v >= math.MinInt8:
		return append(dst, 0xd0, byte(v))
	case v >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, 0xd1), uint16(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(v))
	case d == MsgpackJS && v < -maxSafe:
		return appendDouble(dst, float64(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(v))
}

// AppendUint appends a whole number.
func AppendUint(dst []byte, d Dialect, v uint64) []byte {
	switch {
	case v < 0x80:
		return append(dst, byte(v))
	case v <= math.MaxUint8:
		return append(dst, 0xcc, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(v))
	case d == MsgpackJS && v > maxSafe:
		return appendDouble(dst, float64(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcf), v)
}

// AppendFloat appends a number as JavaScript has it: a whole one as an integer,
// -0 as 0. What 64 bits do not hold stays a float; notepack would cut it off.
func AppendFloat(dst []byte, d Dialect, v float64) []byte {
	if v == math.Trunc(v) {
		switch {
		case v >= 0 && v < 1<<64:
			return AppendUint(dst, d, uint64(v))
		case v < 0 && v >= -1<<63:
			return AppendInt(dst, d, int64(v))
		}
	}
	return appendDouble(dst, v)
}

// nan is the one that JavaScript writes.
const nan = 0x7ff8 << 48

func appendDouble(dst []byte, v float64) []byte {
	bits := math.Float64bits(v)
	if v != v {
		bits = nan
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), bits)
}

// AppendString appends a string, which should be UTF-8. It must be shorter than
// 4 GiB, as must what the functions below are given.
func AppendString(dst []byte, s string) []byte {
	return append(appendStringHead(dst, len(s)), s...)
}

func appendStringHead(dst []byte, n int) []byte {
	switch {
	case n < 32:
		return append(dst, 0xa0|byte(n))
	case n <= math.MaxUint8:
		return append(dst, 0xd9, byte(n))
	}
	return append16or32(dst, 0xda, n)
}

// AppendBinary appends binary data.
func AppendBinary(dst, data []byte) []byte {
	if len(data) <= math.MaxUint8 {
		dst = append(dst, 0xc4, byte(len(data)))
	} else {
		dst = append16or32(dst, 0xc5, len(data))
	}
	return append(dst, data...)
}

// AppendArray appends the head of an array: n values have to follow.
func AppendArray(dst []byte, n int) []byte {
	if n < 16 {
		return append(dst, 0x90|byte(n))
	}
	return append16or32(dst, 0xdc, n)
}

// AppendMap appends the head of a map: n times a key and a value have to follow.
func AppendMap(dst []byte, n int) []byte {
	if n < 16 {
		return append(dst, 0x80|byte(n))
	}
	return append16or32(dst, 0xde, n)
}

// AppendTime appends a date.
func AppendTime(dst []byte, d Dialect, t Time) []byte {
	if d == Notepack2 {
		return binary.BigEndian.AppendUint64(append(dst, 0xd7, extNotepack), uint64(t))
	}
	sec, ms := int64(t)/1000, int64(t)%1000
	if ms < 0 {
		sec, ms = sec-1, ms+1000
	}
	ns := uint64(ms) * 1_000_000
	const timestamp = 0xff // extTimestamp as a byte
	switch {
	case sec>>34 != 0:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xc7, 12, timestamp), uint32(ns))
		return binary.BigEndian.AppendUint64(dst, uint64(sec))
	case ns != 0 || sec>>32 != 0:
		return binary.BigEndian.AppendUint64(append(dst, 0xd7, timestamp), ns<<34|uint64(sec))
	}
	return binary.BigEndian.AppendUint32(append(dst, 0xd6, timestamp), uint32(sec))
}

// AppendExt appends a value of an extension type. Type 0 always has a length
// before it, so that Notepack2 does not take it for undefined or for a date.
func AppendExt(dst []byte, x Ext) []byte {
	n := len(x.Data)
	if x.Type != extNotepack {
		switch n {
		case 1, 2, 4, 8, 16:
			code := byte(0xd4)
			for ; n > 1; n >>= 1 {
				code++
			}
			return append(append(dst, code, byte(x.Type)), x.Data...)
		}
	}
	if n <= math.MaxUint8 {
		dst = append(dst, 0xc7, byte(n))
	} else {
		dst = append16or32(dst, 0xc8, n)
	}
	return append(append(dst, byte(x.Type)), x.Data...)
}

// append16or32 appends a length behind code, or behind code+1 if it takes more
// than 16 bits.
func append16or32(dst []byte, code byte, n int) []byte {
	if n <= math.MaxUint16 {
		return binary.BigEndian.AppendUint16(append(dst, code), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, code+1), uint32(n))
}
