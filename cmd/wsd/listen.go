package main

import (
	"context"
	"fmt"
	"net"
)

// listen opens the TCP address, which share lets other processes have as well.
// Anything but a loopback address needs open: either tokens keep strangers out, or
// strangers are welcome.
func listen(ctx context.Context, address string, open, share bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usageError(fmt.Errorf("--listen %s: want host:port: %w", address, err))
	}
	if !open && !isLoopback(ctx, host) {
		return nil, usageError(fmt.Errorf("--listen %s is reachable from other machines and anybody may connect: "+
			"say --anonymous if that is meant, have wsd serve ask for tokens (--jwt-secret-file, --jwks-url), or listen on 127.0.0.1", address))
	}
	var config net.ListenConfig
	if share {
		config.Control = reusePort
	}
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, exitError{exitBind, fmt.Errorf("can't listen on %s: %w", address, err)}
	}
	return l, nil
}

// isLoopback reports whether host is a loopback address, or a name that stands
// for such addresses only. An empty host is every interface.
func isLoopback(ctx context.Context, host string) bool {
	if host == "" {
		return false
	}
	addrs, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if !a.IP.IsLoopback() {
			return false
		}
	}
	return len(addrs) > 0
}
