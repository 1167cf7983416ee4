package conv

import (
	"bytes"
	"runtime"
	"strconv"
)

// GoroutineNumber is the calling goroutine's number as stack traces show it
// ("goroutine 17 [running]:"). It takes about a microsecond.
func GoroutineNumber() uint64 {
	var buf [64]byte
	fields := bytes.Fields(buf[:runtime.Stack(buf[:], false)])
	if len(fields) < 2 {
		return 0
	}
	n, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
