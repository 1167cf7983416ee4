package broker_test

import (
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/brokertest"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.CheckLeaks(m)) }

func TestMemoryClusterSuite(t *testing.T) {
	brokertest.Cluster(t, func(*testing.T) func() broker.Cluster {
		c := broker.NewMemoryCluster()
		return func() broker.Cluster { return c }
	})
}

func TestMemorySuite(t *testing.T) {
	brokertest.Topics(t, func(t *testing.T) func() broker.Topics {
		m := &broker.Memory{Durable: brokertest.Durable}
		t.Cleanup(func() { _ = m.Close() })
		return func() broker.Topics { return m }
	})
}

// TestMemoryClusterOverflow fills the queue of a node that stands still.
func TestMemoryClusterOverflow(t *testing.T) {
	event := func(size int) *cluster.Message {
		return &cluster.Message{Kind: cluster.Broadcast, Namespace: "/", Packet: cluster.Packet{
			Type: sio.Event, Payload: sio.Payload{JSON: []byte(`["e",{"_placeholder":true,"num":0}]`), Attachments: [][]byte{make([]byte, size)}},
		}}
	}
	for _, tt := range []struct {
		name string
		m    *cluster.Message
		room int // messages, about
	}{
		{"messages", event(1), 65_536},
		{"bytes", event(8 << 20), 8},
		{"a message above the limit", event(65 << 20), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := broker.NewMemoryCluster()
			a, err := c.Join("/", broker.ClusterReceiver{Deliver: func(*cluster.Message) {}})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Leave()
			release := make(chan struct{})
			var got, before atomic.Int64
			var missed atomic.Pointer[broker.Gap]
			b, err := c.Join("/", broker.ClusterReceiver{
				Deliver: func(*cluster.Message) {
					<-release
					got.Add(1)
				},
				Gap: func(g broker.Gap) {
					before.Store(got.Load())
					missed.Store(&g)
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Leave()
			sent := int64(0)
			for ; ; sent++ {
				if err = a.Publish(tt.m); err != nil {
					break
				}
			}
			// One may be on its way to deliver, and more fit if it had gone.
			if !errors.Is(err, broker.ErrOverflow) || sent < int64(tt.room)-1 || sent > int64(tt.room)+1 {
				t.Errorf("%v after %d messages, want %v after about %d", err, sent, broker.ErrOverflow, tt.room)
			}
			if h := b.Health(); h.Lost != 1 || !h.Up {
				t.Errorf("health %+v, want a message lost", h)
			}
			close(release)
			testkit.Eventually(t, func() bool { return got.Load() == sent && missed.Load() != nil }, 30*time.Second)
			if g := *missed.Load(); g != (broker.Gap{Reason: broker.Overflow, Lost: 1}) || before.Load() != sent {
				t.Errorf("told of %+v after %d messages, want a lost one after %d", g, before.Load(), sent)
			}
			if h := b.Health(); h.Gaps != 1 {
				t.Errorf("health %+v, want a gap", h)
			}
			if err := a.Publish(tt.m); err != nil {
				t.Errorf("after the queue was emptied: %v", err)
			}
		})
	}
}
