package frame

import "github.com/gobwas/ws"

// ProtocolError is a rule the peer broke. Code goes into the Close frame that
// answers it, Section names the rule's place, and Text says what was wrong.
type ProtocolError struct {
	Code    StatusCode
	Section string
	Text    string
}

// Error is "frame: " and the text, with the section in parentheses.
func (e *ProtocolError) Error() string {
	return "frame: " + e.Text + " (" + e.Section + ")"
}

// Errors of [ParseHeader].
var (
	ErrLengthNotMinimal = protocol("RFC 6455 5.2", "payload length not in its shortest form")
	ErrLengthTopBit     = protocol("RFC 6455 5.2", "payload length with its top bit set")
)

// Errors of [Message.Accept]. ParseHeader returns the first four too, when the
// bytes of an unfinished header already break the rule.
var (
	ErrReservedBits      = protocol("RFC 6455 5.2", "RSV2 or RSV3 set")
	ErrReservedOpCode    = protocol("RFC 6455 5.2", "reserved opcode")
	ErrControlFragmented = protocol("RFC 6455 5.5", "fragmented control frame")
	ErrControlTooLong    = protocol("RFC 6455 5.5", "control frame above 125 bytes")

	ErrMaskRequired     = protocol("RFC 6455 5.1", "frame from a client is not masked")
	ErrMaskForbidden    = protocol("RFC 6455 5.1", "frame from a server is masked")
	ErrCompressedBit    = protocol("RFC 6455 5.2", "RSV1 set but compression not in use")
	ErrCompressedPlace  = protocol("RFC 7692 6.1", "RSV1 set beyond the first frame of a message")
	ErrNoMessage        = protocol("RFC 6455 5.4", "continuation without a message")
	ErrMessageOpen      = protocol("RFC 6455 5.4", "new message inside a fragmented one")
	ErrMessageTooBig    = &ProtocolError{ws.StatusMessageTooBig, "RFC 6455 10.4", "message too big"}
	ErrTooManyFragments = &ProtocolError{ws.StatusMessageTooBig, "RFC 6455 10.4", "message in too many fragments"}
)

// Errors of [ParseClose].
var (
	ErrCloseLength = protocol("RFC 6455 5.5.1", "close payload of one byte")
	ErrCloseCode   = protocol("RFC 6455 7.4", "close code not allowed on the wire")
	ErrCloseReason = &ProtocolError{ws.StatusInvalidFramePayloadData, "RFC 6455 5.5.1", "close reason is not UTF-8"}
)

// ErrInvalidUTF8 is for a text message that [UTF8] refused.
var ErrInvalidUTF8 = &ProtocolError{ws.StatusInvalidFramePayloadData, "RFC 6455 8.1", "text is not UTF-8"}

func protocol(section, text string) *ProtocolError {
	return &ProtocolError{Code: ws.StatusProtocolError, Section: section, Text: text}
}
