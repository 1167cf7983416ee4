package sio

// STUB by H1 so that the package compiles: H2 replaces this file with real
// code (same names) in msgpack*.go files.

// msgpackElements appends the elements of a valid msgpack array as MsgpackValues.
func msgpackElements(dst []Value, array []byte) []Value { return dst }

// msgpackJSON turns one valid msgpack value into JSON with placeholders and attachments.
func msgpackJSON(b []byte) (json []byte, attachments [][]byte, err error) {
	return nil, nil, ErrPayload
}

// msgpackNull: nil or undefined.
func msgpackNull(b []byte) bool { return false }

// msgpackBytes: a bin value (aliases b).
func msgpackBytes(b []byte) ([]byte, bool) { return nil, false }

// msgpackAppendText appends the text of a str; ok=false and dst unchanged otherwise.
func msgpackAppendText(dst, b []byte) ([]byte, bool) { return dst, false }

// msgpackWith: a copy of array with one more string element at the end.
func msgpackWith(array []byte, extra string) []byte { return array }
