package main

import (
	"context"
	"fmt"
	"net"
)

// listen opens the TCP address. Anything but a loopback address needs
// anonymous: there is no authentication that would keep strangers out.
func listen(ctx context.Context, address string, anonymous bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usageError(fmt.Errorf("--listen %s: want host:port: %w", address, err))
	}
	if !anonymous && !isLoopback(ctx, host) {
		return nil, usageError(fmt.Errorf("--listen %s is reachable from other machines and anybody may connect: "+
			"say --anonymous if that is meant, or listen on 127.0.0.1", address))
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
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
