package socketio_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine/socketio"
)

// What the protocol does not allow closes the whole connection.
func TestViolations(t *testing.T) {
	for _, x := range []struct {
		name    string
		packets []string // "\x00" begins a binary one; each CONNECT is answered
		err     bool     // OnError hears of it
	}{
		{"event before CONNECT", []string{`42["x"]`}, false},
		{"DISCONNECT before CONNECT", []string{`41`}, false},
		{"ack before CONNECT", []string{`431[]`}, false},
		{"attachments before CONNECT", []string{`451-["x"]`}, false},
		{"second CONNECT", []string{`40`, `40`}, false},
		{"CONNECT_ERROR", []string{`40`, `44{"message":"x"}`}, false},
		{"event to another namespace", []string{`40`, `42/admin,["x"]`}, false},
		{"event behind DISCONNECT", []string{`40`, `41`, `42["late"]`}, false},
		{"invalid JSON", []string{`40`, `42[1`}, true},
		{"unknown type", []string{`40`, `49`}, true},
		{"empty packet", []string{`40`, `4`}, true},
		{"reserved name", []string{`40`, `42["disconnecting"]`}, true},
		{"text instead of an attachment", []string{`40`, `451-["x",{"_placeholder":true,"num":0}]`, `42["y"]`}, true},
		{"unexpected binary", []string{`40`, "\x00\x01"}, true},
		{"11 attachments", []string{`40`, `4511-["x"]`}, true},
		{"a million attachments", []string{`40`, `45999999999-["x"]`}, true},
		{"0 attachments", []string{`40`, `450-["x"]`}, true},
		{"placeholder out of range", []string{`40`, `451-["x",{"_placeholder":true,"num":3}]`, "\x00\x01"}, true},
		{"deep JSON", []string{`40`, `42["x",` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `]`}, true},
		{"array as auth", []string{`40[]`}, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			eachMode(t, func(t *testing.T, opts socketio.Options) {
				j := newJournal()
				srv := serve(t, opts, func(io *socketio.Server) {
					io.Of("/admin")
					io.OnError(func(_ *socketio.Socket, err error) {
						if err == nil {
							t.Error("no error")
						}
						j.add("error")
					})
					io.OnDisconnect(func(_ *socketio.Socket, reason string) { j.add(reason) })
				})
				c := srv.dial(t)
				connected := false
				for _, p := range x.packets {
					switch {
					case p[0] == 0:
						c.sendBinary([]byte(p[1:]))
					case p == "40" && !connected:
						c.join(p)
						connected = true
					default:
						c.send(p)
					}
				}
				c.expectClose()
				var want []string
				if x.err {
					want = append(want, "error")
				}
				switch {
				case x.name == "event behind DISCONNECT":
					want = append(want, clientDisconnect)
				case connected:
					want = append(want, "forced close")
				}
				j.expect(t, want...)
				eventually(t, func() bool { return srv.Sockets() == 0 && srv.Engine().Sessions() == 0 })
				if got := srv.Stats().Violations; got != 1 {
					t.Errorf("Violations = %d", got)
				}
			})
		})
	}
}

const (
	clientDisconnect = "client namespace disconnect"
	serverDisconnect = "server namespace disconnect"
)

// What looks odd and is allowed.
func TestNoViolations(t *testing.T) {
	j := newJournal()
	srv := serve(t, socketio.Options{}, func(io *socketio.Server) {
		pong(io)
		io.OnAny(func(e *socketio.Event) {
			if e.Name() != "ping" {
				j.add(e.Name() + "|" + e.String(0))
			}
		})
		io.On("1", func(*socketio.Event) { j.add("handled 1") })
		io.On("__proto__", func(*socketio.Event) { j.add("handled __proto__") })
	})
	c := srv.connect(t)
	c.send(`42["connection"]`, `42["error","x"]`, `42[1,"x"]`, `42`, `42["__proto__",{"__proto__":1}]`,
		`43[]`, `4399["unknown"]`)
	c.alive()
	j.expect(t, "connection|", "error|x", "1|x", "handled 1", "|", `__proto__|{"__proto__":1}`, "handled __proto__")
}

