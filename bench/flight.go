package bench

import "sync/atomic"

// flight is what one sender has on its way: the send times of its latest
// messages, by sequence number. One goroutine sends, others look up.
type flight struct {
	times []atomic.Int64 // nanoseconds since the run began; a power of two
	sent  atomic.Uint64
}

// newFlight remembers at least n send times.
func newFlight(n int) *flight {
	size := 1
	for size < n {
		size *= 2
	}
	return &flight{times: make([]atomic.Int64, size)}
}

// depart gives the next message its sequence number. at is its send time, the
// intended one in open loop.
func (f *flight) depart(at int64) (seq uint64) {
	seq = f.sent.Load()
	f.times[seq&uint64(len(f.times)-1)].Store(at)
	f.sent.Store(seq + 1)
	return seq
}

// departed returns the send time of seq.
func (f *flight) departed(seq uint64) int64 {
	return f.times[seq&uint64(len(f.times)-1)].Load()
}
