package redis

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/conv"
)

const (
	// topicSkipsLogged is how often at most a node logs what it skipped.
	topicSkipsLogged = 10 * time.Second
	// maxPublishers bounds the other nodes whose messages of a topic are counted.
	maxPublishers = 1024
)

// errNotProven says that no probe has come back lately.
var errNotProven = errors.New("redis: no subscriber connection proves that messages pass")

// redisTopics is broker.Topics over a Broker.
type redisTopics struct{ b *Broker }

// topicsState is what the nodes of a Broker's Topics share.
type topicsState struct {
	once sync.Once
	lane *lane

	mu     sync.Mutex
	nodes  map[*topicNode]struct{}
	closed bool
}

// topicNode is a membership of raw topics. Its methods do not block, Leave and
// those with a context apart.
type topicNode struct {
	b      *Broker
	id     uint64 // publisher
	r      broker.TopicsReceiver
	out    *topicQueue
	reader topicReader
	reads  chan struct{} // has an element for each log that is being read

	ctx  context.Context // ends with Leave, and with the Broker
	end  context.CancelFunc
	jobs sync.WaitGroup // reading logs

	missed  atomic.Uint64 // messages of other nodes that are known to be missing
	skipped atomic.Uint64 // envelopes and entries that made no sense
	gaps    atomic.Uint64
	warned  atomic.Int64 // Unix nanoseconds of the last warning

	// calls is held, for reading, while the receiver is called, so that Leave can
	// wait for the end of that.
	calls sync.RWMutex
	left  bool // calls

	mu     sync.Mutex
	topics map[string]receivedTopic // nil once the node leaves
}

// receivedTopic is the subscription of a topic.
type receivedTopic interface {
	// release ends it, perhaps late.
	release(late bool)
	// wait returns when it has taken effect, or ctx ends. The error is
	// broker.ErrClosed after release, and ctx's.
	wait(ctx context.Context) error
}

// Join implements broker.Topics.
func (t redisTopics) Join(r broker.TopicsReceiver) (broker.Node, error) {
	s := &t.b.topics
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || t.b.ctx.Err() != nil {
		return nil, broker.ErrClosed
	}
	s.once.Do(func() { s.lane = t.b.newLane("topics") })
	n := newTopicNode(t.b, r, s.lane.push)
	if s.nodes == nil {
		s.nodes = map[*topicNode]struct{}{}
	}
	s.nodes[n] = struct{}{}
	return n, nil
}

// Close implements broker.Topics. The Broker stays open.
func (t redisTopics) Close() error {
	s := &t.b.topics
	s.mu.Lock()
	s.closed = true
	var nodes []*topicNode
	for n := range s.nodes {
		nodes = append(nodes, n)
	}
	s.mu.Unlock()
	for _, n := range nodes {
		_ = n.Leave()
	}
	return nil
}

func newTopicNode(b *Broker, r broker.TopicsReceiver, push pushFunc) *topicNode {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	n := &topicNode{
		b: b, id: binary.BigEndian.Uint64(id[:]), r: r,
		reader: topicReader{b}, reads: make(chan struct{}, topicReadsAtOnce),
		topics: map[string]receivedTopic{},
	}
	commands := newTopicCommands(b.shardsTopics(), b.opts.Durable, n.id)
	n.out = newTopicQueue(push, commands, n.id, b.opts.QueueMessages, b.opts.QueueBytes)
	n.ctx, n.end = context.WithCancel(b.ctx)
	return n
}

// shardsTopics reports whether topics go by sharded pub/sub: in a Cluster a plain
// publication goes to every server of it.
func (b *Broker) shardsTopics() bool { return b.clustered() && majorVersion(b.version()) >= 7 }

// majorVersion is 7 of 7.0.15, 0 if that is not a version.
func majorVersion(v string) int {
	major := 0
	for _, c := range []byte(v) {
		if c < '0' || c > '9' || major > 1000 {
			break
		}
		major = major*10 + int(c-'0')
	}
	return major
}

// Subscribe implements broker.Node.
func (n *topicNode) Subscribe(topic string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.topics == nil || n.topics[topic] != nil {
		return
	}
	commands := n.out.commands
	addr := commands.address(topic)
	if addr.durable {
		n.topics[topic] = n.follow(topic, addr)
		return
	}
	p := &plainTopic{n: n, topic: topic, next: map[uint64]uint64{}}
	n.topics[topic] = n.b.hub.subscribe(commands.kind(), addr.channel, p)
}

// Unsubscribe implements broker.Node.
func (n *topicNode) Unsubscribe(topic string) {
	n.mu.Lock()
	t := n.topics[topic]
	delete(n.topics, topic)
	n.mu.Unlock()
	if t != nil {
		t.release(true)
	}
}

// Publish implements broker.Node. What waits is bounded by QueueMessages and
// QueueBytes.
//
// Hot path: per message.
func (n *topicNode) Publish(m broker.Message) error { return n.out.publish(m, nil) }

// PublishWait implements broker.Node. A server that takes publications of a plain
// topic, but from which nothing comes back, is as good as none: ErrUnavailable. A
// durable one's subscribers will find the message in the log.
func (n *topicNode) PublishWait(ctx context.Context, m broker.Message) (offset string, err error) {
	if !n.out.commands.address(m.Topic).durable && !n.b.hub.proven() {
		return "", n.out.refuse(m, notTaken(errNotProven))
	}
	return n.out.publishWait(ctx, m)
}

// PublishThen implements broker.Node, with the errors of PublishWait.
func (n *topicNode) PublishThen(m broker.Message, done func(offset string, err error)) error {
	if !n.out.commands.address(m.Topic).durable && !n.b.hub.proven() {
		return n.out.refuse(m, notTaken(errNotProven))
	}
	return n.out.publish(m, done)
}