func TestDisconnectByClient(t *testing.T) {
	j := newJournal()
	srv := serve(t, socketio.Options{}, func(io *socketio.Server) {
		pong(io)
		io.Of("/admin").OnDisconnect(func(_ *socketio.Socket, reason string) { j.add(reason) })
	})
	c := srv.connect(t)
	c.send("40/admin,")
	c.next()
	c.send("41/admin,")
	c.alive()
	j.expect(t, clientDisconnect)
	c.send("40/admin,")
	if got := c.next(); !strings.HasPrefix(got, "40/admin,{") {
		t.Errorf("got %q", got)
	}
}

func TestDisconnectByServer(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		root, admin := newJournal(), newJournal()
		srv := serve(t, opts, func(io *socketio.Server) {
			io.OnDisconnect(func(_ *socketio.Socket, reason string) { root.add(reason) })
			io.Of("/admin").OnDisconnect(func(_ *socketio.Socket, reason string) { admin.add(reason) })
			io.On("leave", func(e *socketio.Event) { e.Socket().Disconnect(false) })
			io.On("bye", func(e *socketio.Event) { e.Socket().Disconnect(true) })
		})
		c := srv.connect(t)
		c.send("40/admin,")
		c.next()
		c.send(`42["leave"]`)
		c.expect("41")
		root.expect(t, serverDisconnect)
		c.join("40")
		c.send(`42["bye"]`)
		// A packet for each namespace, in the order of joining.
		c.expect("41/admin,", "41")
		c.expectClose()
		root.expect(t, serverDisconnect, serverDisconnect)
		admin.expect(t, serverDisconnect)
	})
}

func TestServerCloses(t *testing.T) {
	j := newJournal()
	srv := serve(t, socketio.Options{}, func(io *socketio.Server) {
		io.OnDisconnect(func(_ *socketio.Socket, reason string) { j.add(reason) })
	})
	c := srv.connect(t)
	if err := srv.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Its handlers have returned.
	j.expect(t, "server shutting down")
	c.expectClose()
}

func TestCloseOnLoop(t *testing.T) {
	got := make(chan error, 1)
	srv := serve(t, socketio.Options{Inline: true}, func(io *socketio.Server) {
		io.On("close", func(*socketio.Event) { got <- io.Close(t.Context()) })
	})
	srv.connect(t).send(`42["close"]`)
	if err := wait(t, got); err != socketio.ErrOnLoop {
		t.Errorf("Close returned %v", err)
	}
}

func TestTransportEnds(t *testing.T) {
	for name, x := range map[string]struct {
		end  func(c *client)
		want string
	}{
		"lost":                 {func(c *client) { c.conn.Close() }, "transport close"},
		"closed":               {func(c *client) { _, _ = c.conn.Write([]byte{0x88, 0x80, 0, 0, 0, 0}) }, "transport close"},
		"bad Engine.IO packet": {func(c *client) { c.send("9") }, "parse error"},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJournal()
			srv := serve(t, socketio.Options{}, func(io *socketio.Server) {
				io.OnDisconnect(func(_ *socketio.Socket, reason string) { j.add(reason) })
			})
			c := srv.connect(t)
			x.end(c)
			j.expect(t, x.want)
		})
	}
}

func TestPingTimeout(t *testing.T) {
	opts := socketio.Options{}
	opts.Engine.PingInterval, opts.Engine.PingTimeout = time.Second, 20*time.Millisecond // behind CONNECT
	j := newJournal()
	srv := serve(t, opts, func(io *socketio.Server) {
		io.OnDisconnect(func(_ *socketio.Socket, reason string) { j.add(reason) })
	})
	srv.connect(t)
	j.expect(t, "ping timeout")
}
