package socketio_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

func TestConnect(t *testing.T) {
	auth := make(chan string, 10)
	srv := serve(t, socketio.Options{}, func(io *socketio.Server) {
		note := func(s *socketio.Socket) { auth <- s.Namespace().Name() + " " + s.Auth().String() }
		io.OnConnection(note)
		io.Of("admin").OnConnection(note)
	})
	for _, x := range []struct{ name, packet, prefix, auth string }{
		{"without auth", `40`, `40{"sid":"`, `/ {}`},
		{"with auth", `40{"token":"123"}`, `40{"sid":"`, `/ {"token":"123"}`},
		{"another namespace only", `40/admin,`, `40/admin,{"sid":"`, `/admin {}`},
		{"without its comma", `40/admin`, `40/admin,{"sid":"`, `/admin {}`},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := srv.dial(t)
			c.send(x.packet)
			got := c.next()
			if sid := strings.TrimSuffix(strings.TrimPrefix(got, x.prefix), `"}`); x.prefix+sid+`"}` != got || len(sid) != 20 {
				t.Errorf("the answer is %q", got)
			}
			if got := wait(t, auth); got != x.auth {
				t.Errorf("connected: %q, want %q", got, x.auth)
			}
		})
	}
}

func TestConnectRefused(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		srv := serve(t, opts, func(io *socketio.Server) {
			pong(io)
			io.Of("/data").Use(func(*socketio.Socket) error {
				return socketio.Refuse("not authorized", map[string]int{"code": 401})
			})
			io.Of("/plain").Use(func(*socketio.Socket) error { return errors.New("nope <&>") })
			io.Of("/second").Use(func(*socketio.Socket) error { return nil })
			io.Of("/second").Use(func(*socketio.Socket) error { return errors.New("two") })
			io.Of("/second").Use(func(*socketio.Socket) error { panic("not reached") })
			io.Of("/unsendable").Use(func(*socketio.Socket) error { return socketio.Refuse("odd", func() {}) })
		})
		c := srv.dial(t)
		for _, x := range []struct{ packet, answer string }{
			{`40/nope,`, `44/nope,{"message":"Invalid namespace"}`},
			{`40/data?x=1,`, `44/data?x=1,{"message":"Invalid namespace"}`},
			{`40/data,`, `44/data,{"message":"not authorized","data":{"code":401}}`},
			{`40/plain,{"a":1}`, `44/plain,{"message":"nope <&>"}`},
			{`40/second,`, `44/second,{"message":"two"}`},
			{`40/second,`, `44/second,{"message":"two"}`},
			{`40/unsendable,`, `44/unsendable,{"message":"internal error"}`},
		} {
			c.send(x.packet)
			c.expect(x.answer)
		}
		// The connection goes on.
		c.join("40")
		c.alive()
		if got := srv.Stats().Refused; got != 7 {
			t.Errorf("Refused = %d", got)
		}
		eventually(t, func() bool { return srv.Of("/data").Sockets() == 0 && srv.Sockets() == 1 })
	})
}

func TestMiddlewareEmitsFirst(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		srv := serve(t, opts, func(io *socketio.Server) {
			io.Use(func(s *socketio.Socket) error {
				if s.Connected() {
					return errors.New("connected too early")
				}
				return s.Emit("early")
			})
			io.OnConnection(func(s *socketio.Socket) { _ = s.Emit("late", s.Connected()) })
		})
		c := srv.dial(t)
		c.send("40")
		c.expect(`42["early"]`)
		c.joined()
		c.expect(`42["late",true]`)
	})
}

func TestMiddlewareMayBlock(t *testing.T) {
	release := make(chan struct{})
	srv := serve(t, socketio.Options{}, func(io *socketio.Server) {
		pong(io)
		io.Of("/slow").Use(func(*socketio.Socket) error { <-release; return nil })
	})
	c := srv.dial(t)
	c.send("40/slow,")
	c.join("40")
	c.alive() // while the middleware waits
	close(release)
	if got := c.next(); !strings.HasPrefix(got, `40/slow,{"sid":`) {
		t.Errorf("got %q", got)
	}
}

