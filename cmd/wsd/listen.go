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
	if err := checkListen(ctx, address, open); err != nil {
		return nil, err
	}
	var config net.ListenConfig
	if share {
		config.Control = reusePort
	}
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, bindError("--listen", address, err)
	}
	return l, nil
}

// checkListen refuses an address that can't be meant; see listen.
func checkListen(ctx context.Context, address string, open bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usageError(fmt.Errorf("--listen %s: want host:port: %w", address, err))
	}
	if !open && !isLoopback(ctx, host) {
		return usageError(fmt.Errorf("--listen %s is reachable from other machines and anybody may connect: "+
			"say --anonymous if that is meant, have wsd serve ask for tokens (--jwt-secret-file, --jwks-url), or listen on 127.0.0.1", address))
	}
	return nil
}

// checkAdminListen is checkListen for --admin-listen.
func checkAdminListen(ctx context.Context, address string, token []byte) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usageError(fmt.Errorf("--admin-listen %s: want host:port or off: %w", address, err))
	}
	if len(token) == 0 && !isLoopback(ctx, host) {
		return usageError(fmt.Errorf("--admin-listen %s is reachable from other machines: it needs --admin-token-file, or listen on 127.0.0.1", address))
	}
	return nil
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
