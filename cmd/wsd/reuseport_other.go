//go:build !unix

package main

import (
	"errors"
	"syscall"
)

// reusePort is not for this system.
func reusePort(string, string, syscall.RawConn) error {
	return errors.New("--reuse-port needs a Unix system")
}
