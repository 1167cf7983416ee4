// Command sioserver is a Socket.IO server for test suites, on the public API of
// engine/socketio. Clients drive it by events; far.go has those that reach for
// other sockets. It prints "ready" on standard output when it listens, and
// "listening on HOST:PORT" on standard error before.
//
// In its namespaces, "/" and "/custom" if not told others, it emits "auth" with
// the handshake's auth when a client connects, answers "message" with
// "message-back" and acknowledges "message-with-ack", both with the same
// arguments. At /engine.io/ it sends every Engine.IO message back. With --redis-url
// it is a node of a cluster that may have Node servers in it; clients hear "gap"
// when events of other nodes are missing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// Exit codes.
const (
	exitFailure = 1
	exitUsage   = 2
)

// drain is how long open sessions get when the program is told to stop.
const drain = 5 * time.Second

// maxHTTP lets many thousand pollers wait at a time, with two connections each.
const maxHTTP = 1 << 16

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// execute serves until ctx ends and returns the exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parse(args, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "sioserver:", err)
		return exitUsage
	}
	if err := run(ctx, cfg, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "sioserver:", err)
		return exitFailure
	}
	return 0
}

func run(ctx context.Context, cfg *config, stdout, stderr io.Writer) error {
	listener, err := net.Listen("tcp", cfg.listen)
	if err != nil {
		return err
	}
	var nodes *redis.Broker
	if cfg.redis.enabled() {
		if nodes, err = redis.Open(ctx, cfg.redis.options); err != nil {
			return errors.Join(err, listener.Close())
		}
		defer func() {
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
			defer cancel()
			_ = nodes.Close(closing) // what does not get out now is lost
		}()
	}
	app := engine.New(engine.Options{MaxHTTP: maxHTTP, HandshakeTimeout: cfg.handshake})
	server := socketio.New(cfg.options(nodes))
	for _, name := range cfg.namespaces {
		serve(server, nodes, name)
	}
	server.OnGap(tellGap)
	echo, err := engineio.New(cfg.engine, echoHandler{})
	if err != nil {
		return err
	}
	app.Mount(cfg.path, server)
	app.Mount("/engine.io/", echo)
	app.Handle("/health", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))

	served := make(chan error, 1)
	go func() { served <- app.Serve(listener) }()
	fmt.Fprintln(stderr, "listening on", listener.Addr())
	fmt.Fprintln(stdout, "ready")
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err = errors.Join(server.Close(ending), echo.Close(ending), app.Shutdown(ending))
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // what was left is closed
	}
	if end := <-served; !errors.Is(end, engine.ErrShutdown) {
		err = errors.Join(err, end)
	}
	return err
}

// echoHandler sends each Engine.IO message back.
type echoHandler struct{}

func (echoHandler) OpenSession(*engineio.Session) {}

func (echoHandler) Message(s *engineio.Session, data []byte, binary bool) {
	if binary {
		s.SendBinary(data)
		return
	}
	s.SendText(append([]byte{'4'}, data...)) // the packet's type: message
}

func (echoHandler) CloseSession(*engineio.Session, engineio.Reason, string) {}
