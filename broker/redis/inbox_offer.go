package redis

import (
	"context"
	"time"

	"github.com/fe4bcecb/wsd/codec/cluster"
)

// offer is put that waits for room: for patience at most, and once only until the
// receiver has come half way again. It is for a source that keeps what is not
// taken from it; other methods of the inbox do not wait for it.
func (in *inbox) offer(ctx context.Context, m *cluster.Message, patience time.Duration) bool {
	if in.room(m) {
		return in.put(m)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for !in.room(m) {
		select {
		case <-in.freed:
		case <-timer.C:
			in.choke()
		case <-ctx.Done():
			return false
		}
	}
	return in.put(m)
}

// room reports whether a message need not wait: it fits, or there is no hope.
func (in *inbox) room(m *cluster.Message) bool {
	p := parcel{message: m}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.waiting < in.maxMessages/2 && in.bytes < in.maxBytes/2 {
		in.choked = false
	}
	return in.closed || in.choked || in.waiting == 0 ||
		in.waiting < in.maxMessages && in.bytes+p.size() <= in.maxBytes
}

func (in *inbox) choke() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.choked = true
}

// freeLocked wakes offer.
func (in *inbox) freeLocked() {
	select {
	case in.freed <- struct{}{}:
	default:
	}
}

// do has f called in its place among what the receiver is given, however much
// waits: its caller bounds how many there are.
func (in *inbox) do(f func()) {
	p := parcel{call: f}
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.closed {
		in.queue = append(in.queue, p)
		in.waiting++
		in.bytes += p.size()
		in.runLocked()
	}
}
