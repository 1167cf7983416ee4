package redis

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
)

const (
	// retellTopics is how many topics are read at a time to be told again.
	retellTopics = 32
	// retellMembers is how many members are told again before the lane is waited for:
	// what comes meanwhile finds room in it.
	retellMembers = 256
)

// repeat calls round some times per life of the lease, sooner when it has failed or
// somebody wakes it, until the node leaves.
func (n *membersNode) repeat(wake <-chan struct{}, round func() error) {
	life := n.b.opts.Lease
	for attempt := 0; ; {
		wait := jitter(life / keptPerLife)
		if err := round(); err != nil {
			wait = min(wait, backoff(attempt)+life/100)
			attempt++
		} else {
			attempt = 0
		}
		pauseOver := time.NewTimer(wait)
		select {
		case <-n.ctx.Done():
			pauseOver.Stop()
			return
		case <-wake:
		case <-pauseOver.C:
		}
		pauseOver.Stop()
	}
}

// hold keeps the lease. Where nobody held it, others may have taken this node for
// dead: everything is told again, whatever the hashes say, since those may be about
// to strike its members off; and once more, by the hashes, when they have.
func (n *membersNode) hold() error {
	key, life := memberLeaseKey+n.id, n.b.opts.Lease
	held, err := n.b.do(n.ctx, n.b.client.B().Pexpire().Key(key).Milliseconds(life.Milliseconds()).Build()).AsInt64()
	if err != nil || held == 1 {
		return err
	}
	if err := n.b.do(n.ctx, n.b.client.B().Set().Key(key).Value("1").Px(life).Build()).Error(); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for topic := range n.own {
		n.dirty[topic] = true
	}
	for _, v := range n.watched {
		v.stale = true
	}
	n.allDue = time.Now().Add(life)
	n.signal()
	return nil
}

// keep tells again what is due, and looks after what is watched.
func (n *membersNode) keep() error {
	n.mu.Lock()
	if now := time.Now(); now.After(n.allDue) {
		n.allDue = now.Add(membersLife / 3)
		for topic := range n.own {
			n.againLocked(topic)
		}
	}
	topics := slices.Collect(maps.Keys(n.dirty))
	views := slices.Collect(maps.Values(n.watched))
	n.mu.Unlock()
	for batch := range slices.Chunk(topics, retellTopics) {
		if err := n.retell(batch); err != nil {
			return err
		}
	}
	return n.refresh(views)
}

// retell makes the hashes of topics say of this node what is true. Those for which
// Redis has no good answer stay to be told; the error says that it had none to any,
// not even a refusal, or that the lane took nothing more.
func (n *membersNode) retell(topics []string) error {
	n.mu.Lock()
	anyway := map[string]bool{}
	for _, topic := range topics {
		anyway[topic] = n.dirty[topic]
		delete(n.dirty, topic) // who fails from now on adds it again
	}
	n.mu.Unlock()
	hashes, err := n.readHashes(topics)
	if len(hashes) > 0 {
		err = n.retellMembers(hashes, anyway)
	}
	if err == nil {
		for topic := range hashes {
			delete(anyway, topic)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for topic, whatever := range anyway {
		n.dirty[topic] = n.dirty[topic] || whatever
	}
	return err
}

// readHashes returns the hashes by topic, without those that could not be read; the
// error is one of theirs that is not Redis's answer.
func (n *membersNode) readHashes(topics []string) (hashes map[string]map[string]string, err error) {
	ctx, cancel := context.WithTimeout(n.ctx, n.b.opts.CommandTimeout)
	defer cancel()
	cmds := make(rueidis.Commands, len(topics))
	for i, topic := range topics {
		cmds[i] = n.b.client.B().Hgetall().Key(membersKey(topic)).Build()
	}
	hashes = map[string]map[string]string{}
	for i, r := range n.b.client.DoMulti(ctx, cmds...) {
		fields, e := r.AsStrMap()
		if e != nil && !rueidis.IsRedisNil(e) {
			n.b.count.commandErrors.Add(1)
			var refused *rueidis.RedisError
			if !errors.As(e, &refused) {
				err = e
			}
			continue
		}
		hashes[topics[i]] = fields
	}
	return hashes, err
}

// retellMembers tells of the members that hashes have wrong, and of all in topics
// that are to be told anyway, and has the hashes live on.
func (n *membersNode) retellMembers(hashes map[string]map[string]string, anyway map[string]bool) error {
	var due []dueMember
	n.mu.Lock()
	for topic, fields := range hashes {
		due = n.dueLocked(due, topic, fields, anyway[topic])
	}
	n.mu.Unlock()
	for {
		now := due[:min(len(due), retellMembers)]
		if err := n.tellDue(now); err != nil {
			return err
		}
		if err := n.touch(hashes); err != nil {
			return err
		}
		if due = due[len(now):]; len(due) == 0 {
			return nil
		}
	}
}

// dueMember is one to be told of.
type dueMember struct{ topic, connection, user string }

// dueLocked adds those of a topic.
func (n *membersNode) dueLocked(due []dueMember, topic string, fields map[string]string, anyway bool) []dueMember {
	for connection, user := range n.own[topic] {
		if old, there := fields[n.id+connection]; anyway || !there || old != user {
			due = append(due, dueMember{topic, connection, user})
		}
	}
	for field, user := range fields {
		if connection, ours := strings.CutPrefix(field, n.id); ours {
			if _, there := n.own[topic][connection]; !there {
				due = append(due, dueMember{topic, connection, user})
			}
		}
	}
	return due
}

// tellDue tells what is true of members by now.
func (n *membersNode) tellDue(due []dueMember) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left {
		return broker.ErrClosed
	}
	for _, d := range due {
		m := broker.TopicMember{User: d.user, Connection: d.connection}
		user, joined := n.own[d.topic][d.connection]
		if joined {
			m.User = user
		}
		if err := n.tellLocked(d.topic, m, joined); err != nil {
			return err
		}
	}
	return nil
}

// touch has hashes live on, and waits until the lane has sent
// that, and what was pushed before.
func (n *membersNode) touch(hashes map[string]map[string]string) error {
	sent := make(chan struct{}, len(hashes))
	for topic := range hashes {
		key := membersKey(topic)
		err := n.lane.push(len(key)+orderSize, func(b rueidis.Builder) rueidis.Completed {
			return b.Pexpire().Key(key).Milliseconds(membersLife.Milliseconds()).Build()
		}, func(r rueidis.RedisResult) {
			if r.Error() != nil {
				n.again(topic)
			}
			sent <- struct{}{}
		})
		if err != nil {
			return err
		}
	}
	for range hashes {
		select {
		case <-sent:
		case <-n.ctx.Done():
			return n.ctx.Err()
		}
	}
	return nil
}
