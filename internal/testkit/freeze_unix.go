//go:build unix

package testkit

import "syscall"

// What freezes a process, and lets it go on.
const (
	sigStop = syscall.SIGSTOP
	sigCont = syscall.SIGCONT
)
