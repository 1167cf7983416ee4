//go:build !unix

package main

import "os"

// There are no workers here.
var (
	hangup   os.Signal
	passedOn []os.Signal
)
