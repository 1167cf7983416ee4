package socketio

import (
	"context"
	"maps"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/topk"
)

// RoomCount is a room with the number of its members on this node.
type RoomCount = topk.Item

// topCandidates is how many rooms each loop may propose, at least.
const topCandidates = 256

// TopRooms are the namespace's rooms with the most members on this node, at most
// limit of them, the largest first; those of sockets' own ids are not among them.
// Each loop proposes its largest rooms, and all then count what was proposed: a room
// whose members are so evenly spread that no loop proposes it is left out. Errors
// and the rest are as for [engine.App.Conns].
func (n *Namespace) TopRooms(ctx context.Context, limit int) ([]RoomCount, error) {
	counts := map[string]int{}
	for _, ln := range n.lanes() {
		top := topk.List{Limit: max(limit, topCandidates)}
		err := engine.Walk(ctx, ln.loop, maps.Values(ln.rooms), func(r *room) bool {
			if len(r.members) > 0 {
				top.Add(r.name, len(r.members))
			}
			return true
		})
		if err != nil {
			return nil, err
		}
		for _, x := range top.Items() {
			counts[x.Name] = 0
		}
	}
	for _, ln := range n.lanes() {
		err := engine.Walk(ctx, ln.loop, maps.Keys(counts), func(name string) bool {
			if r := ln.rooms[name]; r != nil {
				counts[name] += len(r.members)
			}
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	top := topk.List{Limit: limit}
	for name, count := range counts {
		if count > 0 {
			top.Add(name, count)
		}
	}
	return top.Items(), nil
}
