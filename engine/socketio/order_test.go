package socketio_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fe4bcecb/wsd/engine/socketio"
)

// A socket's life is handled in order, one thing at a time, in both modes alike.
func TestOrder(t *testing.T) {
	const n = 500
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		j := newJournal()
		var busy atomic.Int32
		only := func(fn func()) {
			if busy.Add(1) != 1 {
				t.Error("two handlers of a socket at a time")
			}
			fn()
			busy.Add(-1)
		}
		srv := serve(t, opts, func(io *socketio.Server) {
			io.OnConnection(func(s *socketio.Socket) {
				only(func() {
					s.Join("room")
					s.OnDisconnecting(func(string) { only(func() { j.add(fmt.Sprint("disconnecting ", s.Rooms()[1:])) }) })
					s.OnDisconnect(func(string) { only(func() { j.add(fmt.Sprint("disconnect ", s.Rooms())) }) })
					s.On("e", func(e *socketio.Event) { only(func() { j.add(e.String(0)) }) })
					j.add("connection")
				})
			})
		})
		c := srv.connect(t)
		want := []string{"connection"}
		for i := range n {
			c.send(fmt.Sprintf(`42["e",%d]`, i))
			want = append(want, fmt.Sprint(i))
		}
		c.send("41")
		j.expect(t, append(want, "disconnecting [room]", "disconnect []")...)
	})
}

// What a handler emits arrives in the order of the calls, with what comes from
// elsewhere behind what it follows.
func TestEmitOrder(t *testing.T) {
	const n = 300
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		srv := serve(t, opts, func(io *socketio.Server) {
			io.On("go", func(e *socketio.Event) {
				s := e.Socket()
				s.Join("r")
				for i := range n {
					switch i % 4 {
					case 0:
						_ = s.Emit("n", i)
					case 1:
						_ = io.Emit("n", i)
					case 2:
						_ = io.To("r").Emit("n", i)
					case 3:
						done := make(chan struct{})
						go func() { _ = s.Emit("n", i); close(done) }()
						<-done
					}
				}
			})
		})
		c := srv.connect(t)
		c.send(`42["go"]`)
		for i := range n {
			c.expect(fmt.Sprintf(`42["n",%d]`, i))
		}
	})
}

// What follows from a handler is handled behind it, not within it.
func TestHandlersDoNotNest(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		j := newJournal()
		srv := serve(t, opts, func(io *socketio.Server) {
			io.On("bye", func(e *socketio.Event) {
				e.Socket().Disconnect(false)
				j.add("handler returns")
			})
			io.OnDisconnect(func(*socketio.Socket, string) { j.add("disconnect") })
		})
		c := srv.connect(t)
		c.send(`42["bye"]`)
		j.expect(t, "handler returns", "disconnect")
	})
}

// A handler that blocks keeps no other socket from being served.
func TestHandlerMayBlock(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	srv := serve(t, socketio.Options{}, func(io *socketio.Server) {
		pong(io)
		io.Of("/other").On("ping", func(e *socketio.Event) { _ = e.Ack("pong") })
		io.On("block", func(*socketio.Event) { close(entered); <-release })
	})
	c := srv.connect(t)
	c.send(`42["block"]`, `421["ping"]`)
	wait(t, entered)
	for range 4 {
		srv.connect(t).alive()
	}
	// Nor the same client's socket in another namespace.
	c.send("40/other,")
	c.next()
	c.send(`42/other,2["ping"]`)
	c.expect(`43/other,2["pong"]`)
	close(release)
	c.expect(`431["pong"]`)
}

// An event of many small arguments takes far more memory than its packet: it counts.
func TestPendingOverflowByArguments(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	srv := serve(t, socketio.Options{MaxPending: 64 << 10}, func(io *socketio.Server) {
		io.On("block", func(*socketio.Event) { <-release })
	})
	c := srv.connect(t)
	c.send(`42["block"]`, `42["many"`+strings.Repeat(",1", 10_000)+`]`)
	c.expectClose()
	if got := srv.Stats().PendingOverflows; got != 1 {
		t.Errorf("PendingOverflows = %d", got)
	}
}

func TestPendingOverflow(t *testing.T) {
	release := make(chan struct{})
	j := newJournal()
	srv := serve(t, socketio.Options{MaxPending: 64 << 10}, func(io *socketio.Server) {
		pong(io)
		io.On("block", func(*socketio.Event) { <-release })
		io.OnDisconnect(func(_ *socketio.Socket, reason string) { j.add(reason) })
	})
	other := srv.connect(t)
	c := srv.connect(t)
	c.send(`42["block"]`)
	for i := 0; srv.Stats().PendingOverflows == 0 && i < 100; i++ {
		// The write fails once the server has closed.
		_, _ = c.conn.Write(textFrame(`42["x","` + strings.Repeat("x", 4<<10) + `"]`))
	}
	eventually(t, func() bool { return srv.Sockets() == 1 })
	if got := srv.Stats().PendingOverflows; got != 1 {
		t.Errorf("PendingOverflows = %d", got)
	}
	other.alive()
	close(release)
	j.expect(t, "forced close")
}

