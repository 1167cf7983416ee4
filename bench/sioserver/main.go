// Command sioserver is the Socket.IO server that the comparison measures: a
// plain program on the public API of engine/socketio.
//
//	sioserver --listen 127.0.0.1:9001 [--inline] [--loops N] [--adapter classic|sharded|streams --redis-url URL]
//
// It answers event "m" with "m" and the same arguments. Each socket joins one
// room when it connects, and event "b" is emitted to that room as "m" with the
// same arguments.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

const (
	// room is the one that every socket joins.
	room = "everyone"
	// maxHTTP lets many thousand pollers wait at a time.
	maxHTTP = 1 << 16
	// drain is how long open sessions get when the program is told to stop.
	drain = time.Second
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9001", "address to listen on")
	inline := flag.Bool("inline", false, "run handlers on the loop")
	loops := flag.Int("loops", 1, "event loops")
	adapter := flag.String("adapter", "", "what joins it with others: classic, sharded or streams")
	url := flag.String("redis-url", "", "where their Redis is")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *inline, *loops, *adapter, *url); err != nil {
		fmt.Fprintln(os.Stderr, "sioserver:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, listen string, inline bool, loops int, adapter, url string) error {
	nodes, leave, err := join(ctx, adapter, url)
	if err != nil {
		return err
	}
	defer leave()
	app := engine.New(engine.Options{
		Loops:   loops,
		MaxHTTP: maxHTTP,
		// Without handlers on goroutines nothing but the loops is urgent.
		Exclusive: inline && nodes == nil,
	})
	app.Mount("/socket.io/", newServer(inline, nodes))
	listening := make(chan error, 1)
	go func() { listening <- app.Listen(listen) }()
	select {
	case err := <-listening:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err = app.Shutdown(ending)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // what was left is closed
	}
	if ended := <-listening; !errors.Is(ended, engine.ErrShutdown) {
		err = errors.Join(err, ended)
	}
	return err
}

// adapters by their name on the command line.
var adapters = map[string]redis.Adapter{"classic": redis.Classic, "sharded": redis.Sharded, "streams": redis.Streams}

// join connects to the other nodes, if there is an adapter. leave ends that.
func join(ctx context.Context, adapter, url string) (nodes broker.Cluster, leave func(), err error) {
	if adapter == "" {
		return nil, func() {}, nil
	}
	kind, ok := adapters[adapter]
	if !ok {
		return nil, nil, fmt.Errorf("no adapter %q", adapter)
	}
	b, err := redis.Open(ctx, redis.Options{URLs: []string{url}, Adapter: kind})
	if err != nil {
		return nil, nil, err
	}
	return b.Cluster(), func() { _ = b.Close(context.WithoutCancel(ctx)) }, nil
}

func newServer(inline bool, nodes broker.Cluster) *socketio.Server {
	io := socketio.New(socketio.Options{Inline: inline, Cluster: nodes})
	io.OnConnection(func(s *socketio.Socket) { s.Join(room) })
	io.Of("/").On("m", func(e *socketio.Event) { _ = e.Socket().Emit("m", e.Args()...) })
	io.Of("/").On("b", func(e *socketio.Event) { _ = io.To(room).Emit("m", e.Args()...) })
	return io
}