// Keeps implements broker.Node.
func (n *topicNode) Keeps(topic string) bool { return n.out.commands.address(topic).durable }

// Ready implements broker.Node.
func (n *topicNode) Ready(ctx context.Context, topic string) error {
	n.mu.Lock()
	t := n.topics[topic]
	n.mu.Unlock()
	if t == nil {
		return broker.ErrClosed
	}
	return t.wait(ctx)
}

// History implements broker.Node.
func (n *topicNode) History(ctx context.Context, topic, since string, limit int) (broker.History, error) {
	if n.ctx.Err() != nil {
		return broker.History{}, broker.ErrClosed
	}
	addr := n.out.commands.address(topic)
	if !addr.durable {
		return broker.History{}, broker.ErrNoHistory
	}
	h, err := n.reader.history(ctx, topic, addr.log, since, limit)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return h, err
}

// Health implements broker.Node.
func (n *topicNode) Health() broker.Health {
	var h broker.Health
	if n.ctx.Err() != nil {
		h.Reason = "the node has left"
	} else {
		h = n.b.Health()
	}
	h.Lost = n.out.lost.Load() + n.missed.Load() + n.skipped.Load()
	h.Gaps = n.gaps.Load()
	return h
}

// Leave implements broker.Node. What was published before is sent, or has failed,
// when it returns.
func (n *topicNode) Leave() error {
	n.mu.Lock()
	topics := n.topics
	n.topics = nil
	n.mu.Unlock()
	n.end()
	for _, t := range topics {
		t.release(false)
	}
	n.calls.Lock()
	n.left = true
	n.calls.Unlock()
	n.jobs.Wait()
	n.out.close()
	s := &n.b.topics
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.nodes, n)
	return nil
}

// deliver hands a message to the receiver.
func (n *topicNode) deliver(m broker.Message) {
	n.calls.RLock()
	defer n.calls.RUnlock()
	if !n.left {
		n.r.Deliver(m)
	}
}

// deliverOwn is deliver of what this node has published.
func (n *topicNode) deliverOwn(m broker.Message) {
	if n.r.Own == nil {
		return
	}
	n.calls.RLock()
	defer n.calls.RUnlock()
	if !n.left {
		n.r.Own(m)
	}
}

// foundGap counts a gap in a topic's messages, and tells it.
func (n *topicNode) foundGap(topic string, g broker.Gap) {
	n.b.count.gap(g.Reason)
	if g.Lost > 0 {
		n.missed.Add(uint64(g.Lost))
		if g.Reason == broker.Trimmed {
			n.b.count.lostTrimmed.Add(uint64(g.Lost))
		}
	}
	n.tellGap(topic, g)
}

// tellGap tells the receiver of a gap, which is counted at the Broker already.
func (n *topicNode) tellGap(topic string, g broker.Gap) {
	n.gaps.Add(1)
	n.calls.RLock()
	defer n.calls.RUnlock()
	if !n.left && n.r.Gap != nil {
		n.r.Gap(topic, g)
	}
}

// skip counts what makes no sense.
func (n *topicNode) skip(topic string, err error) {
	n.skipped.Add(1)
	n.b.count.lostMalformed.Add(1)
	n.warn("messages of a topic make no sense and were skipped", topic, err)
}

// warn tells an operator, now and then.
func (n *topicNode) warn(text, topic string, err error) {
	now, last := time.Now().UnixNano(), n.warned.Load()
	if (last == 0 || now-last >= int64(topicSkipsLogged)) && n.warned.CompareAndSwap(last, now) {
		n.b.log.Warn("redis: "+text, "topic", topic, "skipped", n.skipped.Load(), "error", err)
	}
}

// plainTopic receives a topic without history. Its methods are those of a
// listener.
type plainTopic struct {
	n     *topicNode
	topic string
	// next is the number of each publisher's next message: a higher one tells
	// that some are missing.
	next map[uint64]uint64
}

func (p *plainTopic) message(_, payload string) {
	e, err := parsePlain(payload)
	if err != nil {
		p.n.skip(p.topic, err)
		return
	}
	if e.publisher == p.n.id {
		return
	}
	seen := p.count(&e)
	p.n.calls.RLock()
	defer p.n.calls.RUnlock()
	if p.n.left {
		return
	}
	for body := e.body; body != ""; {
		data, isBinary, rest, _ := nextMessage(body)
		if seen > 0 {
			seen--
		} else {
			p.n.r.Deliver(broker.Message{Topic: p.topic, Data: conv.Bytes(data), Binary: isBinary})
		}
		body = rest
	}
}

// count tells of messages that are missing before an envelope, and returns how
// many in it were there before.
func (p *plainTopic) count(e *plainEnvelope) (seen uint64) {
	next, known := p.next[e.publisher]
	if known && e.first/outboxNumbers != next/outboxNumbers {
		next = e.first - e.first%outboxNumbers // where the publisher began anew
	}
	switch {
	case !known && len(p.next) >= maxPublishers:
		clear(p.next)
	case known && e.first > next:
		g := broker.Gap{Reason: e.why, Lost: int64(e.first - next)}
		if e.why == 0 || e.why > broker.Overflow {
			g.Reason = broker.Reconnected
		}
		p.n.foundGap(p.topic, g)
	case known && e.first < next:
		seen = next - e.first
		if seen >= uint64(e.count) {
			return seen
		}
	}
	p.next[e.publisher] = e.first + uint64(e.count)
	return seen
}

func (p *plainTopic) gap(g broker.Gap) { p.n.tellGap(p.topic, g) }
