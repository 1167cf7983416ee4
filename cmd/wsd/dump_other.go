//go:build !unix

package main

import "os"

// notifyDumps does nothing: no signal asks for a dump here.
func notifyDumps(chan<- os.Signal) {}
