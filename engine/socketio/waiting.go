package socketio

import (
	"time"

	"github.com/fe4bcecb/wsd/engine"
)

// waiting holds the deadlines of one loop that seldom matter when they come:
// for a first namespace, and for attachments. It is touched on the loop.
type waiting struct {
	loop  *engine.Loop
	queue map[time.Duration][]deadline // each in the order of their time
	timer *time.Timer                  // nil while there is none
	due   time.Time                    // of the timer
}

// deadline is a function to be called at a time.
type deadline struct {
	at time.Time
	fn func()
}

// add has fn called on the loop when d has passed. There are few different d.
func (w *waiting) add(d time.Duration, fn func()) {
	if w.queue == nil {
		w.queue = map[time.Duration][]deadline{}
	}
	w.queue[d] = append(w.queue[d], deadline{time.Now().Add(d), fn})
	w.arm(d)
}

// arm has look called when d has passed, or earlier.
func (w *waiting) arm(d time.Duration) {
	due := time.Now().Add(d)
	if w.timer != nil {
		if !due.Before(w.due) {
			return
		}
		w.timer.Stop()
	}
	w.due = due
	w.timer = time.AfterFunc(d, func() { w.loop.Post(w.look) })
}

// look calls the functions whose time has come.
func (w *waiting) look() {
	w.timer = nil
	now := time.Now()
	next := time.Duration(-1)
	for d, queue := range w.queue {
		k := 0
		for k < len(queue) && !queue[k].at.After(now) {
			queue[k].fn()
			queue[k] = deadline{}
			k++
		}
		// What fn added is in the map only.
		rest := w.queue[d][k:]
		if len(rest) == 0 {
			delete(w.queue, d)
			continue
		}
		w.queue[d] = rest
		if left := rest[0].at.Sub(now); next < 0 || left < next {
			next = left
		}
	}
	if next >= 0 {
		w.arm(max(next, time.Millisecond))
	}
}
