//go:build unix

package systemd

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// take makes a listener of a descriptor, which it closes.
func take(fd int) (net.Listener, error) {
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("no listening stream socket: %w", err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // the file is systemd's
	}
	return l, nil
}
