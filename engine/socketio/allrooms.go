package socketio

import (
	"context"
	"maps"
	"slices"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
)

// AllRooms are the names of the namespace's rooms that have members, on every
// node, in alphabetical order; those of the sockets' ids are among them. The
// other nodes are asked for all their sockets: not a call to make often. It
// blocks, and errors are as with FetchSockets.
func (n *Namespace) AllRooms(ctx context.Context) ([]string, error) {
	return n.broadcast().allRooms(ctx)
}

// LocalRooms is AllRooms of this node only.
func (n *Namespace) LocalRooms(ctx context.Context) ([]string, error) {
	b := n.broadcast()
	b.local = true
	return b.allRooms(ctx)
}

func (b Broadcast) allRooms(ctx context.Context) ([]string, error) {
	n := b.nsp
	if n.server.onLoop() {
		return nil, ErrOnLoop
	}
	ctx, cancel := context.WithTimeoutCause(ctx, b.patience(), ErrTimeout)
	defer cancel()
	rooms := map[string]struct{}{}
	add := func(names []string) {
		for _, name := range names {
			rooms[name] = struct{}{}
		}
	}
	local, err := askLoops(ctx, b, (*lane).roomNames)
	add(local)
	if err == nil && n.node != nil && !b.local {
		var answers []*cluster.Message
		answers, err = n.ask(ctx, RequestAllRooms, b.message(cluster.FetchSockets, sio.Payload{}))
		for _, m := range answers {
			for i := range m.Sockets {
				add(m.Sockets[i].Rooms)
			}
		}
	}
	return slices.Sorted(maps.Keys(rooms)), err
}

// roomNames are the rooms with members on the loop. Call on the loop.
func (ln *lane) roomNames() []string {
	names := slices.Collect(maps.Keys(ln.rooms))
	for _, s := range ln.all {
		if s.membership.inOwnRoom() {
			names = append(names, s.id)
		}
	}
	return names
}

// askLoops gathers what fn tells on each of this node's loops, in the broadcast's
// place in the order.
func askLoops[T any](ctx context.Context, b Broadcast, fn func(*lane) []T) ([]T, error) {
	lanes := b.nsp.lanes()
	answers := make(chan []T, len(lanes))
	waiting := 0
	for _, ln := range lanes {
		if ln.population.Load() == 0 {
			continue
		}
		waiting++
		if err := b.post(ln, 0, func() { answers <- fn(ln) }); err != nil {
			waiting--
		}
	}
	var all []T
	for ; waiting > 0; waiting-- {
		select {
		case some := <-answers:
			all = append(all, some...)
		case <-ctx.Done():
			return all, context.Cause(ctx)
		}
	}
	return all, nil
}
