package rawws

import (
	"encoding/binary"
	"fmt"
)

// Opcodes of RFC 6455 5.2.
const (
	Continuation byte = 0x0
	Text         byte = 0x1
	Binary       byte = 0x2
	Close        byte = 0x8
	Ping         byte = 0x9
	Pong         byte = 0xA
)

// Reserved bits as they stand in Frame.Rsv.
const (
	Rsv1 byte = 4
	Rsv2 byte = 2
	Rsv3 byte = 1
)

// maskKey is fixed, so that a failing case can be repeated byte for byte.
var maskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// Frame is one WebSocket frame, sent as it stands: nothing stops a case from
// breaking a rule.
type Frame struct {
	Fin     bool
	Rsv     byte // Rsv1 | Rsv2 | Rsv3
	Op      byte
	Payload []byte

	Unmasked bool
	// Length replaces len(Payload) in the header when Announce is set.
	Announce bool
	Length   uint64
	// LengthBytes forces the extended length to 2 or 8 bytes; 0 is the minimal form.
	LengthBytes int
}

// Bytes returns the frame as a client sends it.
func (f Frame) Bytes() []byte {
	length := uint64(len(f.Payload))
	if f.Announce {
		length = f.Length
	}
	dst := appendHeader(nil, f, length)
	if f.Unmasked {
		return append(dst, f.Payload...)
	}
	dst = append(dst, maskKey[:]...)
	for i, b := range f.Payload {
		dst = append(dst, b^maskKey[i&3])
	}
	return dst
}

func appendHeader(dst []byte, f Frame, length uint64) []byte {
	first := f.Rsv<<4 | f.Op
	if f.Fin {
		first |= 0x80
	}
	mask := byte(0x80)
	if f.Unmasked {
		mask = 0
	}
	dst = append(dst, first)
	switch {
	case f.LengthBytes == 8 || f.LengthBytes == 0 && length > 0xffff:
		return binary.BigEndian.AppendUint64(append(dst, mask|127), length)
	case f.LengthBytes == 2 || length > 125:
		return binary.BigEndian.AppendUint16(append(dst, mask|126), uint16(length))
	}
	return append(dst, mask|byte(length))
}

// ClosePayload is a Close frame's body. RFC 6455 5.5.1
func ClosePayload(code int, reason string) []byte {
	return append([]byte{byte(code >> 8), byte(code)}, reason...)
}

// readFrame reads one frame of a server and refuses every form that RFC 6455
// forbids a server to send.
func (c *Conn) readFrame() (f Frame, err error) {
	var head [2]byte
	if _, err := c.readFull(head[:]); err != nil {
		return f, err
	}
	f.Fin, f.Rsv, f.Op = head[0]&0x80 != 0, head[0]>>4&7, head[0]&0xf
	if head[1]&0x80 != 0 {
		return f, fmt.Errorf("server sent a masked frame (% x)", head)
	}
	length, err := c.readLength(head[1] & 0x7f)
	if err != nil {
		return f, err
	}
	if err := checkServerFrame(f, length); err != nil {
		return f, err
	}
	f.Payload = make([]byte, length)
	if _, err := c.readFull(f.Payload); err != nil {
		return f, fmt.Errorf("%w inside a frame of %d bytes", err, length)
	}
	return f, nil
}

func (c *Conn) readLength(code byte) (uint64, error) {
	size := map[byte]int{126: 2, 127: 8}[code]
	if size == 0 {
		return uint64(code), nil
	}
	var ext [8]byte
	if _, err := c.readFull(ext[8-size:]); err != nil {
		return 0, err
	}
	length := binary.BigEndian.Uint64(ext[:])
	if size == 2 && length < 126 || size == 8 && length <= 0xffff {
		return 0, fmt.Errorf("server sent length %d in %d bytes", length, size)
	}
	return length, nil
}

// maxServerFrame bounds what the reader allocates for one frame, in bytes.
const maxServerFrame = 64 << 20

func checkServerFrame(f Frame, length uint64) error {
	if f.Rsv&(Rsv2|Rsv3) != 0 {
		return fmt.Errorf("server set reserved bits %03b", f.Rsv)
	}
	if length > maxServerFrame {
		return fmt.Errorf("server announced a frame of %d bytes", length)
	}
	switch f.Op {
	case Continuation, Text, Binary:
		return nil
	case Close, Ping, Pong:
		if !f.Fin || length > 125 || f.Rsv != 0 {
			return fmt.Errorf("server sent control frame %#x fin=%v rsv=%03b length=%d", f.Op, f.Fin, f.Rsv, length)
		}
		return nil
	}
	return fmt.Errorf("server sent reserved opcode %#x", f.Op)
}
