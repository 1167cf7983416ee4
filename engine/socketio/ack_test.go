package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/socketio"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestAck(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		again := make(chan error, 1)
		srv := serve(t, opts, func(io *socketio.Server) {
			pong(io)
			io.On("q", func(e *socketio.Event) {
				_ = e.Ack("r", e.Len(), nil)
				again <- e.Ack("twice")
			})
			io.On("none", func(e *socketio.Event) { _ = e.Ack() })
			io.On("later", func(e *socketio.Event) { go func() { _ = e.Ack("late") }() })
		})
		c := srv.connect(t)
		c.send(`420["q"]`) // 0 is an id
		c.expect(`430["r",0,null]`)
		if err := wait(t, again); !errors.Is(err, socketio.ErrAcked) {
			t.Errorf("the second acknowledgement: %v", err)
		}
		c.send(`429007199254740991["none"]`)
		c.expect(`439007199254740991[]`)
		c.send(`425["later"]`)
		c.expect(`435["late"]`)
		c.alive()
	})
}

// ask has a socket emit with an acknowledgement on a goroutine.
func ask(s *socketio.Socket, timeout time.Duration) <-chan string {
	answer := make(chan string, 1)
	go func() {
		args, err := s.Timeout(timeout).EmitWithAck(context.Background(), "q", 1)
		answer <- fmt.Sprint(args, " ", err)
	}()
	return answer
}

func TestEmitWithAck(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		sockets := make(chan *socketio.Socket, 1)
		srv := serve(t, opts, func(io *socketio.Server) {
			pong(io)
			io.OnConnection(func(s *socketio.Socket) { sockets <- s })
		})
		c := srv.connect(t)
		s := wait(t, sockets)

		answer := ask(s, 0)
		c.expect(`420["q",1]`)
		c.send(`430["yes",{"a":1}]`, `430["again"]`, `4399["unknown"]`, `43["no id"]`)
		c.alive()
		if got := wait(t, answer); got != `[yes {"a":1}] <nil>` {
			t.Errorf("got %s", got)
		}

		answer = ask(s, 0)
		c.expect(`421["q",1]`)
		c.send(`431[]`)
		if got := wait(t, answer); got != `[] <nil>` {
			t.Errorf("got %s", got)
		}

		answer = ask(s, 0)
		c.expect(`422["q",1]`)
		c.send(`461-2[{"_placeholder":true,"num":0}]`)
		c.sendBinary([]byte("ab"))
		if got := wait(t, answer); !strings.HasSuffix(got, `<nil>`) {
			t.Errorf("got %s", got)
		}

		answer = ask(s, time.Millisecond)
		c.expect(`423["q",1]`)
		if got := wait(t, answer); got != "[] "+socketio.ErrTimeout.Error() {
			t.Errorf("got %s", got)
		}
		c.send(`433["late"]`)
		c.alive()

		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := s.EmitWithAck(ctx, "q")
			failed <- err
		}()
		c.expect(`424["q"]`)
		cancel()
		if err := wait(t, failed); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}

		answer = ask(s, 0)
		c.expect(`425["q",1]`)
		c.send("41")
		if got := wait(t, answer); got != "[] "+socketio.ErrDisconnected.Error() {
			t.Errorf("got %s", got)
		}
		if got := wait(t, ask(s, 0)); got != "[] "+socketio.ErrDisconnected.Error() {
			t.Errorf("got %s", got)
		}
	})
}

// A handler that waits for an acknowledgement gets it, although it keeps the
// events behind it waiting.
func TestEmitWithAckInHandler(t *testing.T) {
	srv := serve(t, socketio.Options{}, func(io *socketio.Server) {
		io.On("start", func(e *socketio.Event) {
			args, err := e.Socket().EmitWithAck(t.Context(), "q")
			_ = e.Socket().Emit("done", len(args), err == nil)
		})
		pong(io)
	})
	c := srv.connect(t)
	c.send(`42["start"]`, `427["ping"]`)
	c.expect(`420["q"]`)
	c.send(`430["a"]`)
	c.expect(`42["done",1,true]`, `437["pong"]`)
}

