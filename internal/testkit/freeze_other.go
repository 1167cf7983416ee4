//go:build !unix

package testkit

import "syscall"

// There is nothing that freezes a process; the tests that want it are for Unix.
const (
	sigStop = syscall.Signal(0)
	sigCont = syscall.Signal(0)
)
