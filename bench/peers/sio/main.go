// Command sio is the Socket.IO server of the comparison, with the library
// zishang520/socket.io: event "m" is answered with "m" and the same arguments,
// and event "b" is emitted as "m" to a room that every socket joins.
//
//	sio -listen 127.0.0.1:9001
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/zishang520/socket.io/v2/socket"
)

const room socket.Room = "everyone"

func main() {
	listen := flag.String("listen", "127.0.0.1:9001", "address to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ln, err := net.Listen("tcp", *listen)
	if err == nil {
		err = serve(ctx, ln)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sio:", err)
		os.Exit(1)
	}
}

// serve runs on ln, which it owns, until ctx ends.
func serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{Handler: handler()}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// handler is the Socket.IO server with its default options.
func handler() http.Handler {
	io := socket.NewServer(nil, nil)
	_ = io.On("connection", func(clients ...any) {
		s := clients[0].(*socket.Socket)
		s.Join(room)
		_ = s.On("m", func(args ...any) { _ = s.Emit("m", args...) })
		_ = s.On("b", func(args ...any) { _ = io.To(room).Emit("m", args...) })
	})
	return io.ServeHandler(nil)
}
