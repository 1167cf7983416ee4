package socketio_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine/socketio"
)

// claim is what a client of a recovering server keeps.
type claim struct {
	SID    string `json:"sid"`
	PID    string `json:"pid"`
	offset string
}

// come connects as a new client.
func come(t *testing.T, c *client) claim {
	t.Helper()
	c.send("40")
	return came(t, c)
}

// came reads the answer to a new client's CONNECT packet.
func came(t *testing.T, c *client) (k claim) {
	t.Helper()
	got := c.next()
	if err := json.Unmarshal([]byte(strings.TrimPrefix(got, "40")), &k); err != nil || len(k.PID) < 20 || len(k.SID) != 20 || k.PID == k.SID {
		t.Fatalf("CONNECT was answered with %q", got)
	}
	return k
}

// stored reads an event that has an offset behind args, and keeps that.
func (k *claim) stored(t *testing.T, c *client, args string) {
	t.Helper()
	got := c.next()
	rest, ok := strings.CutPrefix(got, "42["+args+`,"`)
	offset, ok2 := strings.CutSuffix(rest, `"]`)
	if !ok || !ok2 || offset == "" || strings.Contains(offset, `"`) {
		t.Fatalf("got %q, want an offset behind %s", got, args)
	}
	k.offset = offset
}

// again is the CONNECT packet of a client that returns.
func (k *claim) again() string { return fmt.Sprintf(`40{"pid":%q,"offset":%q}`, k.PID, k.offset) }

// welcome is its answer.
func (k *claim) welcome() string { return fmt.Sprintf(`40{"sid":%q,"pid":%q}`, k.SID, k.PID) }

// vanish breaks a connection, and waits until the server knows.
func vanish(t *testing.T, srv *server, c *client) {
	t.Helper()
	c.conn.Close()
	eventually(t, func() bool { return srv.Sockets() == 0 })
}

func TestRecovery(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		opts.Recovery = &socketio.RecoveryOptions{}
		var asked atomic.Int32
		sockets := make(chan *socketio.Socket, 1)
		srv := serve(t, opts, func(io *socketio.Server) {
			io.Use(func(*socketio.Socket) error { asked.Add(1); return nil })
			io.OnConnection(func(s *socketio.Socket) { sockets <- s })
		})
		c := srv.dial(t)
		k := come(t, c)
		s := wait(t, sockets)
		if s.Recovered() {
			t.Error("a new socket is recovered")
		}
		s.Join("r")
		s.SetData("kept")
		_ = srv.Emit("one", 1)
		k.stored(t, c, `"one",1`)
		_ = s.Emit("direct")
		k.stored(t, c, `"direct"`)
		_ = srv.Volatile().Emit("vol")
		c.expect(`42["vol"]`)
		_ = s.Emit("bin", []byte("b"))
		got := c.next()
		if !strings.HasPrefix(got, `451-["bin",{"_placeholder":true,"num":0},"`) {
			t.Errorf("got %q", got)
		}
		c.expect("b")

		vanish(t, srv, c)
		_ = srv.To("r").Emit("missed", "room")
		_ = srv.To(k.SID).Emit("missed", "direct")
		_ = srv.To("other").Emit("not for it")
		_ = srv.Except("r").Emit("not for it")
		_ = srv.Volatile().Emit("not for it")
		_ = srv.Emit("missed", []byte("x"))

		c = srv.dial(t)
		c.send(k.again())
		// What the client did not have yet is sent again: its offset says so.
		if got := c.next(); !strings.HasPrefix(got, `451-["bin",`) {
			t.Errorf("got %q", got)
		}
		c.expect("b")
		k.stored(t, c, `"missed","room"`)
		k.stored(t, c, `"missed","direct"`)
		if got := c.next(); !strings.HasPrefix(got, `451-["missed",`) {
			t.Errorf("got %q", got)
		}
		c.expect("x", k.welcome())
		s = wait(t, sockets)
		if !s.Recovered() || s.ID() != k.SID || s.Data() != "kept" || !slices.Equal(s.Rooms(), []string{k.SID, "r"}) {
			t.Errorf("recovered %v, %v, %v", s.Recovered(), s.Data(), s.Rooms())
		}
		if asked.Load() != 1 {
			t.Errorf("the middleware was asked %d times", asked.Load())
		}
		_ = srv.To("r").Emit("live")
		k.stored(t, c, `"live"`)

		// A claim is good for once, and needs its parts to be right.
		vanish(t, srv, c)
		for name, packet := range map[string]string{
			"unknown offset": fmt.Sprintf(`40{"pid":%q,"offset":"bogus"}`, k.PID),
			"unknown pid":    fmt.Sprintf(`40{"pid":"bogus","offset":%q}`, k.offset),
			"a number":       fmt.Sprintf(`40{"pid":1,"offset":%q}`, k.offset),
			"nothing":        `40{}`,
		} {
			c = srv.dial(t)
			c.send(packet)
			if got := c.next(); got == k.welcome() || !strings.HasPrefix(got, `40{"sid":"`) {
				t.Errorf("%s: got %q", name, got)
			}
			if s := wait(t, sockets); s.Recovered() || s.Data() != nil || len(s.Rooms()) != 1 {
				t.Errorf("%s: recovered", name)
			}
			vanish(t, srv, c)
		}
	})
}

