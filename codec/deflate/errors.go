package deflate

import "errors"

// Errors of Decompressor.Append and Inflater.Append.
var (
	// ErrCorrupt: the message is not DEFLATE data, or it ends inside a block.
	// A receiver answers with close code 1007 (RFC 6455 7.4.1).
	ErrCorrupt = errors.New("deflate: corrupt message")

	// ErrTooLarge: the message inflates to more bytes than the limit allows.
	// A receiver answers with close code 1009.
	ErrTooLarge = errors.New("deflate: inflated message exceeds the limit")
)
