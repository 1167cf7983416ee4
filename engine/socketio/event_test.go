package socketio_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

func TestArguments(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		done := make(chan struct{}, 1)
		srv := serve(t, opts, func(io *socketio.Server) {
			io.On("e", func(e *socketio.Event) {
				defer func() { done <- struct{}{} }()
				var n int
				var user struct{ Name string }
				if err := e.Bind(&n, &user); err != nil || n != 7 || user.Name != "x" {
					t.Errorf("Bind: %v, %d, %+v", err, n, user)
				}
				if e.Len() != 5 || e.String(0) != "7" || e.String(1) != `{"name":"x"}` || e.String(3) != "text" || e.String(9) != "" {
					t.Errorf("%d arguments: %q %q %q", e.Len(), e.String(0), e.String(1), e.String(3))
				}
				if !e.Value(2).IsNull() || !e.Value(9).IsNull() || !e.Value(-1).IsNull() || !bytes.Equal(e.Bytes(4), []byte{1, 2}) || e.Bytes(3) != nil {
					t.Errorf("Value(2) = %v, Bytes(4) = %v", e.Value(2), e.Bytes(4))
				}
				if err := e.Bind(&user); err == nil {
					t.Error("a number fits a struct")
				}
				if err := e.Bind(&n, &user, new(any), new(string), new([]byte), new(any)); !errors.Is(err, socketio.ErrNoArgument) {
					t.Errorf("Bind of too many: %v", err)
				}
				if e.NeedsAck() {
					t.Error("NeedsAck")
				}
				if err := e.Ack(); !errors.Is(err, socketio.ErrAcked) {
					t.Errorf("Ack of what wants none: %v", err)
				}
			})
		})
		c := srv.connect(t)
		c.send(`451-["e",7,{"name":"x"},null,"text",{"_placeholder":true,"num":0}]`)
		c.sendBinary([]byte{1, 2})
		wait(t, done)
	})
}

// What is passed on is not read: it comes out as it came.
func TestRelay(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		srv := serve(t, opts, func(io *socketio.Server) {
			io.On("echo", func(e *socketio.Event) { _ = e.Socket().Emit("echo", e.Args()...) })
			io.On("both", func(e *socketio.Event) {
				_ = e.Socket().Emit("both", e.Args()...)
				_ = e.Ack(e.Args()...)
			})
		})
		c := srv.connect(t)
		for _, args := range []string{
			``, `,1`, `,9007199254740993,1.0,1e400,-0`, `,"<>&\u2028\ud800","é"`, `,{"b":1,"a":2,"b":3,"__proto__":{}}`,
			`,[],{},null,true,"",[[[]]]`, `,1,2,3,4,5,6,7,8,9`, `,"` + strings.Repeat("long ", 1000) + `"`,
		} {
			c.send(`42["echo"` + args + `]`)
			c.expect(`42["echo"` + args + `]`)
		}
		c.send(`452-5["both",{"_placeholder":true,"num":1},{"k":[{"_placeholder":true,"num":0}]}]`)
		c.sendBinary([]byte("zero"))
		c.sendBinary([]byte("one"))
		c.expect(`452-["both",{"_placeholder":true,"num":0},{"k":[{"_placeholder":true,"num":1}]}]`, "one", "zero")
		c.expect(`462-5[{"_placeholder":true,"num":0},{"k":[{"_placeholder":true,"num":1}]}]`, "one", "zero")
	})
}

// An Event may be kept when handlers have goroutines.
func TestEventsHaveTheirOwnMemory(t *testing.T) {
	const n = 200
	kept := make(chan *socketio.Event, n)
	srv := serve(t, socketio.Options{}, func(io *socketio.Server) {
		io.On("e", func(e *socketio.Event) { kept <- e })
	})
	c := srv.connect(t)
	for i := range n {
		c.send(fmt.Sprintf(`42["e","argument %d","%s"]`, i, strings.Repeat("x", i)))
	}
	var all []*socketio.Event
	for range n {
		all = append(all, wait(t, kept))
	}
	for i, e := range all {
		if want := fmt.Sprintf("argument %d", i); e.String(0) != want || len(e.String(1)) != i {
			t.Fatalf("event %d has %q", i, e.String(0))
		}
	}
}

func TestHandlers(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		j := newJournal()
		note := func(line string) func(*socketio.Event) { return func(*socketio.Event) { j.add(line) } }
		srv := serve(t, opts, func(io *socketio.Server) {
			io.OnAny(note("any of all"))
			io.On("e", note("first of all"))
			io.On("e", note("second of all"))
			io.OnError(func(_ *socketio.Socket, err error) { j.add("error of all: " + err.Error()) })
			io.OnConnection(func(s *socketio.Socket) {
				s.OnAny(note("any of one"))
				s.Use(func(e *socketio.Event) error {
					if e.Name() == "bad" {
						return errors.New("bad one")
					}
					j.add("use")
					return nil
				})
				s.OnError(func(err error) { j.add("error of one: " + err.Error()) })
				s.On("e", note("first of one"))
				s.On("e", note("second of one"))
				s.On("off", func(e *socketio.Event) {
					s.Off("e")
					_ = e.Ack()
				})
				s.On("bad", note("not reached"))
			})
		})
		c := srv.connect(t)
		c.send(`42["e"]`, `427["bad"]`)
		c.expect(`437[{"error":"bad one"}]`)
		c.send(`428["off"]`)
		c.expect(`438[]`)
		c.send(`42["e"]`)
		before := []string{"any of all", "any of one"}
		want := append(before[:2:2], "use", "first of all", "second of all", "first of one", "second of one")
		want = append(append(want, before...), "error of all: bad one", "error of one: bad one")
		want = append(append(want, before...), "use")
		want = append(append(want, before...), "use", "first of all", "second of all")
		j.expect(t, want...)
	})
}

