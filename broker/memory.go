package broker

import (
	"cmp"
	"context"
	"sync"
)

// DefaultMaxHistory is the default of Memory.MaxHistory.
const DefaultMaxHistory = 64 << 20

// Memory joins nodes of one process. Publishing calls the other nodes' Deliver
// functions before it returns. The zero value is ready.
type Memory struct {
	// Durable says whether a topic keeps history, and how much; it must always say
	// the same of a topic. nil: none does. Set it before the first Join. The
	// history lives as long as the Memory: offsets of another one, or of another
	// process, get what is kept and Complete false.
	Durable func(topic string) (r Retention, ok bool)
	// MaxHistory bounds the messages that are kept over all topics, and their logs, in
	// bytes, about; beyond it the logs that were not used for longest lose their older
	// half, or end. 0: 64 MiB. Set it before the first Join.
	MaxHistory int

	mu     sync.RWMutex
	topics map[string]map[*memoryNode]struct{}
	nodes  map[*memoryNode]struct{}
	closed bool
	logs   memoryLogs
}

type memoryNode struct {
	broker *Memory
	// ordered keeps Deliver from being called by two publishers at a time.
	ordered sync.Mutex
	r       TopicsReceiver
}

// Join implements Topics.
func (m *Memory) Join(r TopicsReceiver) (Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	if m.nodes == nil {
		m.nodes = map[*memoryNode]struct{}{}
		m.topics = map[string]map[*memoryNode]struct{}{}
	}
	n := &memoryNode{broker: m, r: r}
	m.nodes[n] = struct{}{}
	return n, nil
}

// Close implements Topics.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.nodes, m.topics = true, nil, nil
	return nil
}

// Subscribe implements Node. It takes effect before it returns.
func (n *memoryNode) Subscribe(topic string) {
	m := n.broker
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, joined := m.nodes[n]; !joined {
		return
	}
	members := m.topics[topic]
	if members == nil {
		members = map[*memoryNode]struct{}{}
		m.topics[topic] = members
	}
	members[n] = struct{}{}
}

// Ready implements Node.
func (n *memoryNode) Ready(_ context.Context, topic string) error {
	n.broker.mu.RLock()
	defer n.broker.mu.RUnlock()
	if _, subscribed := n.broker.topics[topic][n]; !subscribed {
		return ErrClosed
	}
	return nil
}

// Unsubscribe implements Node. It takes effect before it returns.
func (n *memoryNode) Unsubscribe(topic string) {
	m := n.broker
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removeLocked(n, topic)
}

func (m *Memory) removeLocked(n *memoryNode, topic string) {
	members := m.topics[topic]
	delete(members, n)
	if len(members) == 0 {
		delete(m.topics, topic)
	}
}

// Publish implements Node.
func (n *memoryNode) Publish(msg Message) error {
	_, err := n.publish(msg)
	return err
}

// PublishWait implements Node.
func (n *memoryNode) PublishWait(_ context.Context, msg Message) (offset string, err error) {
	return n.publish(msg)
}

// PublishThen implements Node. It calls done before it returns.
func (n *memoryNode) PublishThen(msg Message, done func(offset string, err error)) error {
	offset, err := n.publish(msg)
	if err == nil {
		done(offset, nil)
	}
	return err
}

// Keeps implements Node.
func (n *memoryNode) Keeps(topic string) bool {
	if n.broker.Durable == nil {
		return false
	}
	_, ok := n.broker.Durable(topic)
	return ok
}

func (n *memoryNode) publish(msg Message) (offset string, err error) {
	m := n.broker
	m.mu.RLock()
	defer m.mu.RUnlock()
	if _, joined := m.nodes[n]; !joined {
		return "", ErrClosed
	}
	msg.Offset = ""
	m.logs.shrink(int64(cmp.Or(m.MaxHistory, DefaultMaxHistory)))
	if log := m.logs.open(msg.Topic, m.Durable); log != nil {
		// Held over the deliveries: they come in the order of the offsets.
		defer log.mu.Unlock()
		msg.Offset = log.append(msg)
	}
	for other := range m.topics[msg.Topic] {
		deliver := other.r.Deliver
		if other == n {
			if deliver = n.r.Own; deliver == nil || msg.Offset == "" {
				continue
			}
		}
		other.ordered.Lock()
		deliver(msg)
		other.ordered.Unlock()
	}
	return msg.Offset, nil
}

// History implements Node.
func (n *memoryNode) History(_ context.Context, topic, since string, limit int) (History, error) {
	m := n.broker
	m.mu.RLock()
	defer m.mu.RUnlock()
	if _, joined := m.nodes[n]; !joined {
		return History{}, ErrClosed
	}
	return m.logs.history(topic, since, limit, m.Durable)
}

// Health implements Node.
func (n *memoryNode) Health() Health {
	n.broker.mu.RLock()
	defer n.broker.mu.RUnlock()
	if _, joined := n.broker.nodes[n]; !joined {
		return Health{Reason: "the node has left"}
	}
	return Health{Up: true}
}

// Leave implements Node.
func (n *memoryNode) Leave() error {
	m := n.broker
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.nodes, n)
	for topic, members := range m.topics {
		if _, ok := members[n]; ok {
			m.removeLocked(n, topic)
		}
	}
	return nil
}
