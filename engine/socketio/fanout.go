package socketio

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/fe4bcecb/wsd/engine"
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
// among them. It is meant for one caller, who knows when it called before. As with
// TopRooms a room may be left out whose members are spread over many loops; errors
// and the rest are as for [engine.App.Conns].
func (n *Namespace) FanOut(ctx context.Context, limit int) ([]RoomFanOut, error) {
	sums := map[string]RoomFanOut{}
	for _, ln := range n.lanes() {
		var top []RoomFanOut
		err := engine.Walk(ctx, ln.loop, maps.Values(ln.rooms), func(r *room) bool {
			r.recent, r.sent = r.sent, 0
			if top = append(top, r.fanOut()); len(top) >= 4*max(limit, topCandidates) {
				top = busiest(top, max(limit, topCandidates))
			}
			return true
		})
		if err != nil {
			return nil, err
		}
		for _, r := range top {
			sums[r.Name] = RoomFanOut{Name: r.Name}
		}
	}
	// What a loop did not name may be a part of what another one did.
	for _, ln := range n.lanes() {
		err := engine.Walk(ctx, ln.loop, maps.Keys(sums), func(name string) bool {
			if r := ln.rooms[name]; r != nil {
				part, sum := r.fanOut(), sums[name]
				sums[name] = RoomFanOut{name, sum.Members + part.Members, sum.Messages + part.Messages}
			}
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	maps.DeleteFunc(sums, func(_ string, r RoomFanOut) bool { return r.Members == 0 }) // it has ended meanwhile
	return busiest(slices.Collect(maps.Values(sums)), limit), nil
}

// busiest sorts rooms and returns the first of them.
func busiest(rooms []RoomFanOut, limit int) []RoomFanOut {
	slices.SortFunc(rooms, RoomFanOut.Compare)
	return rooms[:min(len(rooms), limit)]
}

func (r *room) fanOut() RoomFanOut { return RoomFanOut{r.name, len(r.members), r.recent} }
