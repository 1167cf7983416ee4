package main

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// serveHTTP runs net/http on ln until ctx ends. Upgraded connections are the
// handler's own affair; they end with the process.
func serveHTTP(ctx context.Context, ln net.Listener, h http.HandlerFunc) error {
	srv := &http.Server{Handler: h}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
