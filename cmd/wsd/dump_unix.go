//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyDumps has c receive what asks for a dump; see dumps.
func notifyDumps(c chan<- os.Signal) { signal.Notify(c, syscall.SIGUSR1) }
