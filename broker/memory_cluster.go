package broker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync"

	"github.com/fe4bcecb/wsd/codec/cluster"
)

// What may wait for one node's Deliver: more is lost, and counted.
const (
	maxClusterQueue = 64 << 10 // messages
	maxClusterBytes = 64 << 20 // of Message.Size; a single one may be larger
)

// MemoryCluster is a [Cluster] that joins the Socket.IO servers of one process.
// Messages are not encoded: receivers get the sender's. Each node has a queue
// and, while that is not empty, a goroutine that empties it.
type MemoryCluster struct {
	mu    sync.RWMutex
	nodes map[string]map[string]*memoryMember // by namespace, by UID
}

// NewMemoryCluster makes a cluster without nodes. It needs no closing: it ends
// when its nodes have left.
func NewMemoryCluster() *MemoryCluster {
	return &MemoryCluster{nodes: map[string]map[string]*memoryMember{}}
}

// Join implements [Cluster]. There is no error.
func (c *MemoryCluster) Join(namespace string, r ClusterReceiver) (ClusterNode, error) {
	var b [8]byte
	// crypto/rand.Read never fails.
	_, _ = rand.Read(b[:])
	n := &memoryMember{cluster: c, namespace: namespace, uid: hex.EncodeToString(b[:]), receiver: r}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nodes[namespace] == nil {
		c.nodes[namespace] = map[string]*memoryMember{}
	}
	c.nodes[namespace][n.uid] = n
	return n, nil
}

// memoryMember is one membership. Lock order: the cluster's mu, then its own.
type memoryMember struct {
	cluster   *MemoryCluster
	namespace string
	uid       string
	receiver  ClusterReceiver

	mu      sync.Mutex
	left    bool
	running bool
	queue   []memoryParcel
	waiting int // of the queue: those that are messages
	bytes   int // of these
	lost    uint64
	gaps    uint64
}

// memoryParcel is a message, or, where message is nil, the place where some are
// missing.
type memoryParcel struct {
	message *cluster.Message
	missing int64
}

// UID implements [ClusterNode].
func (n *memoryMember) UID() string { return n.uid }

// Publish implements [ClusterNode].
func (n *memoryMember) Publish(m *cluster.Message) error {
	if m.Kind.Response() || m.Check() != nil {
		return cluster.ErrMessage
	}
	n.cluster.mu.RLock()
	defer n.cluster.mu.RUnlock()
	nodes := n.cluster.nodes[n.namespace]
	if nodes[n.uid] != n {
		return ErrClosed
	}
	size := m.Size()
	var failed error
	for _, other := range nodes {
		if other == n {
			continue
		}
		if err := other.push(m, size); err != nil {
			failed = err
		}
	}
	return failed
}

// PublishThen implements [ClusterNode]. It calls done before it returns.
func (n *memoryMember) PublishThen(m *cluster.Message, done func(offset string, err error)) error {
	if !isEvent(m) {
		return cluster.ErrMessage
	}
	err := n.Publish(m)
	if err == nil {
		done("", nil)
	}
	return err
}

// isEvent reports whether a message is a broadcast that asks for no answers.
func isEvent(m *cluster.Message) bool { return m.Kind == cluster.Broadcast && m.RequestID == "" }

// Respond implements [ClusterNode].
func (n *memoryMember) Respond(uid string, m *cluster.Message) error {
	if !m.Kind.Response() || m.Check() != nil {
		return cluster.ErrMessage
	}
	n.cluster.mu.RLock()
	defer n.cluster.mu.RUnlock()
	nodes := n.cluster.nodes[n.namespace]
	if nodes[n.uid] != n {
		return ErrClosed
	}
	if other := nodes[uid]; other != nil && other != n {
		return other.push(m, m.Size())
	}
	return nil
}

// Members implements [ClusterNode].
func (n *memoryMember) Members(context.Context) (Members, error) {
	n.cluster.mu.RLock()
	defer n.cluster.mu.RUnlock()
	nodes := n.cluster.nodes[n.namespace]
	if nodes[n.uid] != n {
		return Members{}, ErrClosed
	}
	m := Members{Others: len(nodes) - 1}
	for uid := range nodes {
		if uid != n.uid {
			m.UIDs = append(m.UIDs, uid)
		}
	}
	return m, nil
}

// RoomJoined implements [ClusterNode]. Every node hears everything.
func (n *memoryMember) RoomJoined(string) {}

// RoomLeft implements [ClusterNode].
func (n *memoryMember) RoomLeft(string) {}

// Health implements [ClusterNode].
func (n *memoryMember) Health() Health {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := Health{Up: !n.left, Lost: n.lost, Gaps: n.gaps}
	if n.left {
		h.Reason = "the node has left"
	}
	return h
}

// Leave implements [ClusterNode].
func (n *memoryMember) Leave() {
	c := n.cluster
	c.mu.Lock()
	if nodes := c.nodes[n.namespace]; nodes[n.uid] == n {
		delete(nodes, n.uid)
		if len(nodes) == 0 {
			delete(c.nodes, n.namespace)
		}
	}
	c.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.left, n.queue, n.waiting, n.bytes = true, nil, 0, 0
}

// push queues a message for the node.
func (n *memoryMember) push(m *cluster.Message, size int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.left:
		return nil
	case n.waiting >= maxClusterQueue, n.waiting > 0 && n.bytes+size > maxClusterBytes:
		n.missLocked()
		return ErrOverflow
	}
	n.enqueueLocked(m, size)
	return nil
}

// enqueue is push whatever waits already, for what is bounded otherwise.
func (n *memoryMember) enqueue(m *cluster.Message, size int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.left {
		n.enqueueLocked(m, size)
	}
}

func (n *memoryMember) enqueueLocked(m *cluster.Message, size int) {
	n.queue = append(n.queue, memoryParcel{message: m})
	n.waiting++
	n.bytes += size
	if !n.running {
		n.running = true
		go n.run()
	}
}

// missLocked notes that a message is missing at the end of the queue, which is
// not empty.
func (n *memoryMember) missLocked() {
	n.lost++
	if last := &n.queue[len(n.queue)-1]; last.message == nil {
		last.missing++
		return
	}
	n.queue = append(n.queue, memoryParcel{missing: 1})
}

// run delivers until the queue is empty.
func (n *memoryMember) run() {
	for {
		p, ok := n.next()
		switch {
		case !ok:
			return
		case p.message != nil:
			n.receiver.Deliver(p.message)
		case n.receiver.Gap != nil:
			n.receiver.Gap(Gap{Reason: Overflow, Lost: p.missing})
		}
	}
}

// next takes a parcel off the queue; false ends the goroutine.
func (n *memoryMember) next() (memoryParcel, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.queue) == 0 {
		n.running = false
		n.queue = nil // its array is mostly what was taken off
		return memoryParcel{}, false
	}
	p := n.queue[0]
	n.queue[0] = memoryParcel{}
	n.queue = n.queue[1:]
	if p.message == nil {
		n.gaps++
		return p, true
	}
	n.waiting--
	n.bytes -= p.message.Size()
	return p, true
}
