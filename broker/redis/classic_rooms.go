package redis

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// sidLength is that of a socket's id, whose room nobody tells of.
	sidLength = 20
	// maxExpected and expectLife bound the rooms that sockets were told to join:
	// the loops that let them in have so long.
	maxExpected = 4096
	expectLife  = 30 * time.Second
)

// classicRooms knows for which rooms a message can be for somebody on this node.
// A room that sockets were just told to join may have members before that is
// told, and messages for it must not be dropped. It is safe from any goroutine.
type classicRooms struct {
	mu       sync.RWMutex
	joined   map[string]struct{} // mu
	expected *aged[struct{}]
	// any is until when, in Unix nanoseconds, every room is wanted: too many were
	// expected.
	any atomic.Int64
}

func newClassicRooms() *classicRooms {
	return &classicRooms{joined: map[string]struct{}{}, expected: newAged[struct{}](maxExpected, expectLife)}
}

func (r *classicRooms) join(room string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.joined[room] = struct{}{}
}

func (r *classicRooms) leave(room string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.joined, room)
}

// expect notes rooms that sockets are told to join.
func (r *classicRooms) expect(rooms []string) {
	for _, room := range rooms {
		if r.expected.put(room, struct{}{}) {
			r.any.Store(time.Now().Add(expectLife).UnixNano())
		}
	}
}

// wants reports whether a message for a room ("": for more than one, or all) can
// be for somebody here.
func (r *classicRooms) wants(room string) bool {
	if room == "" || len(room) == sidLength {
		return true
	}
	r.mu.RLock()
	_, ok := r.joined[room]
	r.mu.RUnlock()
	return ok || r.expected.has(room) || r.any.Load() > time.Now().UnixNano()
}
