package engine

const (
	// arenaSize is the first piece of memory that a queue copies frames into.
	arenaSize = 4 << 10
	// keepArena and keepItems bound what an empty queue keeps for its next user.
	keepArena = 16 << 10
	keepItems = 256
	// flushAt is how much a queue collects in one turn before it tries the
	// kernel, so that a limit is only held against a kernel that refuses.
	flushAt = 64 << 10
)

// queue is the output of one connection that waits: for the end of the turn,
// or, once armed, for a slow reader. An idle connection has none.
type queue struct {
	items []item
	head  int        // first item not sent
	off   int        // bytes of it that were sent
	bytes int        // bytes that wait
	stats *LoopStats // of the loop whose queue it is
	arena []byte
	// armed is true when the kernel refused output and will tell when it takes
	// more.
	armed bool
	// listed is true while the connection is in loop.dirty.
	listed bool
}

// item is a piece of output: a whole frame, shared or in the arena.
type item struct {
	b []byte
	// keep marks what a policy may not drop: control frames, fragments, the
	// rest of a frame that was sent in part.
	keep bool
}

// copied returns a copy of the two parts in one piece, in the queue's arena.
func (q *queue) copied(a, b []byte) []byte {
	n := len(a) + len(b)
	if cap(q.arena)-len(q.arena) < n {
		// The old arena lives as long as its items wait.
		q.arena = make([]byte, 0, max(arenaSize, n))
	}
	start := len(q.arena)
	q.arena = append(append(q.arena, a...), b...)
	return q.arena[start:len(q.arena):len(q.arena)]
}

func (q *queue) push(b []byte, keep bool) {
	if q.head > 0 && q.head >= len(q.items)/2 && len(q.items) == cap(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, item{b, keep})
	q.grow(len(b))
}

// grow counts n more bytes, or fewer.
func (q *queue) grow(n int) {
	q.bytes += n
	q.stats.Buffered += n
}

// sent removes n bytes from the head.
func (q *queue) sent(n int) {
	q.grow(-n)
	n += q.off
	for q.head < len(q.items) && n >= len(q.items[q.head].b) {
		n -= len(q.items[q.head].b)
		q.items[q.head] = item{}
		q.head++
	}
	q.off = n
}

// dropOldest removes the oldest frame that may be dropped and has not begun to
// be sent. It returns the frame's bytes, 0 when there is none.
func (q *queue) dropOldest() int {
	for i := q.head; i < len(q.items); i++ {
		if q.items[i].keep || i == q.head && q.off > 0 {
			continue
		}
		n := len(q.items[i].b)
		copy(q.items[q.head+1:i+1], q.items[q.head:i])
		q.items[q.head] = item{}
		q.head++
		q.grow(-n)
		return n
	}
	return 0
}

// setArmed notes whether the kernel refuses output.
func (q *queue) setArmed(armed bool) {
	switch {
	case armed && !q.armed:
		q.stats.Slow++
	case !armed && q.armed:
		q.stats.Slow--
	}
	q.armed = armed
}

func (q *queue) empty() bool { return q.head == len(q.items) }

// reset makes an empty queue ready for another connection.
func (q *queue) reset() {
	clear(q.items)
	items, arena := q.items[:0], q.arena[:0]
	if cap(items) > keepItems {
		items = nil
	}
	if cap(arena) > keepArena {
		arena = nil
	}
	q.grow(-q.bytes)
	q.setArmed(false)
	*q = queue{items: items, arena: arena, stats: q.stats}
}
