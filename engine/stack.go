package engine

import (
	"bytes"
	"fmt"
	"runtime"
)

// How much of a trace of all goroutines, in bytes, is looked through for a loop's:
// loops come early in it.
const (
	firstTrace = 1 << 20
	lastTrace  = 8 << 20
)

// Stack tells where the loop's goroutine is, as runtime.Stack does, in at most limit
// bytes. It is empty when the loop does not run, or was not found among very many
// goroutines. It stops the process for as long as it takes to write the stacks of all
// goroutines, milliseconds for a thousand: it is meant for a loop that hangs. Safe from
// any goroutine.
func (l *Loop) Stack(limit int) string {
	number := l.number.Load()
	if number == 0 {
		return ""
	}
	head := fmt.Appendf(nil, "goroutine %d [", number)
	for size := firstTrace; size <= lastTrace; size *= 8 {
		trace := make([]byte, size)
		n := runtime.Stack(trace, true)
		if stack, found := section(trace[:n], head); found {
			return string(stack[:min(len(stack), limit)])
		}
		if n < size {
			break // that were all
		}
	}
	return ""
}

// section is the part of a trace that begins with head.
func section(trace, head []byte) (stack []byte, found bool) {
	for part := range bytes.SplitSeq(trace, []byte("\n\n")) {
		if bytes.HasPrefix(part, head) {
			return part, true
		}
	}
	return nil, false
}
