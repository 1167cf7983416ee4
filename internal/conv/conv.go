// Package conv holds the conversions that the compiler cannot check. With
// internal/poll it is the only place in wsd that may go round the type system.
package conv

import "unsafe"

// String views b as a string without a copy. The caller must not write to b
// while the string is in use.
func String(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Bytes views s as a byte slice without a copy. Nobody may write to it.
func Bytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
