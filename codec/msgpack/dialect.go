package msgpack

// Dialect says whose bytes are written.
type Dialect uint8

const (
	// Notepack2 is notepack.io 2.2: socket.io-msgpack-parser, and the Redis
	// adapters up to 7.1. undefined is an extension of its own, and a date is
	// milliseconds in another.
	Notepack2 Dialect = iota
	// Notepack3 is notepack.io 3.0: the Redis adapters 8, and the emitter.
	// undefined is nil, or leaves its member of a map out; a date is a timestamp
	// as the specification has it.
	Notepack3
	// MsgpackJS is @msgpack/msgpack 2.8: the Redis streams adapter. It differs
	// from Notepack3 in an undefined member of a map, which is nil, and in whole
	// numbers beyond 2^53, which are floats.
	MsgpackJS
)

// Undefined is JavaScript's undefined.
type Undefined struct{}

// Time is a date of JavaScript: milliseconds since 1970, in UTC.
type Time int64

// Ext is a value of an extension type that means nothing here. With type 0 it is
// how Notepack2 writes an ArrayBuffer.
type Ext struct {
	Type int8
	Data []byte
}

// Raw is a value that is encoded already. [Append] does not look at it.
type Raw []byte

// Map is a map whose members have an order.
type Map []Member

// Member is one of a Map.
type Member struct {
	Key   string
	Value any
}

// The extension types that have a meaning.
const (
	extNotepack  = 0  // undefined, a date or an ArrayBuffer, by its length and form
	extTimestamp = -1 // of the specification
)

// defaultDepth is the depth that a limit of 0 stands for, and maxDepth the
// greatest that the package's recursion is meant for.
const (
	defaultDepth = 512
	maxDepth     = 1024
)

func depthLimit(n int) int {
	if n <= 0 {
		return defaultDepth
	}
	return min(n, maxDepth)
}
