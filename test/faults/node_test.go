package faults

import (
	"encoding/json"
	"syscall"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// A node dies while it sends and receives: the others go on, and answer for
// themselves.
func TestKilledNode(t *testing.T) {
	redis := testkit.StartRedis(t)
	w := newWorld(t, redis.URL(), everyMode, 3)
	for _, c := range w.clusters {
		c.nodes[2].stop(t, syscall.SIGKILL)
	}
	w.settle("after the death of a node")
	for _, c := range w.clusters {
		c.fetches(t, 2)
		c.comesBack(t, c.subs[2], c.nodes[0])
	}
	w.settle("after its clients came back")
	w.each(func(c *cluster, s *server) {
		if c.health[s].wasDown() {
			t.Errorf("%s was cut off", s.name)
		}
	})
	w.finish(the(redis))
}

// fetches waits until a node of Socket.IO finds the sockets of the room on all
// nodes, and nobody who is dead.
func (c *cluster) fetches(t *testing.T, want int) {
	t.Helper()
	if c.mode.topic != "" {
		return
	}
	sock, err := connect(c.nodes[0].address, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sock.close()
	begin := time.Now()
	testkit.Eventually(t, func() bool {
		answer, err := sock.call("far:fetch", map[string]any{"rooms": []string{room}})
		var found []any
		return err == nil && json.Unmarshal(answer, &found) == nil && len(found) == want
	}, patience)
	t.Logf("%s: fetchSockets finds all after %v", c.mode.name, time.Since(begin).Round(time.Millisecond))
}

// comesBack has the client of a node that is no more connect to another: it is
// somebody new there, as its state died with the node.
func (c *cluster) comesBack(t *testing.T, s *subscriber, node *server) {
	t.Helper()
	s.line.close()
	fresh := c.subscribe(t, node)
	if c.mode != recovery {
		return
	}
	fresh.line.close()
	before := s.sock.SID
	s.mu.Lock()
	auth := map[string]string{"pid": s.sock.PID, "offset": s.offset}
	s.mu.Unlock()
	if err := fresh.enter(node, auth); err != nil {
		t.Fatal(err)
	}
	if fresh.sock.SID == before {
		t.Errorf("%s returned as the same socket, though its node had not stored it", s.name)
	}
}

// A client whose connection breaks moves to another node, again and again. It loses
// nothing that Redis has, and gets nothing twice, though Redis dies meanwhile.
func TestClientMovesUnderFaults(t *testing.T) {
	redis := testkit.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	w := newWorld(t, redis.URL(), []*mode{recovery}, 2)
	c := w.clusters[0]
	mover := c.subscribe(t, c.nodes[0])
	mover.moves = true
	w.settle("with one more")
	faults := []func(){
		func() {},
		func() { redis.Restart() },
		func() { killConnections(redis) },
	}
	recovered := 0
	for i := range pick(6, 30) {
		mover.line.close()
		w.flow(pick(200*time.Millisecond, time.Second))
		faults[i%len(faults)]()
		before := mover.sock.SID
		mover.mu.Lock()
		auth := map[string]string{"pid": mover.sock.PID, "offset": mover.offset}
		mover.mu.Unlock()
		if err := mover.enter(c.nodes[(i+1)%2], auth); err != nil {
			t.Fatal(err)
		}
		if mover.sock.SID == before {
			recovered++
		} else {
			mover.forget()
		}
		w.settle("after a move")
	}
	t.Logf("%d times the same socket", recovered)
	if recovered == 0 {
		t.Error("it never returned as the same socket")
	}
	w.finish(the(redis))
}

// An event that Redis has, though it did not say so in time, was given to a client
// already: it does not come again when the client returns.
func TestNothingTwiceAfterAnOutage(t *testing.T) {
	redis := testkit.StartRedis(t)
	w := newWorld(t, redis.URL(), []*mode{recovery}, 2)
	c := w.clusters[0]
	s := c.subs[0]
	w.quiet()
	sock, err := connect(c.nodes[0].address, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sock.close()
	late := &publisher{name: "late", node: c.nodes[0], refused: map[int]bool{}}
	emit := func(number int) {
		if err := late.emit(sock, number); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, func() bool { return s.heard("late") == number }, patience)
	}
	number := 0
	for taken := false; !taken; number++ {
		if number == 5 {
			t.Fatal("Redis never had the event")
		}
		redis.Stop()
		emit(number)
		redis.Cont()
		w.each(func(_ *cluster, n *server) {
			testkit.Eventually(t, func() bool { return w.stats(n).Up }, patience)
		})
		// It was not sent if something before it had no answer.
		taken = c.mode.kept(redis)["late"][number]
	}
	before := s.sock.SID
	s.line.close()
	s.mu.Lock()
	auth := map[string]string{"pid": s.sock.PID, "offset": s.offset}
	s.mu.Unlock()
	if err := s.enter(c.nodes[0], auth); err != nil {
		t.Fatal(err)
	}
	emit(number)
	t.Logf("the same socket: %v", s.sock.SID == before)
	for _, fault := range compare(s, late, nil).faults {
		t.Error(fault)
	}
}

// forget begins anew: what came before is no promise of what comes.
func (s *subscriber) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = nil
	clear(s.last)
}
