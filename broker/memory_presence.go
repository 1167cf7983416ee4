package broker

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/codec/cluster"
)

// MemoryPresence is a [Presence] that joins the Socket.IO servers of one process.
// What is told takes effect before the call returns.
type MemoryPresence struct {
	mu    sync.RWMutex
	nodes map[string]*memoryPresenceNode // by name
	users map[string][]Connection        // the oldest first, none is empty
}

// NewMemoryPresence makes a presence without nodes. It needs no closing: it ends
// when its nodes have left.
func NewMemoryPresence() *MemoryPresence {
	return &MemoryPresence{nodes: map[string]*memoryPresenceNode{}, users: map[string][]Connection{}}
}

// Join implements [Presence].
func (p *MemoryPresence) Join(server string, direct func(*cluster.Message)) (PresenceNode, error) {
	if err := CheckServer(server); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.nodes[server] != nil {
		return nil, ErrServer
	}
	n := &memoryPresenceNode{presence: p, server: server, started: time.Now()}
	n.inbox.deliver = direct
	p.nodes[server] = n
	return n, nil
}

// memoryPresenceNode is one node. Lock order: the presence's mu, then its
// inbox's.
type memoryPresenceNode struct {
	presence *MemoryPresence
	server   string
	started  time.Time
	inbox    memoryInbox
}

// left reports whether the node has left; the presence's mu is held.
func (n *memoryPresenceNode) leftLocked() bool { return n.presence.nodes[n.server] != n }

// Enter implements [PresenceNode].
func (n *memoryPresenceNode) Enter(user, connection string, at time.Time) error {
	if err := CheckUser(user); err != nil {
		return err
	}
	p := n.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	if n.leftLocked() {
		return ErrClosed
	}
	all := slices.DeleteFunc(p.users[user], func(c Connection) bool { return c.ID == connection })
	x := Connection{ID: connection, Server: n.server, At: at}
	i, _ := slices.BinarySearchFunc(all, x, CompareConnections)
	p.users[user] = slices.Insert(all, i, x)
	return nil
}

// Exit implements [PresenceNode].
func (n *memoryPresenceNode) Exit(user, connection string) error {
	if err := CheckUser(user); err != nil {
		return err
	}
	p := n.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	if n.leftLocked() {
		return ErrClosed
	}
	p.removeLocked(user, func(c Connection) bool { return c.Server == n.server && c.ID == connection })
	return nil
}

func (p *MemoryPresence) removeLocked(user string, which func(Connection) bool) {
	rest := slices.DeleteFunc(p.users[user], which)
	if len(rest) == 0 {
		delete(p.users, user)
		return
	}
	p.users[user] = rest
}

// Lookup implements [PresenceNode].
func (n *memoryPresenceNode) Lookup(_ context.Context, user string) ([]Connection, error) {
	if err := CheckUser(user); err != nil {
		return nil, err
	}
	p := n.presence
	p.mu.RLock()
	defer p.mu.RUnlock()
	if n.leftLocked() {
		return nil, ErrClosed
	}
	return slices.Clone(p.users[user]), nil
}

// Servers implements [PresenceNode].
func (n *memoryPresenceNode) Servers(context.Context) ([]ServerInfo, error) {
	p := n.presence
	p.mu.RLock()
	defer p.mu.RUnlock()
	if n.leftLocked() {
		return nil, ErrClosed
	}
	all := make([]ServerInfo, 0, len(p.nodes))
	for _, other := range p.nodes {
		all = append(all, ServerInfo{Name: other.server, Started: other.started})
	}
	slices.SortFunc(all, func(a, b ServerInfo) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Send implements [PresenceNode].
func (n *memoryPresenceNode) Send(server string, m *cluster.Message) error {
	if m.Kind != cluster.Broadcast || m.Check() != nil {
		return cluster.ErrMessage
	}
	p := n.presence
	p.mu.RLock()
	defer p.mu.RUnlock()
	if n.leftLocked() {
		return ErrClosed
	}
	if other := p.nodes[server]; other != nil {
		return other.inbox.push(m)
	}
	return nil
}

// SendThen implements [PresenceNode]. It calls done before it returns.
func (n *memoryPresenceNode) SendThen(server string, m *cluster.Message, done func(error)) error {
	err := n.Send(server, m)
	if err == nil {
		done(nil)
	}
	return err
}

// Health implements [PresenceNode].
func (n *memoryPresenceNode) Health() Health {
	n.presence.mu.RLock()
	defer n.presence.mu.RUnlock()
	h := Health{Up: !n.leftLocked(), Lost: n.inbox.losses()}
	if !h.Up {
		h.Reason = "the node has left"
	}
	return h
}

// Leave implements [PresenceNode].
func (n *memoryPresenceNode) Leave(context.Context) error {
	p := n.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	if n.leftLocked() {
		return nil
	}
	delete(p.nodes, n.server)
	for user := range p.users {
		p.removeLocked(user, func(c Connection) bool { return c.Server == n.server })
	}
	n.inbox.close()
	return nil
}

// memoryInbox is what waits for one node's direct, and, while that is not
// nothing, a goroutine that hands it on.
type memoryInbox struct {
	deliver func(*cluster.Message)

	mu      sync.Mutex
	closed  bool
	running bool
	queue   []*cluster.Message
	bytes   int // of the queue
	lost    uint64
}

// push queues a message.
func (b *memoryInbox) push(m *cluster.Message) error {
	size := m.Size()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) >= maxClusterQueue || len(b.queue) > 0 && b.bytes+size > maxClusterBytes {
		b.lost++
		return ErrOverflow
	}
	b.queue = append(b.queue, m)
	b.bytes += size
	if !b.running {
		b.running = true
		go b.run()
	}
	return nil
}

// run delivers until the queue is empty.
func (b *memoryInbox) run() {
	for m := b.next(); m != nil; m = b.next() {
		b.deliver(m)
	}
}

// next takes a message off the queue; nil ends the goroutine.
func (b *memoryInbox) next() *cluster.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.queue) == 0 {
		b.running, b.queue, b.bytes = false, nil, 0
		return nil
	}
	m := b.queue[0]
	b.queue[0] = nil
	b.queue = b.queue[1:]
	b.bytes -= m.Size()
	return m
}

func (b *memoryInbox) losses() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

// close drops what waits.
func (b *memoryInbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}
