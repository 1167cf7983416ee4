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

	queue []deadline // in the order of their time
	first uint64     // place of queue[0], less 1
	armed bool
}

// deadline is a client's.
type deadline struct {
	at     time.Time
	client *client // nil when it is done
}

// add gives a client its time, and sets place, which is not 0 until done or
// late.
func (w *waiting) add(c *client, place *uint64) {
	if *place != 0 {
		return
	}
	w.queue = append(w.queue, deadline{time.Now().Add(w.patience), c})
	*place = w.first + uint64(len(w.queue))
	w.arm()
}

// done ends a client's time, if it has one, and keeps nothing of it.
func (w *waiting) done(place *uint64) {
	if *place == 0 {
		return
	}
	if i := *place - 1 - w.first; i < uint64(len(w.queue)) {
		w.queue[i].client = nil
		w.trim()
	}
	*place = 0
}

// trim drops what is done from the head.
func (w *waiting) trim() {
	k := 0
	for k < len(w.queue) && w.queue[k].client == nil {
		k++
	}
	w.first += uint64(k)
	if w.queue = w.queue[k:]; len(w.queue) == 0 {
		w.queue = nil
	}
}

// arm has look called when the first is due.
func (w *waiting) arm() {
	if w.armed || len(w.queue) == 0 {
		return
	}
	w.armed = true
	time.AfterFunc(time.Until(w.queue[0].at), func() { w.loop.Post(w.look) })
}

// look ends the time of those who are late.
func (w *waiting) look() {
	w.armed = false
	now := time.Now()
	for len(w.queue) > 0 && !w.queue[0].at.After(now) {
		c := w.queue[0].client
		w.queue[0].client = nil
		w.trim()
		w.late(c)
	}
	w.arm()
}
