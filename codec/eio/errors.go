package eio

import "errors"

// Errors of the parsers. Each of them ends the session with the reason
// "parse error".
var (
	// ErrEmpty is a packet without a type: an empty text message, or a
	// separator with nothing on one of its sides.
	ErrEmpty = errors.New("eio: empty packet")
	// ErrType is a packet of a type that does not exist.
	ErrType = errors.New("eio: unknown packet type")
	// ErrPayload is a payload of revision 3 whose lengths do not fit.
	ErrPayload = errors.New("eio: malformed payload")
)
