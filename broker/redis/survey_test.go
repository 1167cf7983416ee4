package redis

import (
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// becomes has the cluster asked until what is known of it is as wanted.
func becomes(t *testing.T, b *Broker, want func(Stats) bool) {
	t.Helper()
	testkit.Eventually(t, func() bool {
		b.survey.look()
		return want(b.Stats())
	}, patience)
}

// The cluster is counted by whatever adapter it has, and no more once this process
// has left it.
func TestNodesAreCounted(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	for name, adapter := range map[string]Adapter{"classic": Classic, "sharded": Sharded, "streams": Streams} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open := func() (*Broker, broker.ClusterNode) {
				b := openBroker(t, server.URL(), func(o *Options) { o.Adapter, o.Prefix, o.StreamName = adapter, name, name })
				if n := b.Stats().Nodes; n != 0 {
					t.Errorf("%d nodes before one joined", n)
				}
				if _, err := b.Cluster().Join("/other", broker.ClusterReceiver{Deliver: func(*cluster.Message) {}}); err != nil {
					t.Fatal(err)
				}
				node, err := b.Cluster().Join("/", broker.ClusterReceiver{Deliver: func(*cluster.Message) {}})
				if err != nil {
					t.Fatal(err)
				}
				return b, node
			}
			first, _ := open()
			nodes := func(n int) func(Stats) bool { return func(s Stats) bool { return s.Nodes == n } }
			becomes(t, first, nodes(1))
			second, node := open()
			becomes(t, second, nodes(2))
			becomes(t, first, nodes(2))
			node.Leave()
			becomes(t, first, nodes(1))
			becomes(t, second, nodes(0))
			if window := first.Stats().StreamWindow; window >= 0 {
				t.Errorf("a window of %v without a stream", window)
			}
		})
	}
}

// Of several streams the one that reaches back least counts; those that are not there
// don't.
func TestStreamWindow(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	for stream, age := range map[string]time.Duration{"w-0": 3 * time.Hour, "w-2": time.Hour} {
		server.Do("XADD", stream, cluster.ID{Ms: uint64(time.Now().Add(-age).UnixMilli())}.String(), "nsp", "/nobody")
		server.Do("XADD", stream, "*", "nsp", "/nobody")
	}
	b := openBroker(t, server.URL(), func(o *Options) { o.Adapter, o.StreamName, o.StreamCount = Streams, "w", 3 })
	if _, err := b.Cluster().Join("/", broker.ClusterReceiver{Deliver: func(*cluster.Message) {}}); err != nil {
		t.Fatal(err)
	}
	becomes(t, b, func(s Stats) bool { return s.StreamWindow >= time.Hour && s.StreamWindow < 2*time.Hour })
	server.Do("XTRIM", "w-2", "MAXLEN", "1")
	becomes(t, b, func(s Stats) bool { return s.StreamWindow >= 0 && s.StreamWindow < time.Hour })
	server.Do("DEL", "w-0", "w-2")
	becomes(t, b, func(s Stats) bool { return s.StreamWindow < 0 })
}

// The clocks of Redis and of this server need not agree.
func TestWindowOfTip(t *testing.T) {
	now := time.UnixMilli(100_000)
	at := func(first, last uint64) tip {
		return tip{exists: true, length: 2, first: cluster.ID{Ms: first}, last: cluster.ID{Ms: last}}
	}
	for name, x := range map[string]struct {
		tip  tip
		want time.Duration
		ok   bool
	}{
		"no stream":                   {tip{}, 0, false},
		"nothing in it":               {tip{exists: true, last: cluster.ID{Ms: 90_000}}, 0, false},
		"some":                        {at(40_000, 90_000), time.Minute, true},
		"Redis is ahead":              {at(80_000, 200_000), 2 * time.Minute, true},
		"ids that nobody's clock had": {at(200_000, 50_000), 0, true},
	} {
		if got, ok := x.tip.window(now); got != x.want || ok != x.ok {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
}

func TestLags(t *testing.T) {
	var l lags
	for _, lag := range []time.Duration{0, 100 * time.Microsecond, 101 * time.Microsecond, 5 * time.Second, 6 * time.Second} {
		l.observe(lag)
	}
	want := LagStats{Sum: 11*time.Second + 201*time.Microsecond}
	want.Counts[0], want.Counts[1], want.Counts[len(LagBounds)-1], want.Counts[len(LagBounds)] = 2, 1, 1, 1
	if got := l.stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
