package sio

import "errors"

// Errors of the decoders. Each of them closes the whole connection.
var (
	// ErrType is a packet without a type or with one that does not exist.
	ErrType = errors.New("sio: unknown packet type")
	// ErrAttachments is a number of attachments that is missing, malformed or
	// zero.
	ErrAttachments = errors.New("sio: illegal number of attachments")
	// ErrTooMany is a number of attachments above the limit.
	ErrTooMany = errors.New("sio: too many attachments")
	// ErrID is an acknowledgement id that is no number or beyond 64 bits.
	ErrID = errors.New("sio: malformed acknowledgement id")
	// ErrPayload is a payload that is not JSON, or JSON that the type of its
	// packet does not allow. The encoders return it for arguments of an event
	// that do not start with a name, and for raw JSON that is none.
	ErrPayload = errors.New("sio: invalid payload")
	// ErrReserved is an event with a reserved name; see [IsReserved]. The
	// encoders return it too.
	ErrReserved = errors.New("sio: reserved event name")
	// ErrPlaceholder is a placeholder that names no attachment. The encoders
	// return it for an object that looks like a placeholder and would be sent
	// along with attachments: its receiver would take it for one of them.
	ErrPlaceholder = errors.New("sio: illegal placeholder")
	// ErrUnexpectedBinary is binary data that no packet announced.
	ErrUnexpectedBinary = errors.New("sio: binary data without a packet")
	// ErrExpectedBinary is text where an attachment was due.
	ErrExpectedBinary = errors.New("sio: text in place of an attachment")
	// ErrTooLarge is a packet that takes more bytes, with its attachments,
	// than the limit. [Value.Decode] returns it when placeholders would
	// multiply what arrived.
	ErrTooLarge = errors.New("sio: packet too large")
	// ErrDepth is JSON nested deeper than the limit. The encoders return it
	// too.
	ErrDepth = errors.New("sio: nested too deep")
)
