package frame

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// The types of a frame, shared with github.com/gobwas/ws. In a Header, Rsv
// holds RSV1, RSV2 and RSV3 as 4, 2 and 1.
type (
	OpCode     = ws.OpCode
	StatusCode = ws.StatusCode
	Header     = ws.Header
)

const (
	// MaxHeaderSize is the longest header in bytes: masked, 64-bit length.
	MaxHeaderSize = 14
	// MaxControlPayload is the longest control frame payload in bytes.
	// RFC 6455 5.5.
	MaxControlPayload = 125
)

const (
	bitFin  = 0x80
	bitMask = 0x80
	bitRSV1 = 0x40

	rsv1  = 4     // RSV1 in Header.Rsv
	rsv23 = 2 | 1 // RSV2 and RSV3 in Header.Rsv

	len16 = 126 // the next 2 bytes hold the length
	len64 = 127 // the next 8 bytes hold the length
)

// ParseHeader reads the frame header at the start of b into h and returns its
// size in bytes, 2 to [MaxHeaderSize]. When b ends inside the header it returns
// 0 and no error, and h is of no use; call again with more bytes behind the
// same ones.
//
// Errors are [ErrLengthNotMinimal] and [ErrLengthTopBit], as soon as the bytes
// show them. An unfinished header also fails with those errors of
// [Message.Accept] that need no knowledge of the connection, so that a peer
// cannot sit on a frame which is wrong already.
//
// Hot path: per frame.
func ParseHeader(b []byte, h *Header) (n int, err error) {
	if len(b) < 2 {
		return 0, parsePartial(b)
	}
	b0, b1 := b[0], b[1]
	h.Fin = b0&bitFin != 0
	h.Rsv = b0 >> 4 & 7
	h.OpCode = OpCode(b0 & 0xf)
	h.Masked = b1&bitMask != 0

	length := uint64(b1 &^ bitMask)
	n = 2
	if length >= len16 {
		if length == len16 {
			if len(b) < 4 {
				return 0, parsePartial(b)
			}
			length, n = uint64(binary.BigEndian.Uint16(b[2:])), 4
			if length < len16 {
				return 0, ErrLengthNotMinimal
			}
		} else {
			if len(b) < 10 {
				return 0, parsePartial(b)
			}
			length, n = binary.BigEndian.Uint64(b[2:]), 10
			if length <= 0xffff {
				return 0, ErrLengthNotMinimal
			}
			if length>>63 != 0 {
				return 0, ErrLengthTopBit
			}
		}
	}
	h.Length = int64(length)

	if b1&bitMask == 0 {
		h.Mask = [4]byte{}
		return n, nil
	}
	b = b[n:]
	if len(b) < 4 {
		return 0, parseUnkeyed(h)
	}
	h.Mask = [4]byte(b)
	return n + 4, nil
}

// parsePartial says whether an unfinished header is wrong already.
//
//go:noinline
func parsePartial(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	h := Header{Fin: b[0]&bitFin != 0, Rsv: b[0] >> 4 & 7, OpCode: OpCode(b[0] & 0xf)}
	if len(b) == 1 {
		return parseUnkeyed(&h)
	}
	h.Length = int64(b[1] &^ bitMask)
	if err := parseUnkeyed(&h); err != nil || h.Length != len64 {
		return err
	}
	if len(b) > 2 && b[2]&0x80 != 0 {
		return ErrLengthTopBit
	}
	if len(b) >= 8 && binary.BigEndian.Uint64(b)<<16 == 0 {
		return ErrLengthNotMinimal
	}
	return nil
}

// parseUnkeyed applies to a header still without its masking key the rules
// that hold on every connection. A length of 126 or 127 may stand for itself
// or for a longer one.
func parseUnkeyed(h *Header) error {
	switch {
	case h.Rsv&rsv23 != 0:
		return ErrReservedBits
	case h.OpCode.IsReserved():
		return ErrReservedOpCode
	case h.OpCode.IsControl() && !h.Fin:
		return ErrControlFragmented
	case h.OpCode.IsControl() && h.Length > MaxControlPayload:
		return ErrControlTooLong
	}
	return nil
}

// HeaderSize is the size in bytes of the header of a frame with payload bytes
// of payload.
func HeaderSize(payload int, masked bool) int {
	n := 2
	if payload > 0xffff {
		n = 10
	} else if payload >= len16 {
		n = 4
	}
	if masked {
		n += 4
	}
	return n
}

// AppendHeader appends an unmasked header, as a server sends it, for a payload
// of length bytes.
//
// Hot path: per frame sent.
func AppendHeader(dst []byte, fin, rsv1 bool, op OpCode, length int) []byte {
	b0 := firstByte(fin, rsv1, op)
	if length < len16 {
		return append(dst, b0, byte(length))
	}
	return appendLong(dst, b0, 0, length)
}

// AppendMaskedHeader appends a masked header, as a client sends it, for a
// payload of length bytes which the caller masks with key.
func AppendMaskedHeader(dst []byte, fin, rsv1 bool, op OpCode, length int, key [4]byte) []byte {
	b0 := firstByte(fin, rsv1, op)
	if length < len16 {
		return append(dst, b0, bitMask|byte(length), key[0], key[1], key[2], key[3])
	}
	return append(appendLong(dst, b0, bitMask, length), key[:]...)
}

// AppendFrame appends a whole unmasked frame that is a message of its own, or
// a control frame. It does not check op or the payload's size.
//
// Hot path: per message sent.
func AppendFrame(dst []byte, op OpCode, payload []byte) []byte {
	return append(AppendHeader(dst, true, false, op, len(payload)), payload...)
}

func firstByte(fin, rsv1 bool, op OpCode) byte {
	b := byte(op)
	if fin {
		b |= bitFin
	}
	if rsv1 {
		b |= bitRSV1
	}
	return b
}

// appendLong appends a header whose length needs more than 7 bits.
func appendLong(dst []byte, b0, mask byte, length int) []byte {
	if length <= 0xffff {
		return append(dst, b0, mask|len16, byte(length>>8), byte(length))
	}
	dst = append(dst, b0, mask|len64)
	return binary.BigEndian.AppendUint64(dst, uint64(length))
}
