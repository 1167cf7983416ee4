package redis

import (
	"strconv"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/brokertest"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestTopicsSuite(t *testing.T) {
	server := testkit.StartRedis(t)
	topicsSuite(t, server, server.URL())
}

func topicsSuite(t *testing.T, server *testkit.Redis, url string) {
	brokertest.Topics(t, func(t *testing.T) func() broker.Topics {
		server.Do("FLUSHALL")
		return func() broker.Topics {
			return openBroker(t, url, func(o *Options) { o.Durable = brokertest.Durable }).Topics()
		}
	})
}

// In a Cluster topics go by sharded pub/sub, from the script of a durable one as
// well.
func TestTopicsSuiteInACluster(t *testing.T) {
	server := testkit.StartRedis(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(testkit.FreePort(t)))
	server.Do("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	testkit.Eventually(t, func() bool {
		info, _ := server.Do("CLUSTER", "INFO").(string)
		return strings.HasPrefix(info, "cluster_state:ok")
	}, patience)
	topicsSuite(t, server, "redis+cluster://"+server.Addr)
	if server.Info("cmdstat_spublish") == "" || server.Info("cmdstat_evalsha") == "" {
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
