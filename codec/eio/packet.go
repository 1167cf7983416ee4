package eio

import "bytes"

// Type is the type of a packet.
type Type byte

// The types. On the wire a type is the character '0'+Type.
const (
	Open Type = iota
	Close
	Ping
	Pong
	Message
	Upgrade
	Noop
)

var typeNames = [...]string{"open", "close", "ping", "pong", "message", "upgrade", "noop"}

// String is the name of the type in the protocol's text.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "unknown"
}

// Packet is one packet.
type Packet struct {
	Type   Type
	Binary bool   // only a Message can be binary
	Data   []byte // what follows the type; nil or empty if nothing does
}

// Separator stands between the packets of a polling payload.
// engine.io-protocol: packet encoding, HTTP long-polling
const Separator = 0x1e

// ParseText reads one packet: a text message of a WebSocket, or one element of
// a polling payload. The packet's Data aliases b. The base64 of a binary
// packet ("b...") is decoded in place: b is overwritten.
//
// Base64 is read as Node reads it: both alphabets, with or without padding,
// and other characters are passed over. So it has no errors.
//
// The text is not checked to be UTF-8: a WebSocket has done so already, the
// reader of a polling body must do it.
//
// The errors are [ErrEmpty] and [ErrType]. Hot path: per message.
func ParseText(b []byte) (Packet, error) {
	if len(b) == 0 {
		return Packet{}, ErrEmpty
	}
	if t := Type(b[0] - '0'); t <= Noop {
		return Packet{Type: t, Data: b[1:]}, nil
	}
	if b[0] == 'b' {
		return Packet{Type: Message, Binary: true, Data: decodeBase64(b[1:])}, nil
	}
	return Packet{}, ErrType
}

// NextPacket cuts the first packet from a polling payload; both parts alias
// it. more says whether a separator, and therefore another packet, followed:
// an empty payload is one empty packet, and so is what follows a trailing
// separator.
func NextPacket(payload []byte) (packet, rest []byte, more bool) {
	return bytes.Cut(payload, separator)
}

var separator = []byte{Separator}

// AppendPacket encodes a packet as text.
func AppendPacket(dst []byte, t Type, data []byte) []byte {
	return append(append(dst, '0'+byte(t)), data...)
}

// AppendBinary encodes a binary message as text, for a polling payload or a
// client that asked for base64: 'b' and base64, with no type.
// [BinaryLen] tells how many bytes that is.
func AppendBinary(dst, data []byte) []byte {
	return encoding.AppendEncode(append(dst, 'b'), data)
}

// BinaryLen is the number of bytes that [AppendBinary] adds for n bytes.
func BinaryLen(n int) int { return 1 + encoding.EncodedLen(n) }
