package faults

import (
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// the is for finish: a server that has all keys.
func the(redis *testkit.Redis) func(string) *testkit.Redis {
	return func(string) *testkit.Redis { return redis }
}

// A server that dies and comes back empty: what it had is gone, and every node
// is told.
func TestRestartEmpty(t *testing.T) {
	redis := testkit.StartRedis(t)
	w := newWorld(t, redis.URL(), everyMode, 2)
	for range pick(1, 5) {
		redis.Kill()
		w.flow(pick(time.Second, 5*time.Second))
		redis.Start()
		w.settle("after the restart")
	}
	w.hasGaps(everyMode...)
	w.finish(the(redis))
}

// A server that dies and has on disk what it answered for.
func TestRestartWithAOF(t *testing.T) {
	redis := testkit.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	w := newWorld(t, redis.URL(), everyMode, 2)
	for range pick(1, 5) {
		redis.Restart()
		w.settle("after the restart")
	}
	w.hasGaps(pubsub...)
	w.finish(the(redis))
}

// A server that stands still.
func TestStopped(t *testing.T) {
	redis := testkit.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	w := newWorld(t, redis.URL(), everyMode, 2)
	for range pick(1, 3) {
		redis.Stop()
		w.toldDown()
		w.flow(pick(0, 5*time.Second))
		redis.Cont()
		w.settle("after the pause")
	}
	w.finish(the(redis))
}

// All connections are broken, again and again.
func TestKilledConnections(t *testing.T) {
	redis := testkit.StartRedis(t)
	w := newWorld(t, redis.URL(), everyMode, 2)
	for range pick(3, 30) {
		killConnections(redis)
		w.settle("after CLIENT KILL")
	}
	w.hasGaps(pubsub...)
	w.finish(the(redis))
}

// A server that takes its time loses nothing, and nobody takes it for dead.
func TestSlow(t *testing.T) {
	redis := testkit.StartRedis(t)
	proxy := testkit.StartProxy(t, redis.Addr)
	w := newWorld(t, "redis://"+proxy.Addr, everyMode, 2)
	proxy.Delay(100*time.Millisecond, 100*time.Millisecond)
	w.flow(pick(2*time.Second, 20*time.Second))
	w.settle("while it is slow")
	proxy.Delay(0, 0)
	w.settle("when it is fast again")
	w.each(func(c *cluster, s *server) {
		if grew := c.grew(map[*server]stats{s: w.stats(s)}, s); grew.Gaps > 0 || grew.Lost > 0 || c.health[s].wasDown() {
			t.Errorf("%s: %d gaps, %d lost, down: %q", s.name, grew.Gaps, grew.Lost, c.health[s].reason)
		}
	})
	w.finish(the(redis))
}

// killConnections breaks all but the test's own.
func killConnections(redis *testkit.Redis) {
	redis.Do("CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes")
	redis.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
}
