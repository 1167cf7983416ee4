package eio

import "strconv"

// ParseTextV3 reads one text packet of revision 3. It differs from [ParseText]
// in binary packets, which keep their type: "b4" and base64. Data aliases b,
// and base64 is decoded in place. Only a message can be binary.
//
// The errors are [ErrEmpty] and [ErrType].
func ParseTextV3(b []byte) (Packet, error) {
	if len(b) == 0 {
		return Packet{}, ErrEmpty
	}
	if b[0] != 'b' {
		t := Type(b[0] - '0')
		if t > Noop {
			return Packet{}, ErrType
		}
		return Packet{Type: t, Data: b[1:]}, nil
	}
	if len(b) == 1 || b[1] != '0'+byte(Message) {
		return Packet{}, ErrType
	}
	return Packet{Type: Message, Binary: true, Data: decodeBase64(b[2:])}, nil
}

// ParseBinaryV3 reads one binary packet of revision 3: a byte with the type,
// then the data, which aliases b. Only a message can be binary.
//
// The errors are [ErrEmpty] and [ErrType].
func ParseBinaryV3(b []byte) (Packet, error) {
	if len(b) == 0 {
		return Packet{}, ErrEmpty
	}
	if Type(b[0]) != Message {
		return Packet{}, ErrType
	}
	return Packet{Type: Message, Binary: true, Data: b[1:]}, nil
}

// AppendBinaryV3 encodes a message as a binary packet of revision 3.
func AppendBinaryV3(dst, data []byte) []byte {
	return append(append(dst, byte(Message)), data...)
}

// AppendBase64V3 encodes a binary message as text: "b4" and base64.
func AppendBase64V3(dst, data []byte) []byte {
	return encoding.AppendEncode(append(dst, 'b', '0'+byte(Message)), data)
}

// AppendPayloadV3 encodes the body of a polling answer of revision 3. With
// base64 it is text. Without, it is binary if one of the packets is: then
// binary is true, and the answer's content type has to say so
// (application/octet-stream).
func AppendPayloadV3(dst []byte, packets []Packet, base64 bool) (body []byte, binary bool) {
	if !base64 {
		for i := range packets {
			if packets[i].Binary {
				return appendBinaryPayloadV3(dst, packets), true
			}
		}
	}
	if len(packets) == 0 {
		return append(dst, "0:"...), false
	}
	for i := range packets {
		p := &packets[i]
		if p.Binary {
			dst = strconv.AppendInt(dst, int64(2+encoding.EncodedLen(len(p.Data))), 10)
			dst = AppendBase64V3(append(dst, ':'), p.Data)
			continue
		}
		dst = strconv.AppendInt(dst, int64(1+utf16Len(p.Data)), 10)
		dst = AppendPacket(append(dst, ':'), p.Type, p.Data)
	}
	return dst, false
}

// A packet in a binary payload is: 0 for text or 1 for binary, the decimal
// digits of the length in bytes, each as a byte of that value, lengthEnd, and
// the packet.
const (
	textPacket   = 0
	binaryPacket = 1
	lengthEnd    = 0xff
)

func appendBinaryPayloadV3(dst []byte, packets []Packet) []byte {
	var digits [20]byte
	for i := range packets {
		p := &packets[i]
		kind := byte(textPacket)
		if p.Binary {
			kind = binaryPacket
		}
		dst = append(dst, kind)
		for _, c := range strconv.AppendInt(digits[:0], int64(1+len(p.Data)), 10) {
			dst = append(dst, c-'0')
		}
		dst = append(dst, lengthEnd)
		if p.Binary {
			dst = AppendBinaryV3(dst, p.Data)
		} else {
			dst = AppendPacket(dst, p.Type, p.Data)
		}
	}
	return dst
}

// ParsePayloadV3 reads a polling body of revision 3, text or binary, and calls
// fn for each packet. Data aliases b and base64 is decoded in place. It stops
// at the first error, its own or fn's; packets before it have been handed out.
//
// Its own errors are [ErrEmpty], [ErrType] and [ErrPayload].
func ParsePayloadV3(b []byte, fn func(Packet) error) error {
	if len(b) == 0 {
		return ErrEmpty
	}
	next := nextTextV3
	if b[0] <= binaryPacket {
		next = nextBinaryV3
	}
	for len(b) > 0 {
		packet, kind, rest, err := next(b)
		if err != nil {
			return err
		}
		b = rest
		if kind == textPacket && len(packet) == 0 {
			continue // "0:" is how an empty payload is written
		}
		parse := ParseTextV3
		if kind == binaryPacket {
			parse = ParseBinaryV3
		}
		p, err := parse(packet)
		if err != nil {
			return err
		}
		if err := fn(p); err != nil {
			return err
		}
	}
	return nil
}

// nextTextV3 cuts "<length>:<packet>", the length in UTF-16 units.
func nextTextV3(b []byte) (packet []byte, kind byte, rest []byte, err error) {
	n, i := 0, 0
	for ; i < len(b) && b[i] != ':'; i++ {
		d := b[i] - '0'
		if n = n*10 + int(d); d > 9 || n > len(b) {
			return nil, 0, nil, ErrPayload
		}
	}
	if i == 0 || i == len(b) {
		return nil, 0, nil, ErrPayload
	}
	b = b[i+1:]
	end := utf16Index(b, n)
	if end < 0 {
		return nil, 0, nil, ErrPayload
	}
	return b[:end], textPacket, b[end:], nil
}

func nextBinaryV3(b []byte) (packet []byte, kind byte, rest []byte, err error) {
	kind = b[0]
	if kind > binaryPacket {
		return nil, 0, nil, ErrPayload
	}
	n, i := 0, 1
	for ; i < len(b) && b[i] != lengthEnd; i++ {
		d := b[i]
		if n = n*10 + int(d); d > 9 || n > len(b) {
			return nil, 0, nil, ErrPayload
		}
	}
	if i == 1 || i == len(b) || n > len(b)-i-1 {
		return nil, 0, nil, ErrPayload
	}
	b = b[i+1:]
	return b[:n], kind, b[n:], nil
}

// utf16Len is the number of UTF-16 units of a text in UTF-8.
func utf16Len(b []byte) int {
	n := 0
	for _, c := range b {
		n += utf16Units(c)
	}
	return n
}

// utf16Index is the number of bytes that the first n UTF-16 units of b take,
// or -1 if b has fewer or the last of them is half a character.
func utf16Index(b []byte, n int) int {
	i := 0
	for ; i < len(b); i++ {
		units := utf16Units(b[i])
		if n < units {
			break
		}
		n -= units
	}
	if n != 0 {
		return -1
	}
	return i
}

// utf16Units is the number of UTF-16 units of the character that starts with
// the byte c: none if c continues a character.
func utf16Units(c byte) int {
	switch {
	case c < 0x80 || c >= 0xc0 && c < 0xf0:
		return 1
	case c >= 0xf0:
		return 2
	}
	return 0
}
