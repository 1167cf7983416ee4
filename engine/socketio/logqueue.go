package socketio

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// logQueue keeps the order of calls in a namespace whose events wait for a log:
// what is done to its sockets meanwhile waits behind them. Its methods are safe
// from any goroutine; a nil *logQueue holds nothing.
type logQueue struct {
	patience time.Duration // how long the first may wait for the log

	length atomic.Int32 // of waiting
	mu     sync.Mutex
	// waiting is in the order of the calls. Functions are called under mu, so they
	// must not block.
	waiting []*queued
	armed   bool
}

// queued is an event that waits for the log, or what waits behind one.
type queued struct {
	since time.Time
	run   func() // nil: the log has not answered
	late  func() // run, when it does not answer in time
}

// add queues an event for which settle is called later. late is called in its
// turn if that is not in time: what the log loses must not stop a node.
func (q *logQueue) add(late func()) *queued {
	x := &queued{since: time.Now(), late: late}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.push(x)
	return x
}

// settle has run called in x's turn, unless that is over.
func (q *logQueue) settle(x *queued, run func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if x.run == nil {
		x.run = run
		q.flush()
	}
}

// behind has run called behind what waits. It returns false, and does nothing,
// when nothing does.
func (q *logQueue) behind(run func()) bool {
	if q == nil || q.length.Load() == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return false
	}
	q.push(&queued{since: time.Now(), run: run})
	return true
}

// waits reports whether behind would queue.
func (q *logQueue) waits() bool { return q != nil && q.length.Load() > 0 }

// drain returns when what waits now has had its turn, or ctx has ended.
func (q *logQueue) drain(ctx context.Context) {
	done := make(chan struct{})
	if !q.behind(func() { close(done) }) {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// push appends to what waits. mu is held.
func (q *logQueue) push(x *queued) {
	q.waiting = append(q.waiting, x)
	q.length.Store(int32(len(q.waiting)))
	q.arm()
}

// flush calls what has its turn. mu is held.
func (q *logQueue) flush() {
	k := 0
	for k < len(q.waiting) && q.waiting[k].run != nil {
		q.waiting[k].run()
		q.waiting[k] = nil
		k++
	}
	if q.waiting = q.waiting[k:]; len(q.waiting) == 0 {
		q.waiting = nil
	}
	q.length.Store(int32(len(q.waiting)))
}

// arm has look called when the first has waited long enough. mu is held.
func (q *logQueue) arm() {
	if !q.armed && len(q.waiting) > 0 {
		q.armed = true
		time.AfterFunc(time.Until(q.waiting[0].since.Add(q.patience)), q.look)
	}
}

// look gives up on the log's answer to those who have waited long enough.
func (q *logQueue) look() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.armed = false
	old := time.Now().Add(-q.patience)
	for len(q.waiting) > 0 && !q.waiting[0].since.After(old) {
		q.waiting[0].run = q.waiting[0].late
		q.flush()
	}
	q.arm()
}