func TestNotRecoverable(t *testing.T) {
	for name, end := range map[string]func(c *client, s *socketio.Socket){
		"the client's DISCONNECT": func(c *client, _ *socketio.Socket) { c.send("41") },
		"the server's DISCONNECT": func(c *client, s *socketio.Socket) {
			s.Disconnect(false)
			c.expect("41")
		},
	} {
		t.Run(name, func(t *testing.T) {
			sockets := make(chan *socketio.Socket, 1)
			srv := serve(t, socketio.Options{Recovery: &socketio.RecoveryOptions{}}, announce(sockets))
			c := srv.dial(t)
			k := come(t, c)
			s := wait(t, sockets)
			_ = s.Emit("one")
			k.stored(t, c, `"one"`)
			end(c, s)
			c.send(k.again())
			if got := c.next(); got == k.welcome() || !strings.HasPrefix(got, `40{"sid":"`) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestRecoveryMayRunMiddleware(t *testing.T) {
	refuse := atomic.Bool{}
	sockets := make(chan *socketio.Socket, 1)
	opts := socketio.Options{Recovery: &socketio.RecoveryOptions{RunMiddlewares: true}}
	srv := serve(t, opts, func(io *socketio.Server) {
		io.Use(func(s *socketio.Socket) error {
			if refuse.Load() && s.Recovered() {
				return errors.New("no more")
			}
			return nil
		})
		io.OnConnection(func(s *socketio.Socket) { sockets <- s })
	})
	c := srv.dial(t)
	k := come(t, c)
	_ = wait(t, sockets).Emit("one")
	k.stored(t, c, `"one"`)
	vanish(t, srv, c)
	c = srv.dial(t)
	c.send(k.again())
	c.expect(k.welcome())
	vanish(t, srv, c)
	refuse.Store(true)
	c = srv.dial(t)
	c.send(k.again())
	c.expect(`44{"message":"no more"}`)
}

// Who was away for longer than everything is kept returns as a new socket, which
// the middleware sees.
func TestRecoveryIsBounded(t *testing.T) {
	for name, limit := range map[string]socketio.RecoveryOptions{
		"packets": {MaxPackets: 2},
		"bytes":   {MaxBytes: 100},
		"time":    {MaxDisconnection: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			sockets := make(chan *socketio.Socket, 1)
			srv := serve(t, socketio.Options{Recovery: &limit}, func(io *socketio.Server) {
				io.Use(func(*socketio.Socket) error { asked.Add(1); return nil })
				io.OnConnection(func(s *socketio.Socket) { sockets <- s })
			})
			c := srv.dial(t)
			k := come(t, c)
			_ = wait(t, sockets).Emit("one")
			k.stored(t, c, `"one"`)
			vanish(t, srv, c)
			for range 3 {
				_ = srv.Emit("more", strings.Repeat("x", 60))
			}
			if name == "time" {
				<-time.After(20 * time.Millisecond)
			}
			c = srv.dial(t)
			c.send(k.again())
			if got := c.next(); got == k.welcome() || !strings.HasPrefix(got, `40{"sid":"`) {
				t.Errorf("got %q", got)
			}
			if s := wait(t, sockets); s.Recovered() || asked.Load() != 2 {
				t.Errorf("recovered %v, the middleware was asked %d times", s.Recovered(), asked.Load())
			}
		})
	}
}

// What is too old is forgotten where nothing happens any more, too.
func TestRecoveryForgetsByItself(t *testing.T) {
	sockets := make(chan *socketio.Socket, 1)
	opts := socketio.Options{Recovery: &socketio.RecoveryOptions{MaxDisconnection: 20 * time.Millisecond}}
	srv := serve(t, opts, announce(sockets))
	c := srv.dial(t)
	k := come(t, c)
	_ = wait(t, sockets).Emit("one")
	k.stored(t, c, `"one"`)
	vanish(t, srv, c)
	eventually(t, func() bool { return srv.Kept("/") == 0 })
}

// While others emit, a client that leaves and returns misses nothing, gets
// nothing twice, and everything in order.
func TestRecoveryLosesNothing(t *testing.T) {
	const n = 2000
	sockets := make(chan *socketio.Socket, 1)
	srv := serve(t, socketio.Options{Recovery: &socketio.RecoveryOptions{}}, announce(sockets))
	c := srv.dial(t)
	k := come(t, c)
	wait(t, sockets)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range n {
			_ = srv.Emit("n", i)
		}
	}()
	next := 0
	take := func() {
		k.stored(t, c, fmt.Sprintf(`"n",%d`, next))
		next++
	}
	for next < n {
		for range min(100, n-next) {
			take()
		}
		if next >= n {
			break
		}
		c.conn.Close()
		eventually(t, func() bool { return srv.Sockets() == 0 })
		c = srv.dial(t)
		c.send(k.again())
		for {
			// The answer stands between what was missed and what comes live.
			got := c.next()
			if got == k.welcome() {
				break
			}
			rest, ok := strings.CutPrefix(got, fmt.Sprintf(`42["n",%d,"`, next))
			if !ok {
				t.Fatalf("got %q, want %d", got, next)
			}
			k.offset = strings.TrimSuffix(rest, `"]`)
			next++
		}
		wait(t, sockets)
	}
	wait(t, done)
}
