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
// loop wait for it.
type backlog struct {
	bytes   atomic.Int64
	waiters atomic.Int32
	mu      sync.Mutex
	room    *sync.Cond
}

func newBacklog() *backlog {
	b := &backlog{}
	b.room = sync.NewCond(&b.mu)
	return b
}

// enter counts size bytes, and waits while there are too many. A caller on a
// loop gets ErrOverloaded instead, and nothing is counted.
func (b *backlog) enter(size int, srv *Server) error {
	n := int64(size + postCost)
	if b.bytes.Add(n) <= maxBacklog {
		return nil
	}
	if srv.onLoop() {
		b.take(n)
		srv.overloaded.Add(1)
		return ErrOverloaded
	}
	b.waiters.Add(1)
	defer b.waiters.Add(-1)
	b.mu.Lock()
	defer b.mu.Unlock()
	// Its own bytes are among those counted: one that is larger than the limit
	// gets through when nothing else waits.
	for b.bytes.Load() > max(maxBacklog, n) {
		b.room.Wait()
	}
	return nil
}

// force counts size bytes whatever the limit.
func (b *backlog) force(size int) { b.bytes.Add(int64(size + postCost)) }

// leave ends what enter began.
func (b *backlog) leave(size int) { b.take(int64(size + postCost)) }

func (b *backlog) take(n int64) {
	b.bytes.Add(-n)
	if b.waiters.Load() > 0 {
		b.mu.Lock()
		b.room.Broadcast()
		b.mu.Unlock()
	}
}
