//go:build unix

package main

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// reusePort lets sockets of other processes listen on the same address. It is for
// net.ListenConfig.Control.
func reusePort(_, _ string, raw syscall.RawConn) error {
	var err error
	if e := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}); e != nil {
		return e
	}
	return err
}