func TestEmitWithAckOnLoop(t *testing.T) {
	got := make(chan error, 2)
	srv := serve(t, socketio.Options{Inline: true}, func(io *socketio.Server) {
		io.On("start", func(e *socketio.Event) {
			_, err := e.Socket().EmitWithAck(t.Context(), "q")
			got <- err
			_, err = io.EmitWithAck(t.Context(), "q")
			got <- err
		})
		pong(io)
	})
	c := srv.connect(t)
	c.send(`42["start"]`)
	for range 2 {
		if err := wait(t, got); !errors.Is(err, socketio.ErrOnLoop) {
			t.Errorf("got %v", err)
		}
	}
	c.alive()
}

func TestEmitFunc(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		j := newJournal()
		sockets := make(chan *socketio.Socket, 1)
		srv := serve(t, opts, func(io *socketio.Server) {
			io.OnConnection(func(s *socketio.Socket) { sockets <- s })
			io.OnDisconnect(func(*socketio.Socket, string) { j.add("disconnect") })
			io.On("e", func(*socketio.Event) { j.add("event") })
		})
		c := srv.connect(t)
		s := wait(t, sockets)
		note := func(args []sio.Value, err error) { j.add(fmt.Sprint(args, " ", err)) }
		if err := s.EmitFunc(note, "q"); err != nil {
			t.Fatal(err)
		}
		c.expect(`420["q"]`)
		c.send(`42["e"]`, `430[1,2]`, `42["e"]`)
		j.expect(t, "event", "[1 2] <nil>", "event")
		if err := s.Timeout(time.Millisecond).EmitFunc(note, "q"); err != nil {
			t.Fatal(err)
		}
		c.expect(`421["q"]`)
		timeout := "[] " + socketio.ErrTimeout.Error()
		j.expect(t, "event", "[1 2] <nil>", "event", timeout)
		if err := s.EmitFunc(note, "q"); err != nil {
			t.Fatal(err)
		}
		c.expect(`422["q"]`)
		c.conn.Close()
		j.expect(t, "event", "[1 2] <nil>", "event", timeout, "[] "+socketio.ErrDisconnected.Error(), "disconnect")
		if err := s.EmitFunc(note, "q"); !errors.Is(err, socketio.ErrDisconnected) {
			t.Errorf("EmitFunc after the end: %v", err)
		}
	})
}

// A socket that never reads is not writable: volatile events are left out, and
// nothing waits for ever for the acknowledgement of one.
func TestVolatile(t *testing.T) {
	sockets := make(chan *socketio.Socket, 1)
	srv := serve(t, socketio.Options{}, func(io *socketio.Server) {
		io.OnConnection(func(s *socketio.Socket) { sockets <- s })
	})
	c := srv.connect(t)
	s := wait(t, sockets)
	if err := s.Volatile().Emit("ready"); err != nil {
		t.Fatal(err)
	}
	c.expect(`42["ready"]`)
	before := srv.Stats().VolatileDropped
	big := strings.Repeat("x", 1<<20)
	emitted := 0
	eventually(t, func() bool {
		if emitted++; emitted < 15 {
			_ = s.Emit("big", big)
		}
		_ = s.Volatile().Emit("left out")
		return srv.Stats().VolatileDropped > before
	})
	if _, err := s.Volatile().Timeout(time.Millisecond).EmitWithAck(t.Context(), "q"); !errors.Is(err, socketio.ErrTimeout) {
		t.Errorf("got %v", err)
	}
	answer := make(chan error, 1)
	go func() {
		_, err := s.Volatile().EmitWithAck(context.Background(), "q")
		answer <- err
	}()
	s.Disconnect(true)
	if err := wait(t, answer); !errors.Is(err, socketio.ErrDisconnected) {
		t.Errorf("got %v", err)
	}
}

// A function that awaits a broadcast's acknowledgements may panic: the server
// goes on.
func TestPanicOfBroadcastEmitFunc(t *testing.T) {
	srv := serve(t, socketio.Options{}, nil)
	before := srv.Stats().Panics
	if err := srv.Timeout(time.Second).EmitFunc(func([]sio.Value, error) { panic("as told") }, "q"); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, func() bool { return srv.Stats().Panics == before+1 }, patience)
	srv.connect(t)
}
