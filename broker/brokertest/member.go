package brokertest

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// namespace is where most tests are.
const namespace = "/suite"

// member is a node that keeps what it is given.
type member struct {
	node      broker.ClusterNode
	namespace string

	mu    sync.Mutex
	got   []*cluster.Message
	gaps  []broker.Gap
	lossy bool // gaps are to be expected
}

// join makes a node that leaves at the end of the test, and that must not have
// been told of a gap then: nothing is lost in these tests. Others reach it when
// join has returned.
func join(t *testing.T, c broker.Cluster, namespace string) *member {
	t.Helper()
	m := &member{namespace: namespace}
	node, err := c.Join(namespace, broker.ClusterReceiver{Deliver: m.keep, Gap: m.miss})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		node.Leave()
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.gaps) > 0 && !m.lossy {
			t.Errorf("a node was told of gaps %v, but nothing was lost", m.gaps)
		}
	})
	m.node = node
	settle(t, node)
	return m
}

// settle waits until messages reach a node.
func settle(t *testing.T, node broker.ClusterNode) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := node.Members(ctx); err != nil {
		t.Fatal(err)
	}
}

func (m *member) miss(g broker.Gap) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gaps = append(m.gaps, g)
}

func (m *member) keep(x *cluster.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got = append(m.got, x)
}

// received is what came so far.
func (m *member) received() []*cluster.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.got)
}

// names are the events of the broadcasts that came so far.
func (m *member) names() []string {
	var names []string
	for _, x := range m.received() {
		names = append(names, eventName(x))
	}
	return names
}

func eventName(x *cluster.Message) string {
	args := x.Packet.Payload.Args()
	if len(args) == 0 {
		return x.Kind.String()
	}
	return args[0].String()
}

// await waits until the broadcasts that came are these.
func (m *member) await(t *testing.T, want ...string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("got %q, want %q", m.names(), want)
		}
	}()
	testkit.Eventually(t, func() bool { return len(m.received()) >= len(want) }, patience)
	if got := m.names(); !slices.Equal(got, want) {
		t.Fatal("these are not the messages that were sent")
	}
}

// event is a broadcast that the member may publish.
func (m *member) event(name string, rooms ...string) *cluster.Message {
	return &cluster.Message{
		Kind:      cluster.Broadcast,
		UID:       m.node.UID(),
		Namespace: m.namespace,
		Options:   cluster.Options{Rooms: rooms},
		Packet:    cluster.Packet{Type: sio.Event, Payload: sio.Payload{JSON: []byte("[" + strconv.Quote(name) + "]")}},
	}
}

// count is an answer that the member may send.
func (m *member) count(request string, n int) *cluster.Message {
	return &cluster.Message{Kind: cluster.BroadcastClientCount, UID: m.node.UID(), Namespace: m.namespace, RequestID: request, Count: n}
}

func (m *member) publish(t *testing.T, x *cluster.Message) {
	t.Helper()
	if err := m.node.Publish(x); err != nil {
		t.Fatal(err)
	}
}
