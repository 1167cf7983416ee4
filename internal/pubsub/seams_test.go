package pubsub_test

import (
	"context"
	"sync"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/engine"
)

// members is a [broker.TopicMembers] whose List a test takes over.
type members struct {
	broker.MemoryTopicMembers
	list    func(limit int) ([]broker.TopicMember, int, error)
	changed func(topic string, m broker.TopicMember, joined bool)
	missed  func(topic string)
}

type membersNode struct {
	broker.TopicMembersNode
	all *members
}

func (m *members) Join(r broker.TopicMembersReceiver) (broker.TopicMembersNode, error) {
	m.changed, m.missed = r.Changed, r.Missed
	n, err := m.MemoryTopicMembers.Join(r)
	return membersNode{n, m}, err
}

func (n membersNode) List(ctx context.Context, topic string, limit int) ([]broker.TopicMember, int, error) {
	if n.all.list != nil {
		return n.all.list(limit)
	}
	return n.TopicMembersNode.List(ctx, topic, limit)
}

// logs are [broker.Topics] that have a test see each reading of a log.
type logs struct {
	broker.Topics
	before func(since string)
	after  func(broker.History)
	r      broker.TopicsReceiver // the node's, after Join
}

type logsNode struct {
	broker.Node
	all *logs
}

func (l *logs) Join(r broker.TopicsReceiver) (broker.Node, error) {
	l.r = r
	n, err := l.Topics.Join(r)
	return logsNode{n, l}, err
}

func (n logsNode) History(ctx context.Context, topic, since string, limit int) (broker.History, error) {
	n.all.before(since)
	h, err := n.Node.History(ctx, topic, since, limit)
	n.all.after(h)
	return h, err
}

// hold has the loops stand still until the function that it returns is called.
func (n *node) hold() (release func()) {
	held := make(chan struct{})
	var standing sync.WaitGroup
	for _, l := range n.app.Loops() {
		standing.Add(1)
		l.Post(func() {
			standing.Done()
			<-held
		})
	}
	standing.Wait()
	return sync.OnceFunc(func() { close(held) })
}

// publish hands a message to the broker.
func (n *node) publish(topic string, data []byte) (offset string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	offset, err := n.app.PublishWait(ctx, topic, data, engine.Text)
	if err != nil {
		n.t.Fatal(err)
	}
	return offset
}

// blocked is a gate that a test opens, at its end at the latest.
func blocked(t *testing.T) (gate chan struct{}, open func()) {
	gate = make(chan struct{})
	open = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open)
	return gate, open
}
