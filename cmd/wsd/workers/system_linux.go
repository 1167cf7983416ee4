package workers

import (
	"os"
	"syscall"
)

// terminate has a worker drain, dump has it end and say where its goroutines are.
const (
	terminate = syscall.SIGTERM
	dump      = syscall.SIGABRT
)

// tryLock locks a file for as long as it is open, unless another process has.
func tryLock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
