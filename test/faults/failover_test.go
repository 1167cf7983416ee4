package faults

import (
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// Sentinels make another server the master: the old one stays up, as a replica of
// the new one; and then the new one dies.
func TestSentinelFailover(t *testing.T) {
	s := testkit.StartSentinels(t, 1, 3)
	w := newWorld(t, s.URL(), everyMode, 2)
	var master *testkit.Redis
	for range pick(1, 4) {
		old := s.Failover()
		w.settle("after SENTINEL FAILOVER")
		old.Kill()
		master = s.AwaitMaster(old)
		w.settle("after the death of the master")
		old.Start()
	}
	w.hasGaps(pubsub...)
	w.finish(the(master))
}

// Slots of a Cluster move to other servers while messages go through them.
func TestSlotMigration(t *testing.T) {
	c := testkit.StartRedisCluster(t, 3, 0)
	w := newWorld(t, c.URL(), everyMode, 2)
	names := []string{"sharded#/#", "sharded#/#" + room + "#", "wsd:t:plain", "streams", "recovery", "wsd:{t:durable}"}
	for range pick(1, 6) {
		for _, name := range names {
			slot := c.Slot(name)
			for i, m := range c.Masters {
				if m == c.Owner(slot) {
					c.MigrateSlot(slot, c.Masters[(i+1)%len(c.Masters)])
					break
				}
			}
			w.settle("after " + name + " has moved")
		}
	}
	w.hasGaps(sharded, plain)
	w.finish(func(key string) *testkit.Redis { return c.Owner(c.Slot(key)) })
}
