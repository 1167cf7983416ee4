package socketio

import (
	"time"

	"github.com/fe4bcecb/wsd/engine"
)

// waiting holds the clients of one loop that have something to do in time. All
// have the same time, so that the first is due first, and one timer is enough.
// It is touched on the loop.
type waiting struct {
	loop     *engine.Loop
	patience time.Duration
	late     func(*client)

	first, last *deadline // in the order of their time
	armed       bool
}

// deadline is a client's. They are linked, so that one that is met takes no room
// behind one that is not.
type deadline struct {
	at             time.Time
	client         *client
	place          **deadline // where the client has it
	previous, next *deadline
}

// add gives a client its time, and sets place, which is not nil until done or
// late.
func (w *waiting) add(c *client, place **deadline) {
	if *place != nil {
		return
	}
	d := &deadline{at: time.Now().Add(w.patience), client: c, place: place, previous: w.last}
	if w.last != nil {
		w.last.next = d
	} else {
		w.first = d
	}
	w.last, *place = d, d
	w.arm()
}

// done ends a client's time, if it has one, and keeps nothing of it.
func (w *waiting) done(place **deadline) {
	d := *place
	if d == nil {
		return
	}
	*place = nil
	if d.previous != nil {
		d.previous.next = d.next
	} else {
		w.first = d.next
	}
	if d.next != nil {
		d.next.previous = d.previous
	} else {
		w.last = d.previous
	}
}

// arm has look called when the first is due.
func (w *waiting) arm() {
	if w.armed || w.first == nil {
		return
	}
	w.armed = true
	time.AfterFunc(time.Until(w.first.at), func() { w.loop.Post(w.look) })
}

// look ends the time of those who are late.
func (w *waiting) look() {
	w.armed = false
	now := time.Now()
	for w.first != nil && !w.first.at.After(now) {
		c := w.first.client
		w.done(w.first.place)
		w.late(c)
	}
	w.arm()
}
