//go:build !race

// The race detector allocates, and its share changes.

package socketio_test

import (
	"testing"

	"github.com/fe4bcecb/wsd/engine/socketio"
)

// What is posted to another loop costs no more memory for the log that a server
// might have.
func TestPostAllocations(t *testing.T) {
	sockets := make(chan *socketio.Socket, 1)
	srv := serve(t, socketio.Options{}, announce(sockets))
	c := srv.connect(t)
	go c.discard()
	s := wait(t, sockets)
	for _, x := range []struct {
		name   string
		budget float64
		act    func()
	}{
		{"Emit to all", 6, func() { _ = srv.Emit("m", "x") }},
		{"Emit to one", 6, func() { _ = s.Emit("m", "x") }},
		{"Join and Leave", 6, func() { s.Join("r"); s.Leave("r") }},
	} {
		t.Run(x.name, func(t *testing.T) {
			if got := testing.AllocsPerRun(2000, x.act); got > x.budget {
				t.Errorf("%.1f allocations, want %.0f at most", got, x.budget)
			}
		})
	}
}

// discard reads until the connection ends.
func (c *client) discard() {
	for {
		if _, err := c.r.Discard(1); err != nil {
			return
		}
	}
}