// A client that disconnects and connects again before it has an answer gets one
// answer: it did not tell that it had left.
func TestConnectAgainWhileConnecting(t *testing.T) {
	release := make(chan struct{})
	auths := make(chan string, 2)
	srv := serve(t, socketio.Options{}, func(io *socketio.Server) {
		io.Use(func(*socketio.Socket) error { <-release; return nil })
		io.OnConnection(func(s *socketio.Socket) { auths <- s.Auth().String() })
		pong(io)
	})
	c := srv.dial(t)
	c.send(`40{"n":1}`, `40{"n":2}`)
	close(release)
	c.joined()
	c.alive()
	if got := wait(t, auths); got != `{"n":2}` || srv.Sockets() != 1 {
		t.Errorf("connected with %s, %d sockets", got, srv.Sockets())
	}
}

func TestTooManyConnects(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	srv := serve(t, socketio.Options{MaxClientSockets: 3}, func(io *socketio.Server) {
		io.Use(func(*socketio.Socket) error { <-release; return nil })
	})
	c := srv.dial(t)
	c.send("40", "40", "40", "40")
	c.expectClose()
}

// Who joins and leaves again and again has no more handlers running than sockets.
func TestTooManyThatHaveLeft(t *testing.T) {
	const most = 3
	release := make(chan struct{})
	left := make(chan struct{}, 2*most)
	srv := serve(t, socketio.Options{MaxClientSockets: most}, func(io *socketio.Server) {
		io.OnDisconnect(func(*socketio.Socket, string) { <-release; left <- struct{}{} })
	})
	c, other := srv.dial(t), srv.dial(t)
	for range most {
		c.join("40")
		c.send("41")
		other.join("40")
		other.send("41")
	}
	eventually(t, func() bool { return srv.Asking() == 2*most })
	c.send("40")
	c.expectClose()
	close(release)
	for range 2 * most {
		wait(t, left)
	}
	eventually(t, func() bool { return srv.Asking() == 0 })
	srv.Waiting() // the loops have heard of it
	other.join("40")
}

func TestMiddlewareOfOneWhoLeaves(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	srv := serve(t, socketio.Options{CleanupEmptyNamespaces: true}, func(io *socketio.Server) {
		p := io.OfPattern(regexp.MustCompile(`^/room-\d+$`))
		p.Use(func(*socketio.Socket) error { close(entered); <-release; return nil })
		p.OnConnection(func(*socketio.Socket) { t.Error("who has left is connected") })
		p.OnDisconnect(func(*socketio.Socket, string) { t.Error("who never came has left") })
	})
	c := srv.dial(t)
	c.send("40/room-1,")
	wait(t, entered)
	c.conn.Close()
	eventually(t, func() bool { return srv.Engine().Sessions() == 0 })
	close(release)
	eventually(t, func() bool { return len(srv.Stats().Sockets) == 1 })
}

func TestDynamicNamespaces(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		var byPattern, byFunc *socketio.ParentNamespace
		srv := serve(t, opts, func(io *socketio.Server) {
			byPattern = io.OfPattern(regexp.MustCompile(`^/dyn-\d+$`))
			byPattern.OnConnection(func(s *socketio.Socket) { _ = s.Emit("hi", s.Namespace().Name()) })
			byPattern.On("ask", func(e *socketio.Event) { _ = e.Ack("told") })
			byFunc = io.OfFunc(func(name string, auth sio.Value) bool {
				if name == "/panic" {
					panic("in a match function")
				}
				return name == "/fn" && auth.String() == `{"let":"in"}`
			})
		})
		c := srv.dial(t)
		c.send("40/dyn-101,")
		if got := c.next(); !strings.HasPrefix(got, "40/dyn-101,{") {
			t.Fatalf("got %q", got)
		}
		c.expect(`42/dyn-101,["hi","/dyn-101"]`)
		c.send(`42/dyn-101,7["ask"]`)
		c.expect(`43/dyn-101,7["told"]`)
		c.send("40/dyn-x,")
		c.expect(`44/dyn-x,{"message":"Invalid namespace"}`)
		c.send("40/panic,")
		c.expect(`44/panic,{"message":"Invalid namespace"}`)
		c.send("40/fn,")
		c.expect(`44/fn,{"message":"Invalid namespace"}`)
		c.send(`40/fn,{"let":"in"}`)
		if got := c.next(); !strings.HasPrefix(got, "40/fn,{") {
			t.Fatalf("got %q", got)
		}
		if len(byPattern.Children()) != 1 || len(byFunc.Children()) != 1 {
			t.Errorf("%d and %d children", len(byPattern.Children()), len(byFunc.Children()))
		}
		if err := byPattern.Emit("to all", 1); err != nil {
			t.Error(err)
		}
		c.expect(`42/dyn-101,["to all",1]`)
	})
}

