package socketio_test

import (
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine/socketio"
)

// heap is the live heap in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// What a socket costs beside its connection.
func TestIdleSocketIsSmall(t *testing.T) {
	const (
		n      = 1000
		budget = 600 // bytes
	)
	srv := serve(t, socketio.Options{}, pong)
	srv.connect(t)
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = srv.dial(t)
	}
	before := heap()
	for _, c := range clients {
		c.join("40")
	}
	if got := (heap() - before) / n; got > budget {
		t.Errorf("a socket takes %d bytes", got)
	} else {
		t.Logf("a socket takes %d bytes", got)
	}
	runtime.KeepAlive(clients)
}

// Nothing is kept of clients that did in time what they had to.
func TestNoDeadlinesAreLeft(t *testing.T) {
	srv := serve(t, socketio.Options{}, pong)
	for range 20 {
		c := srv.connect(t)
		for range 20 {
			c.send(`451-7["ping",{"_placeholder":true,"num":0}]`)
			c.sendBinary([]byte("x"))
			c.expect(`437["pong"]`)
		}
		srv.dial(t).conn.Close() // without CONNECT
		half := srv.connect(t)
		half.send(`451-["ping"]`)
		half.conn.Close()
	}
	eventually(t, func() bool { return srv.Waiting() == 0 })
}

// Whoever lets his time pass keeps nothing of those who do in time what they had to.
func TestDeadlinesThatAreMetTakeNoRoom(t *testing.T) {
	const late = 6 // on both loops
	srv := serve(t, socketio.Options{}, pong)
	for range late {
		srv.connect(t).send(`451-["ping"]`)
	}
	eventually(t, func() bool { return srv.Waiting() == late })
	c := srv.connect(t)
	for range 50 {
		c.send(`451-7["ping",{"_placeholder":true,"num":0}]`)
		c.sendBinary([]byte("x"))
		c.expect(`437["pong"]`)
	}
	if got := srv.Waiting(); got != late {
		t.Errorf("%d deadlines for %d clients", got, late)
	}
}

// How much an event that is sent back allocates.
func TestEchoAllocations(t *testing.T) {
	for _, x := range []struct {
		name   string
		inline bool
		budget int
	}{{"inline", true, 6}, {"default", false, 13}} {
		t.Run(x.name, func(t *testing.T) {
			const n = 2000
			srv := serve(t, socketio.Options{Inline: x.inline}, func(io *socketio.Server) {
				io.On("m", func(e *socketio.Event) { _ = e.Socket().Emit("m", e.Args()...) })
			})
			c := srv.connect(t)
			event := `42["m","0123456789"]`
			frame := textFrame(event)
			answer := make([]byte, 2+len(event))
			_ = c.conn.SetReadDeadline(time.Now().Add(4 * patience)) // of all rounds
			round := func() {
				if _, err := c.conn.Write(frame); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(c.r, answer); err != nil {
					t.Fatal(err)
				}
			}
			for range 100 {
				round()
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range n {
				round()
			}
			runtime.ReadMemStats(&after)
			got := float64(after.Mallocs-before.Mallocs) / n
			t.Logf("%.1f allocations, %d bytes", got, (after.TotalAlloc-before.TotalAlloc)/n)
			if got > float64(x.budget)+0.5 { // the runtime allocates a little meanwhile
				t.Errorf("%.1f allocations an event", got)
			}
		})
	}
}
