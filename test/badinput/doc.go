// Package badinput holds the tests in which a client does what none should.
// Each asserts the answer, that a good client is still served, and that
// goroutines, file descriptors and memory come back to where they were.
// WSD_LONG=1 runs the floods at full size.
package badinput
