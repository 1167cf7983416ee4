// Command extra is a Socket.IO server with what test/sioserver has not:
// middlewares, dynamic namespaces, acknowledgements that the server waits for,
// volatile events, and a log of the reasons why sockets ended. js/extra.mjs is
// its twin on npm's server. It prints "ready" when it listens.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// answerTimeout is how long "call" waits for the client.
const answerTimeout = 500 * time.Millisecond

func main() {
	listen := flag.String("listen", "127.0.0.1:3000", "address")
	eio3 := flag.Bool("allow-eio3", false, "serve clients of Socket.IO 2")
	interval := flag.Duration("ping-interval", 0, "time between heartbeats")
	timeout := flag.Duration("ping-timeout", 0, "time to answer one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()

	io := socketio.New(socketio.Options{Engine: engineio.Options{
		AllowEIO3: *eio3, PingInterval: *interval, PingTimeout: *timeout,
	}})
	serve(io)
	app := engine.New(engine.Options{}).Mount("/socket.io/", io)
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		<-ctx.Done()
		_ = app.Shutdown(context.Background())
	}()
	fmt.Println("ready")
	if err := app.Serve(listener); !errors.Is(err, engine.ErrShutdown) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// endings are what the handlers of ended sockets saw, by id: [event, reason, number of rooms].
type endings struct {
	mu  sync.Mutex
	all map[string][]any
}

func (e *endings) add(s *socketio.Socket, event, reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all[s.ID()] = append(e.all[s.ID()], []any{event, reason, len(s.Rooms())})
}

func (e *endings) of(id string) []any {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]any{}, e.all[id]...)
}

func serve(io *socketio.Server) {
	ended := &endings{all: map[string][]any{}}
	guarded := io.Of("/guarded")
	guarded.Use(func(s *socketio.Socket) error {
		_ = s.Emit("early", 1)
		var auth struct{ Token string }
		if err := s.Auth().Decode(&auth); err != nil {
			return err
		}
		switch auth.Token {
		case "secret":
			s.SetData(map[string]any{"user": "known"})
			return nil
		case "plain":
			return errors.New("a plain error")
		}
		return socketio.Refuse("unauthorized", map[string]any{"code": 401, "hint": []any{"log in", nil}})
	})
	guarded.Use(func(s *socketio.Socket) error {
		s.Join("by middleware")
		return nil
	})
	for _, nsp := range []namespace{
		io.Of("/"), guarded,
		io.OfPattern(regexp.MustCompile(`^/room-\d+$`)),
		io.OfFunc(func(name string, auth sio.Value) bool {
			var given struct{ Allow bool }
			return auth.Decode(&given) == nil && given.Allow && name != "/never"
		}),
	} {
		nsp.OnConnection(func(s *socketio.Socket) { connected(s, ended) })
	}
}

type namespace interface {
	OnConnection(func(*socketio.Socket))
}

func connected(s *socketio.Socket, ended *endings) {
	for i := range 3 {
		_ = s.Emit("hello", i)
	}
	var names []any
	s.OnAny(func(e *socketio.Event) { names = append(names, e.Name()) })
	s.OnDisconnecting(func(reason string) { ended.add(s, "disconnecting", reason) })
	s.OnDisconnect(func(reason string) { ended.add(s, "disconnect", reason) })
	s.Use(func(e *socketio.Event) error {
		if e.Name() == "forbidden" {
			return errors.New("not that event")
		}
		return nil
	})
	s.OnError(func(err error) { _ = s.Emit("refused", err.Error()) })
	s.On("forbidden", func(*socketio.Event) { _ = s.Emit("refused", "by its handler") })

	s.On("names", func(e *socketio.Event) { _ = e.Ack(names) })
	s.On("ended", func(e *socketio.Event) { _ = e.Ack(ended.of(e.String(0))) })
	s.On("who", func(e *socketio.Event) {
		_ = e.Ack(map[string]any{"namespace": s.Namespace().Name(), "id": s.ID(), "rooms": s.Rooms(), "data": s.Data()})
	})
	s.On("handshake", func(e *socketio.Event) {
		h := s.Handshake()
		_ = e.Ack(map[string]any{"query": h.Query["q"], "auth": h.Auth, "header": h.Headers["x-test"], "secure": h.Secure})
	})
	s.On("call", func(e *socketio.Event) {
		args := e.Args()[1:]
		answer, err := s.Timeout(answerTimeout).EmitWithAck(context.Background(), e.String(0), args...)
		if err != nil {
			_ = e.Ack(map[string]any{"error": err.Error()})
			return
		}
		_ = e.Ack(map[string]any{"answer": answer})
	})
	s.On("volatile", func(e *socketio.Event) {
		var n int
		if e.Bind(&n) != nil {
			return
		}
		for i := range n {
			_ = s.Volatile().Emit("vapour", i, make([]byte, i%3))
		}
		_ = s.Emit("vapour-end")
	})
	s.On("plain", func(e *socketio.Event) { _ = s.Compress(false).Emit("plain-back", e.Args()...) })
	s.On("kick", func(e *socketio.Event) {
		var closeConn bool
		_ = e.Bind(&closeConn)
		s.Disconnect(closeConn)
	})
	s.On("join-and-tell", func(e *socketio.Event) {
		s.Join(e.String(0))
		_ = s.Namespace().To(e.String(0)).Emit("joined", s.ID())
	})
	s.On("later", func(e *socketio.Event) {
		var n int
		if e.Bind(&n) != nil {
			return
		}
		go func() {
			for i := range n {
				_ = s.Emit("late", i)
			}
		}()
	})
	s.On("slow", func(e *socketio.Event) {
		time.Sleep(300 * time.Millisecond) // a handler that blocks
		_ = e.Ack("slow")
	})
	s.On("ack-twice", func(e *socketio.Event) {
		_ = e.Ack(1)
		_ = e.Ack(2)
	})
}
