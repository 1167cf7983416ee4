//go:build unix

package workers

import "syscall"

// terminate has a worker drain, dump has it end and say where its goroutines are.
const (
	terminate = syscall.SIGTERM
	dump      = syscall.SIGABRT
)
