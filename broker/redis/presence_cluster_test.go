package redis

import (
	"testing"

	"github.com/fe4bcecb/wsd/broker/brokertest"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// The keys of a user are in three slots, and inboxes are sharded.
func TestPresenceSuiteInACluster(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the suite again")
	}
	c := testkit.StartRedisCluster(t, 3, 0)
	owners := map[int]*testkit.Redis{}
	at := func(key string) *testkit.Redis {
		slot := c.Slot(key)
		if owners[slot] == nil {
			owners[slot] = c.Owner(slot)
		}
		return owners[slot]
	}
	brokertest.Presence(t, func(t *testing.T) brokertest.PresenceCluster {
		for _, r := range c.Masters {
			r.Do("FLUSHALL")
		}
		return presences(t, c.URL(), at, nil)
	})
}
