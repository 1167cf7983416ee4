package socketio

import (
	"cmp"
	"context"
	"maps"
	"slices"
)

// RoomFanOut is what a room has to do on this node.
type RoomFanOut struct {
	Name    string
	Members int
	// Messages are the events sent to the room since the call of FanOut before,
	// each times the members that it had then.
	Messages uint64
}

// Compare puts the room with most messages first; of equal ones that with most
// members.
func (r RoomFanOut) Compare(o RoomFanOut) int {
	return cmp.Or(cmp.Compare(o.Messages, r.Messages), cmp.Compare(o.Members, r.Members), cmp.Compare(r.Name, o.Name))
}

// FanOut returns the namespace's rooms with most fan-out since the call before, at
// most limit of them, in the order of Compare; those of the sockets' ids are not
// among them. A room whose members are spread over many loops may be missing where
// others are close to it. It has each loop look at all its rooms, and is meant for
// one caller, who knows when it called before. It blocks: errors are ErrOnLoop and
// ctx's.
func (n *Namespace) FanOut(ctx context.Context, limit int) ([]RoomFanOut, error) {
	if n.server.onLoop() {
		return nil, ErrOnLoop
	}
	some, err := askLanes(ctx, n, func(ln *lane) []RoomFanOut { return ln.busiest(4 * limit) })
	if err != nil {
		return nil, err
	}
	// What a loop did not name may be a part of what another one did.
	names := map[string]bool{}
	for _, r := range some {
		names[r.Name] = true
	}
	parts, err := askLanes(ctx, n, func(ln *lane) []RoomFanOut { return ln.fanOutOf(names) })
	if err != nil {
		return nil, err
	}
	sums := make(map[string]RoomFanOut, len(names))
	for _, r := range parts {
		sum := sums[r.Name]
		sums[r.Name] = RoomFanOut{r.Name, sum.Members + r.Members, sum.Messages + r.Messages}
	}
	all := slices.SortedFunc(maps.Values(sums), RoomFanOut.Compare)
	return all[:min(len(all), limit)], nil
}

// busiest are the rooms with most fan-out on the loop since the call before. Call
// on the loop.
func (ln *lane) busiest(limit int) []RoomFanOut {
	var top []RoomFanOut
	for _, r := range ln.rooms {
		r.recent, r.sent = r.sent, 0
		if top = append(top, r.fanOut()); len(top) >= 2*limit+64 {
			slices.SortFunc(top, RoomFanOut.Compare)
			top = top[:limit]
		}
	}
	slices.SortFunc(top, RoomFanOut.Compare)
	return top[:min(len(top), limit)]
}

// fanOutOf is what busiest found of some rooms. Call on the loop.
func (ln *lane) fanOutOf(names map[string]bool) (found []RoomFanOut) {
	for name := range names {
		if r := ln.rooms[name]; r != nil {
			found = append(found, r.fanOut())
		}
	}
	return found
}

func (r *room) fanOut() RoomFanOut { return RoomFanOut{r.name, len(r.members), r.recent} }

// askLanes gathers what fn tells on each of this node's loops that has sockets of
// the namespace, in no place in the order of events. fn may be called after the
// return, where ctx has ended.
func askLanes[T any](ctx context.Context, n *Namespace, fn func(*lane) []T) (all []T, err error) {
	lanes := n.lanes()
	answers := make(chan []T, len(lanes))
	waiting := 0
	for _, ln := range lanes {
		if ln.population.Load() > 0 && ln.loop.Post(func() { answers <- fn(ln) }) {
			waiting++
		}
	}
	for ; waiting > 0; waiting-- {
		select {
		case some := <-answers:
			all = append(all, some...)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return all, nil
}
