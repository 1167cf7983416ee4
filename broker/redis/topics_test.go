package redis

import (
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/brokertest"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestTopicsSuite(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	topicsSuite(t, server.URL(), server)
}

func topicsSuite(t *testing.T, url string, servers ...*testkit.Redis) {
	brokertest.Topics(t, func(t *testing.T) func() broker.Topics {
		for _, s := range servers {
			s.Do("FLUSHALL")
		}
		return func() broker.Topics {
			return openBroker(t, url, func(o *Options) { o.Durable = brokertest.Durable }).Topics()
		}
	})
}

// In a Cluster topics go by sharded pub/sub, from the script of a durable one as
// well.
func TestTopicsSuiteInACluster(t *testing.T) {
	t.Parallel()
	c := testkit.StartRedisCluster(t, 3, 0)
	topicsSuite(t, c.URL(), c.Masters...)
	owner := c.Owner(c.Slot("wsd:{t:durable/t}"))
	if owner.Info("cmdstat_spublish") == "" || owner.Info("cmdstat_evalsha") == "" {
		t.Error("no SPUBLISH, or no script")
	}
}

func TestMajorVersion(t *testing.T) {
	for v, want := range map[string]int{"7.0.15": 7, "6.2": 6, "255.255.255": 255, "": 0, "x": 0, "99999999999999999999": 9999} {
		if got := majorVersion(v); got != want {
			t.Errorf("%q: %d, want %d", v, got, want)
		}
	}
}
