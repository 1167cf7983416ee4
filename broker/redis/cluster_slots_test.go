package redis_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/brokertest"
	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// TestClusterSuiteOverSlots runs the suite on a Redis Cluster. Sharded channels
// of rooms are on other servers there than that of the namespace: only without
// them is order kept among all that a node publishes.
func TestClusterSuiteOverSlots(t *testing.T) {
	t.Parallel()
	servers := testkit.StartRedisCluster(t, 3, 0)
	for _, tt := range adapters {
		if tt.o.Adapter == redis.Sharded && tt.o.SubscriptionMode != redis.Static {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			brokertest.Cluster(t, func(t *testing.T) func() broker.Cluster {
				o := tt.o
				o.Prefix = fmt.Sprint("p", prefixes.Add(1))
				return func() broker.Cluster { return connect(t, servers, o).Cluster() }
			})
		})
	}
}

// TestShardedRoomsOverSlots has rooms on every server of a Redis Cluster: each
// keeps its own order, and nodes are counted on the right one.
func TestShardedRoomsOverSlots(t *testing.T) {
	t.Parallel()
	servers := testkit.StartRedisCluster(t, 3, 0)
	o := redis.Options{Adapter: redis.Sharded}
	a, b := sit(t, connect(t, servers, o), "/"), sit(t, connect(t, servers, o), "/")
	const rooms, messages = 12, 20
	for r := range rooms {
		room := fmt.Sprint("room", r)
		b.node.RoomJoined(room)
		testkit.Eventually(t, func() bool {
			a.publish(t, a.event("ready "+room, room))
			return slices.Contains(b.heard(), "ready "+room)
		}, patience)
	}
	for i := range messages {
		for r := range rooms {
			a.publish(t, a.event(fmt.Sprint(i), fmt.Sprint("room", r)))
		}
	}
	last := fmt.Sprint(messages - 1)
	in := func(room string) (names []string) {
		for _, m := range b.messages() {
			if slices.Equal(m.Options.Rooms, []string{room}) {
				if name := m.Packet.Payload.Args()[0].String(); name != "ready "+room {
					names = append(names, name)
				}
			}
		}
		return names
	}
	var want []string
	for i := range messages {
		want = append(want, fmt.Sprint(i))
	}
	for r := range rooms {
		room := fmt.Sprint("room", r)
		testkit.Eventually(t, func() bool { return slices.Contains(in(room), last) }, patience)
		if got := in(room); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", room, got, want)
		}
	}
	if got := a.others(t); got.Others != 1 {
		t.Errorf("members %+v, want one", got)
	}
}
