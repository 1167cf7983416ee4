package redis

import (
	"slices"
	"strconv"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/brokertest"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// publishAll appends names, each again until the log has it.
func (l *follower) publishAll(t *testing.T, names []string) {
	t.Helper()
	for _, name := range names {
		testkit.Eventually(t, func() bool {
			told := make(chan error, 1)
			err := l.Append(l.event(name), func(_ string, err error) { told <- err })
			return err == nil && <-told == nil
		}, patience)
	}
}

// TestReaderInCluster has the stream's slot move to another master, and back.
func TestReaderInCluster(t *testing.T) {
	t.Parallel()
	servers := testkit.StartRedisCluster(t, 3, 0)
	a := follow(t, openBroker(t, servers.URL(), streamsOf), "/")
	b := follow(t, openBroker(t, servers.URL(), streamsOf), "/")
	want := numbers(20)
	a.publishAll(t, want[:10])
	b.await(t, want[:10]...)
	slot := servers.Slot("socket.io")
	from := servers.Owner(slot)
	to := servers.Masters[slices.IndexFunc(servers.Masters, func(r *testkit.Redis) bool { return r != from })]
	servers.MigrateSlot(slot, to)
	a.publishAll(t, want[10:15])
	b.await(t, want[:15]...)
	servers.MigrateSlot(slot, from)
	a.publishAll(t, want[15:])
	b.await(t, want...)
	if n, gaps := b.lost(broker.Trimmed); n != 0 || gaps != 0 {
		t.Errorf("gaps %v", b.gaps)
	}
}

func TestStreamsSuiteInCluster(t *testing.T) {
	t.Parallel()
	servers := testkit.StartRedisCluster(t, 3, 0)
	clusters := 0
	start := func(t *testing.T) func() broker.Cluster {
		clusters++
		name := "c" + strconv.Itoa(clusters)
		return func() broker.Cluster {
			return openBroker(t, servers.URL(), func(o *Options) {
				o.Adapter, o.Prefix, o.StreamName, o.SessionPrefix = Streams, name, name, name+":"
				o.StreamCount, o.ShardedPubSub = 4, true
			}).Cluster()
		}
	}
	t.Run("cluster", func(t *testing.T) { brokertest.ClusterOfTwoWays(t, start) })
	t.Run("log", func(t *testing.T) { brokertest.Log(t, start) })
}

// TestReaderAfterFailover has the master die, and a replica take its place.
func TestReaderAfterFailover(t *testing.T) {
	t.Parallel()
	servers := testkit.StartSentinels(t, 1, 3)
	a := follow(t, openBroker(t, servers.URL(), streamsOf), "/")
	b := follow(t, openBroker(t, servers.URL(), streamsOf), "/")
	a.publishAll(t, []string{"before"})
	b.await(t, "before")
	master := servers.Master()
	if n := master.Do("WAIT", "1", "5000"); n != int64(1) {
		t.Fatalf("%v replicas have the entry", n)
	}
	servers.Failover()
	a.publishAll(t, []string{"after"})
	testkit.Eventually(t, func() bool { return slices.Contains(b.names(), "after") }, patience)
	if got := b.names(); !slices.Equal(slices.Compact(got), []string{"before", "after"}) {
		t.Errorf("got %q", got)
	}
	testkit.Eventually(t, func() bool { return a.Health().Up && b.Health().Up }, patience)
}
