package broker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync"

	"github.com/fe4bcecb/wsd/codec/cluster"
)

// maxClusterQueue is how many messages may wait for one node's deliver.
const maxClusterQueue = 64 << 10

// MemoryCluster joins the Socket.IO servers of one process. Each namespace of
// each server has a queue and, while it is not empty, a goroutine that empties
// it.
type MemoryCluster struct {
	mu    sync.Mutex
	nodes map[string]map[string]*clusterMember // by namespace, by UID
}

// NewMemoryCluster makes a cluster without nodes.
func NewMemoryCluster() *MemoryCluster {
	return &MemoryCluster{nodes: map[string]map[string]*clusterMember{}}
}

// Join attaches a node.
func (c *MemoryCluster) Join(namespace string, deliver func(*cluster.Message)) (ClusterNode, error) {
	var b [8]byte
	// crypto/rand.Read never fails.
	_, _ = rand.Read(b[:])
	n := &clusterMember{cluster: c, namespace: namespace, uid: hex.EncodeToString(b[:]), deliver: deliver}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nodes[namespace] == nil {
		c.nodes[namespace] = map[string]*clusterMember{}
	}
	c.nodes[namespace][n.uid] = n
	return n, nil
}

// clusterMember is one membership.
type clusterMember struct {
	cluster   *MemoryCluster
	namespace string
	uid       string
	deliver   func(*cluster.Message)

	mu      sync.Mutex
	left    bool
	running bool
	queue   []*cluster.Message
	lost    uint64
}

func (n *clusterMember) UID() string { return n.uid }

// others are the other nodes of the namespace; ok is false after Leave.
func (n *clusterMember) others() (nodes []*clusterMember, ok bool) {
	c := n.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.nodes[n.namespace]
	for uid, other := range all {
		if uid != n.uid {
			nodes = append(nodes, other)
		}
	}
	return nodes, all[n.uid] == n
}

func (n *clusterMember) Publish(m *cluster.Message) error {
	nodes, ok := n.others()
	if !ok {
		return ErrClosed
	}
	var failed error
	for _, other := range nodes {
		if err := other.push(m); err != nil {
			failed = err
		}
	}
	return failed
}

func (n *clusterMember) Respond(uid string, m *cluster.Message) error {
	c := n.cluster
	c.mu.Lock()
	other, member := c.nodes[n.namespace][uid], c.nodes[n.namespace][n.uid] == n
	c.mu.Unlock()
	switch {
	case !member:
		return ErrClosed
	case other == nil:
		return nil // who asked has left
	}
	return other.push(m)
}

func (n *clusterMember) Nodes(context.Context) (int, error) {
	nodes, ok := n.others()
	if !ok {
		return 0, ErrClosed
	}
	return len(nodes), nil
}

// RoomJoined does nothing: every node hears everything.
func (n *clusterMember) RoomJoined(string) {}

// RoomLeft does nothing.
func (n *clusterMember) RoomLeft(string) {}

func (n *clusterMember) Health() Health {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := Health{Up: !n.left, Lost: n.lost}
	if n.left {
		h.Reason = ErrClosed.Error()
	}
	return h
}

func (n *clusterMember) Leave() {
	c := n.cluster
	c.mu.Lock()
	if c.nodes[n.namespace][n.uid] == n {
		delete(c.nodes[n.namespace], n.uid)
		if len(c.nodes[n.namespace]) == 0 {
			delete(c.nodes, n.namespace)
		}
	}
	c.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.left, n.queue = true, nil
}

// push queues a message for the node.
func (n *clusterMember) push(m *cluster.Message) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.left:
		return nil
	case len(n.queue) >= maxClusterQueue:
		n.lost++
		return ErrOverflow
	}
	n.queue = append(n.queue, m)
	if !n.running {
		n.running = true
		go n.run()
	}
	return nil
}

// run delivers until the queue is empty.
func (n *clusterMember) run() {
	for {
		n.mu.Lock()
		if len(n.queue) == 0 {
			n.running = false
			n.mu.Unlock()
			return
		}
		batch := n.queue
		n.queue = nil
		n.mu.Unlock()
		for _, m := range batch {
			n.mu.Lock()
			left := n.left
			n.mu.Unlock()
			if !left {
				n.deliver(m)
			}
		}
	}
}
