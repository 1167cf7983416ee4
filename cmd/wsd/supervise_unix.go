//go:build unix

package main

import (
	"os"
	"syscall"
)

// hangup has a server read its configuration again; passedOn are the signals that a
// parent passes to its workers as they are.
var (
	hangup   os.Signal = syscall.SIGHUP
	passedOn           = []os.Signal{syscall.SIGHUP, syscall.SIGUSR1}
)
