package redis

import (
	"testing"

	"github.com/fe4bcecb/wsd/broker/brokertest"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// TestStops: whoever waits for what becomes of a message does not wait for ever.
func TestStops(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]Adapter{"classic": Classic, "sharded": Sharded, "streams": Streams} {
		for fault, act := range map[string][2]func(*testkit.Redis){
			"stopped": {(*testkit.Redis).Stop, (*testkit.Redis).Cont},
			"killed":  {(*testkit.Redis).Kill, (*testkit.Redis).Start},
		} {
			t.Run(name+" "+fault, func(t *testing.T) {
				r := testkit.StartRedis(t)
				b := openBroker(t, r.URL(), func(o *Options) { fast(o); o.Adapter = a })
				brokertest.Stops(t, brokertest.Stopping{
					Cluster: b.Cluster(), Presence: b.Presence(),
					Stop:   func() { act[0](r) },
					Resume: func() { act[1](r) },
				})
			})
		}
	}
}