func TestDynamicNamespaceIsForgotten(t *testing.T) {
	srv := serve(t, socketio.Options{CleanupEmptyNamespaces: true, MaxNamespaces: 1}, func(io *socketio.Server) {
		io.OfPattern(regexp.MustCompile(`^/dyn-`))
	})
	c := srv.dial(t)
	c.send("40/dyn-1,")
	c.next()
	c.send("40/dyn-2,")
	c.expect(`44/dyn-2,{"message":"Invalid namespace"}`)
	c.send("41/dyn-1,")
	eventually(t, func() bool { _, there := srv.Stats().Sockets["/dyn-1"]; return !there })
	c.send("40/dyn-2,")
	if got := c.next(); !strings.HasPrefix(got, "40/dyn-2,{") {
		t.Errorf("got %q", got)
	}
}

func TestConnectTimeout(t *testing.T) {
	for name, before := range map[string]func(c *client){
		"silent": func(*client) {},
		"refused": func(c *client) {
			c.send("40/nope,")
			c.expect(`44/nope,{"message":"Invalid namespace"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, socketio.Options{ConnectTimeout: time.Second}, pong)
			joined := srv.connect(t)
			c := srv.dial(t)
			before(c)
			c.expectClose()
			joined.alive()
			if got := srv.Stats().ConnectTimeouts; got != 1 {
				t.Errorf("ConnectTimeouts = %d", got)
			}
		})
	}
}

func TestHandshake(t *testing.T) {
	got := make(chan *socketio.Handshake, 1)
	srv := serve(t, socketio.Options{}, func(io *socketio.Server) {
		io.OnConnection(func(s *socketio.Socket) { got <- s.Handshake() })
	})
	c := srv.dialAs(t, "EIO=4&a=1&a=2")
	c.join(`40{"k":[1]}`)
	h := wait(t, got)
	if h.Address != "127.0.0.1" || h.XDomain || h.Secure || h.Query["a"] != "2" || h.Headers["host"] != srv.addr ||
		h.URL != "/socket.io/?transport=websocket&EIO=4&a=1&a=2" || string(h.Auth) != `{"k":[1]}` || h.Issued == 0 {
		t.Errorf("Handshake = %+v", h)
	}
}

// Clients of Socket.IO 2 take "/" for granted and know their ids.
func TestRevision3(t *testing.T) {
	opts := socketio.Options{}
	opts.Engine.AllowEIO3 = true
	ids := make(chan string, 3)
	srv := serve(t, opts, func(io *socketio.Server) {
		pong(io)
		note := func(s *socketio.Socket) { ids <- s.ID() + " " + s.Session().ID() + " " + s.Auth().String() }
		io.OnConnection(note)
		io.Of("/admin").OnConnection(note)
		io.Of("/text").Use(func(*socketio.Socket) error { return errors.New("no") })
		io.Of("/data").Use(func(*socketio.Socket) error { return socketio.Refuse("no", map[string]int{"code": 1}) })
	})
	c := srv.dialAs(t, "EIO=3")
	c.expect("40")
	id, rest, _ := strings.Cut(wait(t, ids), " ")
	if sid, auth, _ := strings.Cut(rest, " "); id != sid || auth != "{}" {
		t.Errorf("id %q, session %q, auth %q", id, sid, auth)
	}
	c.alive()
	c.send("40/admin?token=a%20b&x=1,")
	c.expect("40/admin,")
	if got, want := wait(t, ids), "/admin#"+id+" "+id+` {"token":"a b","x":"1"}`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, x := range []struct{ packet, answer string }{
		{"40/text,", `44/text,"no"`},
		{"40/data,", `44/data,{"code":1}`},
		{"40/nope,", `44/nope,{"message":"Invalid namespace"}`},
	} {
		c.send(x.packet)
		c.expect(x.answer)
	}
}

func TestOptions(t *testing.T) {
	for name, opts := range map[string]socketio.Options{
		"time":     {ConnectTimeout: -1},
		"limit":    {MaxPending: -1},
		"parser":   {Parser: 9},
		"recovery": {Recovery: &socketio.RecoveryOptions{MaxBytes: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := socketio.New(opts).Mount(nil, "/"); !errors.Is(err, socketio.ErrOptions) {
				t.Errorf("Mount returned %v", err)
			}
		})
	}
}
