package redis

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
)

const (
	// maxNames and nameLife bound the other nodes whose names are kept: those that
	// were heard of last.
	maxNames = 256
	nameLife = 10 * time.Minute
	// skipsLogged is how often at most a namespace logs messages that it skipped.
	skipsLogged = 10 * time.Second
)

// emitterUID is what programs that only publish call themselves, all of them.
const emitterUID = "emitter"

// member is what the memberships of all adapters have in common: the queue of
// what arrives, the subscriptions, the way out, and the counts.
type member struct {
	b         *Broker
	lane      *lane
	uid       string
	namespace string
	inbox     *inbox
	names     *aged[struct{}] // of other nodes, from what they sent

	ctx   context.Context // ends with leave, and with the Broker
	end   context.CancelFunc
	whole chan struct{} // closed when attach has made its last subscription

	lost    atomic.Uint64             // messages that were refused, or failed on their way out
	done    func(rueidis.RedisResult) // sent, made once
	skipped atomic.Uint64             // messages that made no sense
	logged  atomic.Int64              // Unix nanoseconds of the last line about them

	mu      sync.Mutex
	left    bool            // mu
	subs    []*subscription // mu; the counted one, if there, is the first
	counted string          // mu; its channel
}

// newMember makes a membership that attach begins. open decodes what arrives.
func (b *Broker) newMember(namespace, uid string, r broker.ClusterReceiver, open func(channel, payload string) *cluster.Message) *member {
	m := &member{
		b:         b,
		lane:      b.clusterLane(),
		uid:       uid,
		namespace: namespace,
		inbox:     b.newInbox(r, open),
		names:     newAged[struct{}](maxNames, nameLife),
		whole:     make(chan struct{}),
	}
	m.done = m.sent
	m.ctx, m.end = context.WithCancel(b.ctx)
	b.presence.named(namespace, uid)
	return m
}

// UID implements broker.ClusterNode.
func (m *member) UID() string { return m.uid }

// address is a channel and how it is subscribed to.
type address struct {
	kind channelKind
	name string
}

// attach subscribes to channels, and when these stand to the one by whose
// subscribers others count the nodes that will answer. It does not wait for that.
func (m *member) attach(l listener, counted address, others ...address) {
	for _, a := range others {
		m.subs = append(m.subs, m.b.hub.subscribe(a.kind, a.name, l))
	}
	first := m.subs
	go func() {
		for _, s := range first {
			if s.wait(m.ctx) != nil {
				return
			}
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.left {
			return
		}
		m.subs = append([]*subscription{m.b.hub.subscribe(counted.kind, counted.name, l)}, m.subs...)
		m.counted = counted.name
		m.b.cluster.count(m.counted, 1)
		close(m.whole)
	}()
}

// subscriptions are all of them; whole says whether attach has made the last.
func (m *member) subscriptions() (subs []*subscription, whole bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.subs, m.counted != ""
}

// stand waits until all subscriptions stand. Errors are broker.ErrClosed and
// ctx's.
func (m *member) stand(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)()
	err := error(nil)
	select {
	case <-m.whole:
		subs, _ := m.subscriptions()
		for _, s := range subs {
			if err = s.wait(ctx); err != nil {
				break
			}
		}
	case <-ctx.Done():
		err = ctx.Err()
	}
	if m.ctx.Err() != nil {
		return broker.ErrClosed
	}
	return err
}

// up reports whether all subscriptions stand.
func (m *member) up() bool {
	subs, whole := m.subscriptions()
	for _, s := range subs {
		whole = whole && s.up()
	}
	return whole
}

// heard notes another node's name.
func (m *member) heard(uid string) {
	if uid != "" && uid != emitterUID {
		m.names.put(uid, struct{}{})
	}
}

// check is whether a message may be published, or is a proper answer.
func (m *member) check(x *cluster.Message, answer bool) error {
	switch {
	case m.ctx.Err() != nil:
		return broker.ErrClosed
	case x.Kind.Response() != answer, x.UID != m.uid, x.Namespace != m.namespace:
		return cluster.ErrMessage
	}
	switch x.Kind {
	case cluster.InitialHeartbeat, cluster.Heartbeat, cluster.AdapterClose:
		return cluster.ErrMessage // not a namespace's to send
	}
	return x.Check()
}

// checkEvent is check for a broadcast that asks for no answers.
func (m *member) checkEvent(x *cluster.Message) error {
	if x.Kind != cluster.Broadcast || x.RequestID != "" {
		return cluster.ErrMessage
	}
	return m.check(x, false)
}

// send publishes a payload, which is not changed any more. Errors are the lane's.
func (m *member) send(kind channelKind, channel string, payload []byte) error {
	return m.sendThen(kind, channel, payload, m.done)
}

// sendThen is send whose outcome done, which counts what failed, is told.
func (m *member) sendThen(kind channelKind, channel string, payload []byte, done func(rueidis.RedisResult)) error {
	err := m.lane.push(len(channel)+len(payload), func(b rueidis.Builder) rueidis.Completed {
		if kind == sharded {
			return b.Spublish().Channel(channel).Message(rueidis.BinaryString(payload)).Build()
		}
		return b.Publish().Channel(channel).Message(rueidis.BinaryString(payload)).Build()
	}, done)
	if err != nil {
		m.lost.Add(1)
	}
	return err
}

// sent counts what failed on its way.
func (m *member) sent(r rueidis.RedisResult) {
	if r.Error() != nil {
		m.lost.Add(1)
	}
}

// sentThen is sent that also tells. A server that takes what is published, but from
// which nothing comes back, is as good as none.
func (m *member) sentThen(done func(offset string, err error)) (func(rueidis.RedisResult), error) {
	if !m.b.hub.proven() {
		m.lost.Add(1)
		return nil, notTaken(errNotProven)
	}
	return func(r rueidis.RedisResult) {
		m.sent(r)
		done("", published(r))
	}, nil
}

// skip counts a message that makes no sense; one that is just not for wsd is none
// of those. An operator is told now and then; what the message says is nobody's
// business.
func (m *member) skip(err error) {
	if errors.Is(err, cluster.ErrIgnored) {
		return
	}
	n := m.skipped.Add(1)
	m.b.count.lostMalformed.Add(1)
	now, last := time.Now().UnixNano(), m.logged.Load()
	if (last == 0 || now-last >= int64(skipsLogged)) && m.logged.CompareAndSwap(last, now) {
		m.b.log.Warn("messages of other nodes make no sense and were skipped",
			"namespace", m.namespace, "skipped", n, "last", err)
	}
}

// Health implements broker.ClusterNode.
func (m *member) Health() broker.Health {
	var h broker.Health
	switch {
	case m.ctx.Err() != nil:
		h.Reason = "the node has left"
	default:
		if h = m.b.Health(); h.Up && !m.up() {
			h.Up, h.Reason = false, "subscriptions are not established"
		}
	}
	lost, gaps := m.inbox.counts()
	h.Lost, h.Gaps = lost+m.lost.Load()+m.skipped.Load(), gaps
	return h
}

// leave ends the membership: first what others count, then the rest. It reports
// whether it had not ended before.
func (m *member) leave() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left {
		return false
	}
	m.left = true
	m.b.presence.unnamed(m.namespace, m.uid)
	m.end()
	m.inbox.close()
	for _, s := range m.subs {
		s.release(false)
	}
	if m.counted != "" {
		m.b.cluster.count(m.counted, -1)
	}
	return true
}
