package faults

import (
	"strings"
	"testing"
	"time"
)

// apart are the modes of partitions: three nodes each.
func apart() []*mode { return pick([]*mode{classic, recovery, plain, durable}, everyMode) }

// lone reports whether a node is the first of its cluster, which is behind the
// cable.
func (w *world) lone(s *server) bool {
	for _, c := range w.clusters {
		if c.nodes[0] == s {
			return true
		}
	}
	return false
}

// othersWereWell fails the test if another node than the lone ones has ever said
// that it does not reach others.
func (w *world) othersWereWell() {
	w.t.Helper()
	w.each(func(c *cluster, s *server) {
		if !w.lone(s) && c.health[s].wasDown() {
			w.t.Errorf("%s was cut off: %s", s.name, c.health[s].reason)
		}
	})
}

// A node loses its way to Redis, not that to its clients: it serves these, says
// that it is alone, and is whole again when the way is. The others don't mind.
func TestPartition(t *testing.T) {
	n := newNetns(t)
	redis, url := n.redis()
	w := newWorld(t, url, apart(), 3, n.place)
	for range pick(1, 4) {
		heal := n.cut(redis.Port)
		w.toldDownIf(w.lone)
		w.settleIf("among the others", func(from, to *server) bool { return !w.lone(from) && !w.lone(to) })
		w.settleIf("at the lone nodes", func(from, to *server) bool { return from == to && w.lone(to) })
		w.flow(pick(time.Second, 10*time.Second))
		if long {
			w.missesLone()
		}
		heal()
		w.settle("after the partition")
		for _, c := range w.clusters {
			c.fetches(t, 3)
		}
	}
	w.othersWereWell()
	w.hasGapsIf(w.lone, pubsub...)
	w.finish(the(redis))
}

// missesLone asks a node for sockets while another that Redis still counts can't
// answer: who asks gets those of the others, and is told.
func (w *world) missesLone() {
	w.t.Helper()
	for _, c := range w.clusters {
		if c.mode.topic != "" {
			continue
		}
		sock, err := connect(c.nodes[1].address, nil, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		const want = "1 of 2 other nodes answered"
		if answer, err := sock.call("far:fetch", map[string]any{"rooms": []string{room}}); err == nil || !strings.Contains(err.Error(), want) {
			w.t.Errorf("%s: fetchSockets: %s, %v, want %s", c.mode.name, answer, err, want)
		}
		sock.close()
	}
}

// A node's packets get to Redis, and nothing comes back by the connections that it
// listens with: it finds out, and makes new ones.
func TestOneWayPartition(t *testing.T) {
	n := newNetns(t)
	redis, url := n.redis()
	w := newWorld(t, url, apart(), 3, n.place)
	for range pick(1, 4) {
		if n.deafen(redis) == 0 {
			t.Fatal("no connection listens")
		}
		w.settleIf("among the others", func(from, to *server) bool { return !w.lone(from) && !w.lone(to) })
		w.settleIf("from the lone nodes to the others", func(from, to *server) bool { return w.lone(from) && !w.lone(to) })
		w.settle("in all directions")
	}
	w.othersWereWell()
	w.hasGapsIf(w.lone, pubsub...)
	w.finish(the(redis))
}