type point struct{ X, Y int }

func TestTypedHandlers(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		failed := make(chan error, 1)
		srv := serve(t, opts, func(io *socketio.Server) {
			socketio.On(io, "move", func(e *socketio.Event, p point) { _ = e.Socket().Emit("moved", p.X, p.Y) })
			socketio.OnAck(io, "add", func(_ *socketio.Event, p point) (int, error) {
				if p.X < 0 {
					return 0, errors.New("negative")
				}
				return p.X + p.Y, nil
			})
			socketio.OnAck(io, "bytes", func(_ *socketio.Event, b []byte) ([]byte, error) { return append(b, b...), nil })
			socketio.OnAck(io, "odd", func(*socketio.Event, string) (any, error) { return func() {}, nil })
			io.OnError(func(_ *socketio.Socket, err error) { failed <- err })
		})
		c := srv.connect(t)
		c.send(`42["move",{"x":1,"y":2}]`)
		c.expect(`42["moved",1,2]`)
		c.send(`421["add",{"x":3,"y":4}]`)
		c.expect(`431[7]`)
		c.send(`422["add",{"x":-1}]`)
		c.expect(`432[{"error":"negative"}]`)
		c.send(`453-3["bytes"`) // not complete, so not JSON
		c.expectClose()
		if err := wait(t, failed); !errors.Is(err, sio.ErrPayload) {
			t.Errorf("OnError got %v", err)
		}

		c = srv.connect(t)
		c.send(`451-3["bytes",{"_placeholder":true,"num":0}]`)
		c.sendBinary([]byte("ab"))
		c.expect(`461-3[{"_placeholder":true,"num":0}]`, "abab")
		c.send(`424["add","text"]`)
		if got := c.next(); !strings.HasPrefix(got, `434[{"error":"`) {
			t.Errorf("got %q", got)
		}
		var wrong *json.UnmarshalTypeError
		if err := wait(t, failed); !errors.As(err, &wrong) {
			t.Errorf("OnError got %v", err)
		}
		c.send(`42["move"]`)
		if err := wait(t, failed); !errors.Is(err, socketio.ErrNoArgument) {
			t.Errorf("OnError got %v", err)
		}
		c.send(`425["odd","x"]`)
		if err := wait(t, failed); err == nil {
			t.Error("what can't be encoded is acknowledged")
		}
		if got := srv.Stats().EventsRefused; got != 2 {
			t.Errorf("EventsRefused = %d", got)
		}
	})
}

func TestEmitErrors(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		sockets := make(chan *socketio.Socket, 1)
		srv := serve(t, opts, func(io *socketio.Server) {
			pong(io)
			io.OnConnection(func(s *socketio.Socket) { sockets <- s })
		})
		c := srv.connect(t)
		s := wait(t, sockets)
		eleven := make([]any, 11)
		for i := range eleven {
			eleven[i] = []byte{byte(i)}
		}
		if err := s.Emit("disconnect"); !errors.Is(err, socketio.ErrReserved) {
			t.Errorf("a reserved name: %v", err)
		}
		if err := s.Emit("many", eleven...); !errors.Is(err, socketio.ErrAttachments) {
			t.Errorf("11 attachments: %v", err)
		}
		if err := srv.Emit("many", eleven...); !errors.Is(err, socketio.ErrAttachments) {
			t.Errorf("11 attachments to all: %v", err)
		}
		if err := s.Emit("odd", func() {}); err == nil {
			t.Error("a function is sent")
		}
		if err := s.Emit("ten", eleven[:10]...); err != nil {
			t.Error(err)
		}
		if got := c.next(); !strings.HasPrefix(got, `4510-["ten",`) {
			t.Errorf("got %q", got)
		}
		for i := range 10 {
			c.expect(string([]byte{byte(i)}))
		}
		c.alive()
		c.send("41")
		eventually(t, func() bool { return !s.Connected() })
		if err := s.Emit("late"); !errors.Is(err, socketio.ErrDisconnected) {
			t.Errorf("after the end: %v", err)
		}
		s.Disconnect(true)
		s.Join("room")
		if len(s.Rooms()) > 1 {
			t.Errorf("joined %v after the end", s.Rooms())
		}
	})
}

// The caller may change what it has emitted.
func TestEmittedArgumentsAreCopied(t *testing.T) {
	sockets := make(chan *socketio.Socket, 1)
	srv := serve(t, socketio.Options{}, func(io *socketio.Server) {
		io.OnConnection(func(s *socketio.Socket) { sockets <- s })
	})
	c := srv.connect(t)
	s := wait(t, sockets)
	data := []byte("....")
	for i := range 100 {
		data[0] = byte('a' + i%26)
		if err := s.Emit("e", data); err != nil {
			t.Fatal(err)
		}
		if err := srv.Emit("all", data); err != nil {
			t.Fatal(err)
		}
		data[0] = '!'
	}
	for i := range 100 {
		want := string(rune('a'+i%26)) + "..."
		c.expect(`451-["e",{"_placeholder":true,"num":0}]`, want, `451-["all",{"_placeholder":true,"num":0}]`, want)
	}
}

func TestEmitOddValues(t *testing.T) {
	srv := serve(t, socketio.Options{}, func(io *socketio.Server) {
		io.OnConnection(func(s *socketio.Socket) {
			_ = s.Emit("v", nil, 0.0, "€😀\u2028", "<>&", map[string]any{}, []int(nil), json.RawMessage(`{"z":1, "a":2}`))
		})
	})
	c := srv.connect(t)
	if got := c.next(); !strings.HasPrefix(got, `42["v",null,0,"€😀`+"\u2028"+`","<>&",{},null,{`) {
		t.Errorf("got %q", got)
	}
}
