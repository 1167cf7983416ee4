package redis

import (
	"context"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
)

// Keys of the members of topics. Those of one topic have it in their hash tag:
//
//	wsd:{t:<topic>}:members   hash: node and connection to user
//	wsd:{t:<topic>}:presence  channel: joins and leaves
//	wsd:members:<node>        lease of a node
const memberLeaseKey = "wsd:members:"

func membersKey(topic string) string     { return "wsd:{t:" + topic + "}:members" }
func membersChannel(topic string) string { return "wsd:{t:" + topic + "}:presence" }

const (
	// membersLife is how long the hash of a topic outlives the last word of its nodes,
	// who touch it every third of it.
	membersLife = time.Hour
	// maxMembersRead bounds what is read of a topic's members at a time, about. Of a
	// larger topic joins and leaves are told as they come; where some were lost on the
	// way, or with a node that died, that is told.
	maxMembersRead = 10_000
	// memberIDLen is how long the ids of nodes are.
	memberIDLen = 24
)

// redisMembers is a Broker's broker.TopicMembers.
type redisMembers struct{ b *Broker }

// membersState is what a Broker's nodes of members share.
type membersState struct {
	once sync.Once
	lane *lane
}

// TopicMembers knows who is in topics.
func (b *Broker) TopicMembers() broker.TopicMembers { return redisMembers{b} }

// membersNode is one node's part.
type membersNode struct {
	b    *Broker
	lane *lane
	id   string
	r    broker.TopicMembersReceiver

	ctx  context.Context // ends with Leave, and with the Broker
	end  context.CancelFunc
	gone sync.WaitGroup
	wake chan struct{}

	mu      sync.Mutex
	left    bool
	own     map[string]map[string]string // by topic: connections and users
	dirty   map[string]bool              // topics to be told again; true: whatever their hash says
	allDue  time.Time                    // when all topics are to be told again
	watched map[string]*membersView
}

// Join implements broker.TopicMembers.
func (t redisMembers) Join(r broker.TopicMembersReceiver) (broker.TopicMembersNode, error) {
	b := t.b
	b.members.once.Do(func() { b.members.lane = b.newLane("members") })
	n := &membersNode{
		b: b, lane: b.members.lane, id: newToken(), r: r,
		wake:    make(chan struct{}, 1),
		own:     map[string]map[string]string{},
		dirty:   map[string]bool{},
		allDue:  time.Now().Add(membersLife / 3),
		watched: map[string]*membersView{},
	}
	n.ctx, n.end = context.WithCancel(b.ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		n.end()
		return nil, broker.ErrClosed
	}
	n.gone.Add(2)
	b.wg.Go(func() {
		defer n.gone.Done()
		n.repeat(nil, n.hold) // apart: what keep has to do may take longer than the lease lasts
	})
	b.wg.Go(func() {
		defer n.gone.Done()
		n.repeat(n.wake, n.keep)
	})
	return n, nil
}

// Enter implements broker.TopicMembersNode.
func (n *membersNode) Enter(topic string, m broker.TopicMember) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left {
		return broker.ErrClosed
	}
	if n.own[topic] == nil {
		n.own[topic] = map[string]string{}
	}
	n.own[topic][m.Connection] = m.User
	return n.tellLocked(topic, m, true)
}

// Exit implements broker.TopicMembersNode.
func (n *membersNode) Exit(topic, connection string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left {
		return broker.ErrClosed
	}
	user, there := n.own[topic][connection]
	if !there {
		return nil
	}
	if delete(n.own[topic], connection); len(n.own[topic]) == 0 {
		delete(n.own, topic)
	}
	return n.tellLocked(topic, broker.TopicMember{User: user, Connection: connection}, false)
}

// tellLocked changes the hash, and publishes what has changed. Where that fails, the
// topic is told again as a whole.
func (n *membersNode) tellLocked(topic string, m broker.TopicMember, joined bool) error {
	key, field := membersKey(topic), n.id+m.Connection
	size := len(key) + len(field) + len(m.User) + orderSize
	done := func(r rueidis.RedisResult) {
		if r.Error() != nil && !rueidis.IsRedisNil(r.Error()) {
			n.again(topic)
		}
	}
	err := n.lane.push(size, func(b rueidis.Builder) rueidis.Completed {
		if joined {
			return b.Hset().Key(key).FieldValue().FieldValue(field, m.User).Build()
		}
		return b.Hdel().Key(key).Field(field).Build()
	}, done)
	if err == nil && joined {
		err = n.lane.push(size, func(b rueidis.Builder) rueidis.Completed {
			return b.Pexpire().Key(key).Milliseconds(membersLife.Milliseconds()).Build()
		}, done)
	}
	if err == nil {
		err = n.announceLocked(topic, m, joined)
	}
	if err != nil {
		n.againLocked(topic)
	}
	return err
}

// announceLocked publishes a join or leave. Whoever misses it finds it in the hash.
func (n *membersNode) announceLocked(topic string, m broker.TopicMember, joined bool) error {
	channel, kind := membersChannel(topic), n.b.inboxKind()
	event := "-"
	if joined {
		event = "+"
	}
	event += n.id + m.Connection + "\x00" + m.User
	return n.lane.push(len(channel)+len(event), func(b rueidis.Builder) rueidis.Completed {
		if kind == sharded {
			return b.Spublish().Channel(channel).Message(event).Build()
		}
		return b.Publish().Channel(channel).Message(event).Build()
	}, nil)
}

