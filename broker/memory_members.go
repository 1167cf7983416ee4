package broker

import (
	"context"
	"sync"
)

// MemoryTopicMembers is a [TopicMembers] that joins the nodes of one process. What is told
// takes effect before the call returns. The zero value is ready.
type MemoryTopicMembers struct {
	mu     sync.Mutex // also while changed is called
	topics map[string]*memoryMembers
}

// memoryMembers are one topic's. None is without members and watchers.
type memoryMembers struct {
	members  map[memberKey]TopicMember
	watchers map[*memoryMembersNode]struct{}
}

type memberKey struct {
	node       *memoryMembersNode
	connection string
}

type memoryMembersNode struct {
	all     *MemoryTopicMembers
	changed func(string, TopicMember, bool) // none are missed
	left    bool                            // all.mu
}

// Join implements [TopicMembers]. There is no error.
func (a *MemoryTopicMembers) Join(r TopicMembersReceiver) (TopicMembersNode, error) {
	return &memoryMembersNode{all: a, changed: r.Changed}, nil
}

// ofLocked returns a topic, which it makes if there is none.
func (a *MemoryTopicMembers) ofLocked(topic string) *memoryMembers {
	t := a.topics[topic]
	if t == nil {
		if a.topics == nil {
			a.topics = map[string]*memoryMembers{}
		}
		t = &memoryMembers{map[memberKey]TopicMember{}, map[*memoryMembersNode]struct{}{}}
		a.topics[topic] = t
	}
	return t
}

func (a *MemoryTopicMembers) dropLocked(topic string) {
	if t := a.topics[topic]; t != nil && len(t.members)+len(t.watchers) == 0 {
		delete(a.topics, topic)
	}
}

func (t *memoryMembers) tell(topic string, m TopicMember, joined bool) {
	for n := range t.watchers {
		n.changed(topic, m, joined)
	}
}

// Enter implements [TopicMembersNode].
func (n *memoryMembersNode) Enter(topic string, m TopicMember) error {
	n.all.mu.Lock()
	defer n.all.mu.Unlock()
	if n.left {
		return ErrClosed
	}
	t, key := n.all.ofLocked(topic), memberKey{n, m.Connection}
	_, there := t.members[key]
	t.members[key] = m
	if !there {
		t.tell(topic, m, true)
	}
	return nil
}

// Exit implements [TopicMembersNode].
func (n *memoryMembersNode) Exit(topic, connection string) error {
	n.all.mu.Lock()
	defer n.all.mu.Unlock()
	if n.left {
		return ErrClosed
	}
	n.exitLocked(topic, memberKey{n, connection})
	return nil
}

func (n *memoryMembersNode) exitLocked(topic string, key memberKey) {
	t := n.all.topics[topic]
	if t == nil {
		return
	}
	if m, there := t.members[key]; there {
		delete(t.members, key)
		t.tell(topic, m, false)
		n.all.dropLocked(topic)
	}
}

// Watch implements [TopicMembersNode].
func (n *memoryMembersNode) Watch(topic string) {
	n.all.mu.Lock()
	defer n.all.mu.Unlock()
	if !n.left {
		n.all.ofLocked(topic).watchers[n] = struct{}{}
	}
}

// Unwatch implements [TopicMembersNode].
func (n *memoryMembersNode) Unwatch(topic string) {
	n.all.mu.Lock()
	defer n.all.mu.Unlock()
	if t := n.all.topics[topic]; t != nil {
		delete(t.watchers, n)
		n.all.dropLocked(topic)
	}
}

// List implements [TopicMembersNode].
func (n *memoryMembersNode) List(_ context.Context, topic string, limit int) (members []TopicMember, total int, err error) {
	n.all.mu.Lock()
	defer n.all.mu.Unlock()
	if n.left {
		return nil, 0, ErrClosed
	}
	t := n.all.topics[topic]
	if t == nil {
		return nil, 0, nil
	}
	for _, m := range t.members {
		if len(members) == limit {
			break
		}
		members = append(members, m)
	}
	return members, len(t.members), nil
}

// Leave implements [TopicMembersNode].
func (n *memoryMembersNode) Leave(context.Context) error {
	n.all.mu.Lock()
	defer n.all.mu.Unlock()
	n.left = true
	for topic, t := range n.all.topics {
		delete(t.watchers, n)
		for key := range t.members {
			if key.node == n {
				n.exitLocked(topic, key)
			}
		}
		n.all.dropLocked(topic)
	}
	return nil
}
