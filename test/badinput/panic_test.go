package badinput

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/test/rawws"
)

// panicking is a route that panics in one of its callbacks.
func panicking(where string, calls *atomic.Int64) engine.Behavior {
	in := func(name string) {
		if name == where {
			calls.Add(1)
			panic("a bug in the callback " + name)
		}
	}
	return engine.Behavior{
		Compression: engine.CompressionShared,
		Upgrade:     func(*engine.Handshake) { in("Upgrade") },
		Open: func(ws *engine.Conn) {
			in("Open")
			ws.Subscribe("topic")
		},
		Message: func(ws *engine.Conn, msg []byte, op engine.OpCode) {
			in("Message")
			ws.Send(msg, op)
		},
		Ping:         func(*engine.Conn, []byte) { in("Ping") },
		Pong:         func(*engine.Conn, []byte) { in("Pong") },
		Subscription: func(*engine.Conn, string, int, int) { in("Subscription") },
		Close:        func(*engine.Conn, engine.StatusCode, string) { in("Close") },
	}
}

// provoke makes each callback run.
var provoke = map[string]rawws.Frame{
	"Open":         {Fin: true, Op: rawws.Ping},
	"Message":      {Fin: true, Op: rawws.Text, Payload: []byte("hello")},
	"Ping":         {Fin: true, Op: rawws.Ping, Payload: []byte("ping")},
	"Pong":         {Fin: true, Op: rawws.Pong, Payload: []byte("pong")},
	"Subscription": {Fin: true, Op: rawws.Ping},
}

// timesEach is how often each connection calls it: a subscription ends too.
var timesEach = map[string]int{"Open": 1, "Message": 1, "Ping": 1, "Pong": 1, "Subscription": 2}

// TestPanickingHandlers: 1011, and that connection only.
func TestPanickingHandlers(t *testing.T) {
	for where, f := range provoke {
		t.Run(where, func(t *testing.T) {
			var calls atomic.Int64
			tg := start(t, engine.Options{}, func(app *engine.App) { app.WS("/panic", panicking(where, &calls)) })
			n := size(20, 1000)
			tg.attack(func() {
				for range n {
					c := tg.open("/panic")
					c.Send(f.Bytes())
					if err := closedWith(c, 1011); err != nil {
						t.Fatal(err)
					}
					c.Close()
				}
			})
			want := n * timesEach[where]
			if !eventually(func() bool { return calls.Load() == int64(want) }) {
				t.Errorf("%d panics, want %d", calls.Load(), want)
			}
			if panics := tg.total(func(l engine.LoopStats) uint64 { return l.Panics }); panics != uint64(want) {
				t.Errorf("Stats counts %d panics, want %d", panics, want)
			}
		})
	}
}

// TestPanickingMessageInARow: what was answered before the panic arrives.
func TestPanickingMessageInARow(t *testing.T) {
	tg := start(t, engine.Options{}, func(app *engine.App) {
		app.WS("/third", engine.Behavior{
			Open: func(ws *engine.Conn) { ws.SetUserData(0) },
			Message: func(ws *engine.Conn, msg []byte, op engine.OpCode) {
				n := ws.UserData().(int) + 1
				ws.SetUserData(n)
				if n == 3 {
					panic("third")
				}
				ws.Send(msg, op)
			},
		})
	})
	tg.attack(func() {
		c, err := rawws.Open(tg.addr, "/third", "")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var all []byte
		for i := range 5 {
			all = append(all, rawws.Frame{Fin: true, Op: rawws.Text, Payload: fmt.Append(nil, i)}.Bytes()...)
		}
		c.Send(all)
		for i := range 2 {
			if err := expect(c, rawws.TextMessage, fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := closedWith(c, 1011); err != nil {
			t.Error(err)
		}
	})
}

func TestPanickingUpgrade(t *testing.T) {
	var calls atomic.Int64
	tg := start(t, engine.Options{}, func(app *engine.App) { app.WS("/panic", panicking("Upgrade", &calls)) })
	tg.attack(func() {
		for range size(20, 1000) {
			tg.ask(asked{"panic in Upgrade", rawws.Request(tg.addr, "/panic"), []int{500}})
		}
	})
}

// TestPanickingClose: the connection has ended already, and nothing else does.
func TestPanickingClose(t *testing.T) {
	var calls atomic.Int64
	tg := start(t, engine.Options{}, func(app *engine.App) { app.WS("/panic", panicking("Close", &calls)) })
	n := size(20, 1000)
	tg.attack(func() {
		for i := range n {
			c := tg.open("/panic")
			switch i % 3 {
			case 0:
				c.Send(closing("\x03\xe8"))
				if err := closedWith(c, 1000); err != nil {
					t.Error(err)
				}
				c.Close()
			case 1:
				c.Close()
			default:
				c.Reset()
			}
		}
	})
	if !eventually(func() bool { return calls.Load() == int64(n) }) {
		t.Errorf("%d panics, want %d", calls.Load(), n)
	}
}
