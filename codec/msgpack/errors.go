package msgpack

import (
	"errors"
)

var (
	// ErrShort says that the input ends too early, or announces more than it
	// could hold.
	ErrShort = errors.New("msgpack: unexpected end")
	// ErrFormat is a first byte that has no meaning: 0xc1.
	ErrFormat = errors.New("msgpack: unknown format")
	// ErrTrailing says that bytes follow the value.
	ErrTrailing = errors.New("msgpack: trailing bytes")
	// ErrDepth is nesting beyond the limit, of the encoders too.
	ErrDepth = errors.New("msgpack: nested too deep")
	// ErrKey is a key of a map that is neither a string nor a number.
	ErrKey = errors.New("msgpack: illegal map key")
	// ErrBinary is more pieces of binary data than the limit.
	ErrBinary = errors.New("msgpack: too many binary values")
	// ErrPlaceholder is a map that would be taken for the placeholder of binary
	// data, or a placeholder that names none.
	ErrPlaceholder = errors.New("msgpack: illegal placeholder")
	// ErrJSON is input of [FromJSON] that is not JSON.
	ErrJSON = errors.New("msgpack: invalid JSON")
	// ErrValue is a Go value that [Append] does not take.
	ErrValue = errors.New("msgpack: unsupported type")
	// ErrTooLarge is a string, array or map of 4 GiB or more.
	ErrTooLarge = errors.New("msgpack: too large")
)
