package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// bindError says in plain words why the address of a flag can't be listened on.
func bindError(flag, address string, err error) error {
	var why string
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		why = "the port is in use" + holderText(address)
		if flag == "--admin-listen" {
			why += "; give another address, or off"
		} else {
			why += "; stop it, or give another address"
		}
	case errors.Is(err, syscall.EACCES):
		why = "not allowed: ports below 1024 need root or CAP_NET_BIND_SERVICE (in systemd AmbientCapabilities=CAP_NET_BIND_SERVICE)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		why = "this machine has no such address"
	default:
		return exitError{exitBind, fmt.Errorf("%s: can't listen on %s: %w", flag, address, err)}
	}
	return exitError{exitBind, fmt.Errorf("%s: can't listen on %s: %s", flag, address, why)}
}

// holderText names the process that listens on the address's port, as far as this
// process may see it.
func holderText(address string) string {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return ""
	}
	if pid, name := portHolder(port); pid != 0 {
		return fmt.Sprintf(" by process %d (%s)", pid, name)
	}
	return " by another process (see ss -ltnp)"
}
