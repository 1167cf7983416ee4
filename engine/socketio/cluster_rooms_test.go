package socketio_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/engine/socketio"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// roomCluster keeps what its nodes are told of rooms.
type roomCluster struct {
	own bool

	mu   sync.Mutex
	told []string
}

type roomNode struct {
	broker.ClusterNode
	c *roomCluster
}

func (c *roomCluster) Join(namespace string, r broker.ClusterReceiver) (broker.ClusterNode, error) {
	node, err := broker.NewMemoryCluster().Join(namespace, r)
	return roomNode{node, c}, err
}

func (c *roomCluster) tell(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = append(c.told, what)
}

func (c *roomCluster) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.told)
}

func (n roomNode) RoomJoined(room string) { n.c.tell("+" + room) }
func (n roomNode) RoomLeft(room string)   { n.c.tell("-" + room) }
func (n roomNode) OwnRooms() bool         { return n.c.own }

// TestBrokerKnowsOfRooms joins from another goroutine than the loop's: the broker
// has been told when Join returns, and once only.
func TestBrokerKnowsOfRooms(t *testing.T) {
	c := &roomCluster{}
	made := make(chan *socketio.Socket, 1)
	srv := serve(t, socketio.Options{Cluster: c}, announce(made))
	w := gather(t, srv, made, 1)
	s := w.sockets[0]

	s.Join("r", "q")
	if got, want := c.all(), []string{"+r", "+q"}; !slices.Equal(got, want) {
		t.Errorf("when Join returned the broker had been told %q, want %q", got, want)
	}
	s.Leave("r")
	testkit.Eventually(t, func() bool { return slices.Contains(c.all(), "-r") }, patience)
	if got, want := c.all(), []string{"+r", "+q", "-r"}; !slices.Equal(got, want) {
		t.Errorf("the broker was told %q, want %q", got, want)
	}
}

// TestBrokerKnowsOfOwnRooms is for a broker that wants to.
func TestBrokerKnowsOfOwnRooms(t *testing.T) {
	c := &roomCluster{own: true}
	made := make(chan *socketio.Socket, 1)
	srv := serve(t, socketio.Options{Cluster: c}, announce(made))
	w := gather(t, srv, made, 1)
	id := w.sockets[0].ID()
	testkit.Eventually(t, func() bool { return slices.Equal(c.all(), []string{"+" + id}) }, patience)
	w.sockets[0].Disconnect(true)
	testkit.Eventually(t, func() bool { return slices.Equal(c.all(), []string{"+" + id, "-" + id}) }, patience)
}
