package socketio

import (
	"sync"
	"sync/atomic"
)

const (
	// maxBacklog is how many bytes may be posted to a loop and not yet handled.
	maxBacklog = 64 << 20
	// postCost is what a posted function counts beside its packet, in bytes.
	postCost = 256
)

// backlog bounds what is posted to one loop: emitters that are faster than the
// loop wait for it. What waits for the cluster's log first is counted as well,
// and is held until then.
type backlog struct {
	bytes   atomic.Int64
	held    atomic.Int64 // of bytes: not posted yet
	waiters atomic.Int32
	mu      sync.Mutex
	room    *sync.Cond
}

func newBacklog() *backlog {
	b := &backlog{}
	b.room = sync.NewCond(&b.mu)
	return b
}

// enter counts size bytes, and waits while there are too many. What waits is not
// counted: those who wait would keep each other waiting. A caller on a loop gets
// ErrOverloaded instead, and nothing is counted.
func (b *backlog) enter(size int, srv *Server) error { return b.admit(size, srv, false) }

// enterPast is enter that waits for the loop only, not for what is held: whoever
// hands over what the log tells must not wait for the log.
func (b *backlog) enterPast(size int, srv *Server) error { return b.admit(size, srv, true) }

func (b *backlog) admit(size int, srv *Server, past bool) error {
	n := int64(size + postCost)
	if b.try(n, past) {
		return nil
	}
	if srv.onLoop() {
		srv.overloaded.Add(1)
		return ErrOverloaded
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiters.Add(1) // before it tries: who leaves later wakes it
	defer b.waiters.Add(-1)
	for !b.try(n, past) {
		b.room.Wait()
	}
	return nil
}

// try counts n bytes if there is room, or if nothing else is counted: what is
// larger than the limit gets through alone. past leaves out what is held.
func (b *backlog) try(n int64, past bool) bool {
	for {
		before := b.bytes.Load()
		ahead := before
		if past {
			ahead -= b.held.Load()
		}
		if ahead > 0 && ahead+n > maxBacklog {
			return false
		}
		if b.bytes.CompareAndSwap(before, before+n) {
			return true
		}
	}
}

// force counts size bytes whatever the limit.
func (b *backlog) force(size int) { b.bytes.Add(int64(size + postCost)) }

// hold says that what enter or force has counted waits for the log; unhold that
// it does not any more.
func (b *backlog) hold(size int) {
	b.held.Add(int64(size + postCost))
	b.wake()
}

func (b *backlog) unhold(size int) { b.held.Add(-int64(size + postCost)) }

// leave ends what enter or force began.
func (b *backlog) leave(size int) {
	b.bytes.Add(-int64(size + postCost))
	b.wake()
}

// wake has those look who wait for room.
func (b *backlog) wake() {
	if b.waiters.Load() > 0 {
		b.mu.Lock()
		b.room.Broadcast()
		b.mu.Unlock()
	}
}
