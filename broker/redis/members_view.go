package redis

import (
	"context"
	"strings"
	"sync"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
)

// membersView is what a node knows of a topic that it watches. It is a listener on
// the topic's channel: what it does not bring, the hash tells.
type membersView struct {
	n     *membersNode
	topic string
	sub   *subscription // n.mu
	stale bool          // n.mu: the hash is to be read

	reading sync.Mutex // held while the hash is read

	mu      sync.Mutex
	loaded  bool
	partial bool // the topic has more than members has
	loading bool
	members map[string]string // fields of the hash
	arrived []memberChange    // while loading
}

// memberChange is a join or a leave.
type memberChange struct {
	field, user string
	joined      bool
}

// Watch implements broker.TopicMembersNode.
func (n *membersNode) Watch(topic string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left || n.watched[topic] != nil {
		return
	}
	v := &membersView{n: n, topic: topic, stale: true, members: map[string]string{}}
	n.watched[topic] = v
	v.sub = n.b.hub.subscribe(n.b.inboxKind(), membersChannel(topic), v)
	n.signal()
}

// Unwatch implements broker.TopicMembersNode.
func (n *membersNode) Unwatch(topic string) {
	n.mu.Lock()
	v := n.watched[topic]
	delete(n.watched, topic)
	n.mu.Unlock()
	if v != nil {
		v.sub.release(true)
	}
}

func (n *membersNode) signal() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// message implements listener.
func (v *membersView) message(_, payload string) {
	if len(payload) <= 1+memberIDLen || payload[0] != '+' && payload[0] != '-' {
		return // something else has published it
	}
	field, user, ok := strings.Cut(payload[1:], "\x00")
	if !ok || len(field) <= memberIDLen {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.loading:
		v.arrived = append(v.arrived, memberChange{field, user, payload[0] == '+'})
	case v.loaded: // else the hash has it, which is read next
		v.noteLocked(field, user, payload[0] == '+')
	}
}

// gap implements listener.
func (v *membersView) gap(broker.Gap) {
	v.n.mu.Lock()
	v.stale = true
	v.n.mu.Unlock()
	v.n.signal()
}

// noteLocked takes a change, and tells it if it is one.
func (v *membersView) noteLocked(field, user string, joined bool) {
	old, there := v.members[field]
	switch {
	case joined && !there && len(v.members) < maxMembersRead:
		v.members[field] = user
	case !joined && there:
		delete(v.members, field)
		user = old
	case joined == there && len(v.members) < maxMembersRead:
		return
	case joined && !there:
		v.partial = true
	}
	v.n.r.Changed(v.topic, broker.TopicMember{User: user, Connection: field[memberIDLen:]}, joined)
}

// refresh reads the hashes that views have to, and has the members of nodes that died
// leave. A hash that can't be used keeps no other from being read.
func (n *membersNode) refresh(views []*membersView) error {
	var failed error
	for _, v := range views {
		n.mu.Lock()
		stale, sub := v.stale, v.sub
		v.stale = false
		n.mu.Unlock()
		if !stale {
			continue
		}
		if err := v.load(n.ctx, sub); err != nil {
			n.mu.Lock()
			v.stale = true
			n.mu.Unlock()
			if !unusable(err) {
				return err
			}
			failed = err
		}
	}
	var nodes map[string]bool
	for _, v := range views {
		v.mu.Lock()
		nodes = nodesOf(nodes, v.members)
		v.mu.Unlock()
	}
	alive, err := n.lookAt(n.ctx, nodes)
	if err != nil {
		return err
	}
	for _, v := range views {
		v.bury(alive)
	}
	return failed
}

// begin reads the hash unless that was done: what changes from now on is told.
func (v *membersView) begin(ctx context.Context) error {
	v.mu.Lock()
	loaded := v.loaded
	v.mu.Unlock()
	if loaded {
		return nil
	}
	v.n.mu.Lock()
	sub := v.sub
	v.n.mu.Unlock()
	return v.load(ctx, sub)
}

// load compares with the hash. What it has at first is no change.
func (v *membersView) load(ctx context.Context, sub *subscription) error {
	v.reading.Lock()
	defer v.reading.Unlock()
	ctx, cancel := context.WithTimeout(ctx, v.n.b.opts.CommandTimeout)
	defer cancel()
	if err := sub.wait(ctx); err != nil {
		return err
	}
	v.mu.Lock()
	v.loading = true
	v.mu.Unlock()
	fields, total, err := v.n.read(ctx, v.topic)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err == nil {
		v.compareLocked(fields, total)
	}
	v.loading = false
	if v.loaded {
		for _, c := range v.arrived {
			v.noteLocked(c.field, c.user, c.joined)
		}
	}
	v.arrived = nil
	return err
}

// missedLocked tells that members may have come or gone.
func (v *membersView) missedLocked() {
	if v.n.r.Missed != nil {
		v.n.r.Missed(v.topic)
	}
}

// compareLocked takes what the hash has.
func (v *membersView) compareLocked(fields map[string]string, total int) {
	v.partial = total > len(fields)
	if !v.loaded {
		v.loaded = true
		for field, user := range fields {
			v.members[field] = user
		}
		return
	}
	if v.partial {
		v.missedLocked() // too many to compare
		return
	}
	for field, user := range fields {
		if _, there := v.members[field]; !there {
			v.noteLocked(field, user, true)
		}
	}
	for field, user := range v.members {
		if _, there := fields[field]; !there {
			v.noteLocked(field, user, false)
		}
	}
}

// bury has the members of nodes leave that are not alive any more, and strikes them
// off the hash.
func (v *membersView) bury(alive map[string]bool) {
	v.mu.Lock()
	var dead []string
	for field, user := range v.members {
		if there, looked := alive[nodeOfField(field)]; looked && !there {
			dead = append(dead, field)
			v.noteLocked(field, user, false)
		}
	}
	if v.partial && len(dead) > 0 {
		v.missedLocked() // they may have had others
	}
	v.mu.Unlock()
	if len(dead) == 0 {
		return
	}
	key := membersKey(v.topic)
	_ = v.n.lane.push(len(key)+len(dead)*orderSize, func(b rueidis.Builder) rueidis.Completed {
		return b.Hdel().Key(key).Field(dead...).Build()
	}, nil) // else another node does, or the next look
}
