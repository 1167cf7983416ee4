package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/brokertest"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
)

func TestMemoryLogSuite(t *testing.T) {
	start := func(*testing.T) func() broker.Cluster {
		c := broker.NewMemoryClusterLog(broker.MemoryLogOptions{})
		return func() broker.Cluster { return c }
	}
	t.Run("cluster", func(t *testing.T) { brokertest.Cluster(t, start) })
	t.Run("log", func(t *testing.T) { brokertest.Log(t, start) })
}

// TestMemoryLogBounds goes beyond what the log keeps.
func TestMemoryLogBounds(t *testing.T) {
	ctx := context.Background()
	event := func(size int) *cluster.Message {
		return &cluster.Message{Kind: cluster.Broadcast, Namespace: "/", Packet: cluster.Packet{
			Type: sio.Event, Payload: sio.Payload{JSON: []byte(`["e",{"_placeholder":true,"num":0}]`), Attachments: [][]byte{make([]byte, size)}},
		}}
	}
	for _, tt := range []struct {
		name string
		opts broker.MemoryLogOptions
		size int
	}{
		{"messages", broker.MemoryLogOptions{Messages: 3}, 1},
		{"bytes", broker.MemoryLogOptions{Bytes: 4_500}, 1_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			node, err := broker.NewMemoryClusterLog(tt.opts).Join("/", broker.ClusterReceiver{Deliver: func(*cluster.Message) {}})
			if err != nil {
				t.Fatal(err)
			}
			defer node.Leave()
			l := node.(broker.ClusterLog)
			var offsets []string
			told := make(chan struct{})
			for range 6 {
				err := l.Append(event(tt.size), func(offset string, err error) {
					offsets = append(offsets, offset)
					told <- struct{}{}
				})
				if err != nil {
					t.Fatal(err)
				}
				<-told
			}
			s := &cluster.Session{SID: "s", PID: "p", Rooms: []string{"s"}}
			for i, offset := range offsets {
				missed, err := l.MissedSince(ctx, s, offset)
				switch gone := i < 2; { // 3 to 5 are kept: everything after 2 is there
				case gone && !errors.Is(err, broker.ErrNoSession):
					t.Errorf("after message %d: %v, want %v", i, err, broker.ErrNoSession)
				case !gone && (err != nil || len(missed.Messages) != 5-i || missed.Last != offsets[5]):
					t.Errorf("after message %d: %d messages up to %q, %v", i, len(missed.Messages), missed.Last, err)
				}
			}
		})
	}
	t.Run("sessions", func(t *testing.T) {
		node, err := broker.NewMemoryClusterLog(broker.MemoryLogOptions{Sessions: 2}).Join("/", broker.ClusterReceiver{Deliver: func(*cluster.Message) {}})
		if err != nil {
			t.Fatal(err)
		}
		defer node.Leave()
		l := node.(broker.ClusterLog)
		told := make(chan string, 1)
		if err := l.Append(event(1), func(offset string, _ error) { told <- offset }); err != nil {
			t.Fatal(err)
		}
		offset := <-told
		for i := range 4 {
			if err := l.StoreSession(&cluster.Session{SID: "s", PID: fmt.Sprint(i)}, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 4 {
			_, _, err := l.RestoreSession(ctx, fmt.Sprint(i), offset)
			if gone := i < 2; gone != errors.Is(err, broker.ErrNoSession) || !gone && err != nil {
				t.Errorf("session %d: %v", i, err)
			}
		}
	})
}