func (n *membersNode) again(topic string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.againLocked(topic)
}

// againLocked has a topic be told again, by its hash unless it is to be anyway.
func (n *membersNode) againLocked(topic string) {
	if _, due := n.dirty[topic]; !due {
		n.dirty[topic] = false
	}
}

// List implements broker.TopicMembersNode.
func (n *membersNode) List(ctx context.Context, topic string, limit int) (members []broker.TopicMember, total int, err error) {
	if n.ctx.Err() != nil {
		return nil, 0, broker.ErrClosed
	}
	if err := n.beginView(ctx, topic); err != nil {
		return nil, 0, n.listError(ctx, err)
	}
	all, total, err := n.read(ctx, topic)
	var alive map[string]bool
	if err == nil {
		alive, err = n.lookAt(ctx, nodesOf(nil, all))
	}
	if err != nil {
		return nil, 0, n.listError(ctx, err)
	}
	for field, user := range all {
		if !alive[nodeOfField(field)] {
			total--
			continue
		}
		if len(members) < limit {
			members = append(members, broker.TopicMember{User: user, Connection: field[memberIDLen:]})
		}
	}
	return members, total, nil
}

// beginView has a topic that is watched be known: of what changes behind the list that
// is to be made, nothing is missed.
func (n *membersNode) beginView(ctx context.Context, topic string) error {
	n.mu.Lock()
	v := n.watched[topic]
	n.mu.Unlock()
	if v == nil {
		return nil
	}
	err := v.begin(ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.watched[topic] != v {
		return nil // nobody wants to be told any more
	}
	return err
}

// listError is what List tells of an error.
func (n *membersNode) listError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return notTaken(err)
}

// read returns a topic's hash, or of a large one a part, and how many fields it has.
func (n *membersNode) read(ctx context.Context, topic string) (fields map[string]string, total int, err error) {
	key := membersKey(topic)
	count, err := n.b.do(ctx, n.b.client.B().Hlen().Key(key).Build()).AsInt64()
	if err != nil {
		return nil, 0, err
	}
	if count > maxMembersRead {
		fields, err = n.readPart(ctx, key)
		return fields, int(count), err
	}
	fields, err = n.b.do(ctx, n.b.client.B().Hgetall().Key(key).Build()).AsStrMap()
	if err != nil {
		return nil, 0, err
	}
	for field := range fields {
		if len(field) <= memberIDLen {
			delete(fields, field) // something else has written it
		}
	}
	return fields, len(fields), nil
}

func (n *membersNode) readPart(ctx context.Context, key string) (map[string]string, error) {
	e, err := n.b.do(ctx, n.b.client.B().Hscan().Key(key).Cursor(0).Count(maxMembersRead).Build()).AsScanEntry()
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for i := 0; i+1 < len(e.Elements); i += 2 {
		if len(e.Elements[i]) > memberIDLen {
			fields[e.Elements[i]] = e.Elements[i+1]
		}
	}
	return fields, nil
}

func nodeOfField(field string) string { return field[:memberIDLen] }

// nodesOf adds the nodes that told of some members to a set.
func nodesOf(nodes map[string]bool, fields map[string]string) map[string]bool {
	if nodes == nil {
		nodes = map[string]bool{}
	}
	for field := range fields {
		nodes[nodeOfField(field)] = true
	}
	return nodes
}

// lookAt asks which nodes are alive.
func (n *membersNode) lookAt(ctx context.Context, nodes map[string]bool) (alive map[string]bool, err error) {
	if len(nodes) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, n.b.opts.CommandTimeout)
	defer cancel()
	var names []string
	var cmds rueidis.Commands
	for node := range nodes {
		names = append(names, node)
		cmds = append(cmds, n.b.client.B().Get().Key(memberLeaseKey+node).Build())
	}
	alive = map[string]bool{}
	for i, r := range n.b.client.DoMulti(ctx, cmds...) {
		err := r.Error()
		if err != nil && !rueidis.IsRedisNil(err) {
			return nil, err
		}
		alive[names[i]] = err == nil || names[i] == n.id
	}
	return alive, nil
}

// Leave implements broker.TopicMembersNode.
func (n *membersNode) Leave(ctx context.Context) error {
	n.mu.Lock()
	if n.left {
		n.mu.Unlock()
		return nil
	}
	n.left = true
	watched := n.watched
	n.watched = nil
	n.mu.Unlock()
	for _, v := range watched {
		v.sub.release(false)
	}
	n.end()
	n.gone.Wait() // nothing takes the lease again
	last, err := n.takeBack()
	if err != nil {
		return err
	}
	select {
	case <-last:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// takeBack has all members leave, and gives the lease up. last is closed when that
// is over.
func (n *membersNode) takeBack() (last chan struct{}, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for topic, members := range n.own {
		for connection, user := range members {
			_ = n.tellLocked(topic, broker.TopicMember{User: user, Connection: connection}, false) // else the lease ends it
		}
	}
	last = make(chan struct{})
	err = n.lane.push(len(n.id), func(b rueidis.Builder) rueidis.Completed {
		return b.Del().Key(memberLeaseKey + n.id).Build()
	}, func(rueidis.RedisResult) { close(last) })
	return last, err
}