// One event is taken whatever its size.
func TestLargeEventIsTaken(t *testing.T) {
	srv := serve(t, socketio.Options{MaxPending: 1}, pong)
	c := srv.connect(t)
	c.send(`427["ping","` + strings.Repeat("x", 100<<10) + `"]`)
	c.expect(`437["pong"]`)
}

func TestPanics(t *testing.T) {
	for name, cause := range map[string]struct {
		setup  func(io *socketio.Server)
		packet string
		want   []string
	}{
		"event": {
			func(io *socketio.Server) { io.On("e", func(*socketio.Event) { panic("as told") }) },
			`42["e"]`, []string{"disconnecting", "disconnect"},
		},
		"connection": {
			func(io *socketio.Server) {
				io.OnConnection(func(s *socketio.Socket) {
					if !s.Auth().IsNull() && s.Auth().String() != "{}" {
						panic("as told")
					}
				})
			}, ``, []string{"disconnecting", "disconnect"},
		},
		"disconnecting": {
			func(io *socketio.Server) {
				io.OnDisconnecting(func(*socketio.Socket, string) { panic("as told") })
			}, `41`, []string{"disconnecting", "disconnect"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachMode(t, func(t *testing.T, opts socketio.Options) {
				j := newJournal()
				srv := serve(t, opts, func(io *socketio.Server) {
					cause.setup(io)
					pong(io)
					io.Of("/other").On("ping", func(e *socketio.Event) { _ = e.Ack("pong") })
					io.On("behind", func(*socketio.Event) { j.add("behind") })
					io.OnDisconnecting(func(*socketio.Socket, string) { j.add("disconnecting") })
					io.OnDisconnect(func(*socketio.Socket, string) { j.add("disconnect") })
				})
				other := srv.connect(t)
				c := srv.dial(t)
				c.send("40/other,")
				c.next()
				c.join(`40{"panic":true}`)
				if cause.packet != "" {
					c.send(cause.packet)
				}
				if cause.packet != "41" {
					c.expect("41") // its own socket ends
				}
				c.send(`42/other,2["ping"]`)
				c.expect(`43/other,2["pong"]`)
				other.alive()
				j.expect(t, cause.want...)
				if got := srv.Stats().Panics; got != 1 {
					t.Errorf("Panics = %d", got)
				}
			})
		})
	}
}

func TestMiddlewarePanics(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		srv := serve(t, opts, func(io *socketio.Server) {
			pong(io)
			io.Of("/bad").Use(func(*socketio.Socket) error { panic("as told") })
		})
		c := srv.dial(t)
		c.send("40/bad,")
		c.expect(`44/bad,{"message":"internal error"}`)
		c.join("40")
		c.alive()
	})
}

// Events that wait behind one whose handler panics are not handled.
func TestNothingBehindAPanic(t *testing.T) {
	j := newJournal()
	entered, release := make(chan struct{}), make(chan struct{})
	srv := serve(t, socketio.Options{}, func(io *socketio.Server) {
		io.Of("/other").On("ping", func(e *socketio.Event) { _ = e.Ack("pong") })
		io.On("e", func(*socketio.Event) { close(entered); <-release; panic("as told") })
		io.On("behind", func(*socketio.Event) { j.add("behind") })
		io.OnDisconnect(func(*socketio.Socket, string) { j.add("disconnect") })
	})
	c := srv.connect(t)
	c.send("40/other,")
	c.next()
	c.send(`42["e"]`)
	wait(t, entered)
	c.send(`42["behind"]`, `42/other,1["ping"]`)
	c.expect(`43/other,1["pong"]`) // so it waits
	close(release)
	j.expect(t, "disconnect")
}

// A handler that ends its goroutine ends no more than itself.
func TestGoexit(t *testing.T) {
	j := newJournal()
	srv := serve(t, socketio.Options{}, func(io *socketio.Server) {
		pong(io)
		io.On("exit", func(*socketio.Event) { runtime.Goexit() })
		io.OnDisconnect(func(*socketio.Socket, string) { j.add("disconnect") })
	})
	c := srv.connect(t)
	c.send(`42["exit"]`, `42["exit"]`)
	c.alive()
	c.send("41")
	j.expect(t, "disconnect")
}
