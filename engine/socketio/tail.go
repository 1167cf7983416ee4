package socketio

import (
	"slices"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// What a namespace remembers of the events that it sent last.
const (
	maxTail      = 4096
	maxTailBytes = 8 << 20
)

// tail are the last events of a log that a node has sent to its sockets. A
// client that returns is told from it what was sent between the moment up to
// which the log was read for it and the moment when it is in its rooms.
type tail struct {
	events []tailEvent // in the order in which they were sent
	bytes  int
	// forgotten is the highest offset of those that are not in it any more.
	forgotten cluster.ID
}

// tailEvent is an event and whom it was for.
type tailEvent struct {
	id            cluster.ID
	packet        *engineio.Prepared // with its offset
	rooms, except []string
}

// add appends an event, and forgets the oldest where there are too many.
func (t *tail) add(e tailEvent) {
	t.events = append(t.events, e)
	t.bytes += e.packet.Size()
	k := 0
	for len(t.events)-k > maxTail || t.bytes > maxTailBytes && k < len(t.events) {
		old := &t.events[k]
		if old.id.Compare(t.forgotten) > 0 {
			t.forgotten = old.id
		}
		t.bytes -= old.packet.Size()
		*old = tailEvent{}
		k++
	}
	t.events = t.events[k:]
}

// after are the packets behind an offset for who is in some rooms, in the order
// of the log. ok is false when some of them are forgotten.
func (t *tail) after(last cluster.ID, in []string) (packets []*engineio.Prepared, ok bool) {
	if t.forgotten.Compare(last) > 0 {
		return nil, false
	}
	var found []tailEvent
	for _, e := range t.events {
		if e.id.Compare(last) > 0 && (len(e.rooms) == 0 || intersect(e.rooms, in)) && !intersect(e.except, in) {
			found = append(found, e)
		}
	}
	slices.SortStableFunc(found, func(a, b tailEvent) int { return a.id.Compare(b.id) })
	for _, e := range found {
		packets = append(packets, e.packet)
	}
	return packets, true
}
