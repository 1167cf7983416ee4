package pubsub

import (
	"sync"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/jsontext"
	"github.com/fe4bcecb/wsd/engine"
)

// maxShard is how many bytes may wait for one loop. What comes beyond it is missing:
// messages are told as a gap.
const maxShard = 16 << 20

// deliverySize is what a delivery counts beside its message, in bytes.
const deliverySize = 64

// topic is a topic that has subscribers on this node.
type topic struct {
	server      *Server
	name        string
	quoted      string // as JSON
	keeps       bool   // history
	stop        func() // ends the App's Watch
	subscribers int    // Server.mu
	watchers    int    // Server.mu; subscribers that are told of joins and leaves

	mu      sync.Mutex // after Server.mu, before a shard's
	locals  []*local
	scratch []byte
}

// local is a topic's subscribers on one loop, which is all that touches them.
type local struct {
	topic   *topic
	shard   *shard
	members []*subscription

	watchers int // topic.mu; members that are told of joins and leaves
	// What found the shard full since the last delivery, and the newest of it:
	// shard.mu.
	lost     int64
	lostID   cluster.ID
	outdated bool // joins or leaves did
}

func newTopic(s *Server, name string) *topic {
	return &topic{server: s, name: name, quoted: string(jsontext.AppendQuoted(nil, name)), keeps: s.opts.App.Keeps(name)}
}

// add makes a client a member on its loop. Server.mu is held.
func (t *topic) add(c *Client) *subscription {
	t.mu.Lock()
	defer t.mu.Unlock()
	var l *local
	for _, x := range t.locals {
		if x.shard == c.shard {
			l = x
		}
	}
	if l == nil {
		l = &local{topic: t, shard: c.shard}
		t.locals = append(t.locals, l)
	}
	sub := &subscription{client: c, local: l, slot: len(l.members)}
	l.members = append(l.members, sub)
	return sub
}

// remove takes a member out. Server.mu is held.
func (t *topic) remove(sub *subscription) {
	l := sub.local
	last := len(l.members) - 1
	l.members[sub.slot] = l.members[last]
	l.members[sub.slot].slot = sub.slot
	l.members[last] = nil
	l.members = l.members[:last]
	if last > 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, x := range t.locals {
		if x == l {
			t.locals = append(t.locals[:i:i], t.locals[i+1:]...)
			return
		}
	}
}

// deliver encodes a message once for all subscribers, and hands it to their loops.
//
// Hot path: per message.
func (t *topic) deliver(m broker.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.locals) == 0 {
		return
	}
	t.scratch = appendMessage(t.scratch[:0], t.quoted, &m)
	d := delivery{
		kind:    messageDelivery,
		message: engine.NewPreparedMessage(t.scratch, engine.Text),
		size:    len(t.scratch),
		offset:  m.Offset,
	}
	if cap(t.scratch) > maxScratch {
		t.scratch = nil
	}
	if m.Offset != "" {
		d.id, _ = cluster.ParseID(m.Offset) // the broker's own
	}
	t.spreadLocked(d)
}

// spread hands something to the loops of all subscribers, behind what was handed to
// them before.
func (t *topic) spread(d delivery) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spreadLocked(d)
}

func (t *topic) spreadLocked(d delivery) {
	for _, l := range t.locals {
		if l.watchers == 0 && (d.kind == memberDelivery || d.kind == outdatedDelivery) {
			continue
		}
		d.local = l
		l.shard.push(d)
	}
}

// shard is a loop's part of a Server: what waits for the loop's clients.
type shard struct {
	server *Server
	loop   *engine.Loop
	parser parser // the loop's
	out    []byte // the loop's, for answers

	mu     sync.Mutex
	queue  []delivery
	spare  []delivery
	bytes  int
	posted bool
}

type deliveryKind uint8

const (
	messageDelivery deliveryKind = iota
	gapDelivery
	memberDelivery
	outdatedDelivery // joins or leaves are missing, or found the shard full
	answerDelivery
)

// delivery is something for the subscribers of a topic on a loop, or the answer to
// one client's publication.
type delivery struct {
	kind    deliveryKind
	local   *local
	message *engine.PreparedMessage
	size    int // of the message, in bytes
	offset  string
	id      cluster.ID // of offset

	mark      bool // a gap: of what found the shard full
	reason    gapReason
	restarted bool
	lost      int64

	about  string // the connection that joined or left
	client *Client
	answer string // the id of the request; "" for none
	err    error
}

// push queues a delivery. Messages, joins and leaves beyond maxShard are lost, and
// counted; a mark in the place of the first tells of them. Answers, gaps and marks are
// always queued: clients bound the former, and the others are few.
func (s *shard) push(d delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := d.size + deliverySize
	full := s.bytes+size > s.server.maxShard
	switch {
	case full && d.kind == memberDelivery:
		s.server.count.presenceLost.Add(1)
		if d.local.outdated {
			return
		}
		d.local.outdated = true
		d = delivery{kind: outdatedDelivery, local: d.local}
		size = deliverySize
	case full && d.kind == messageDelivery:
		s.server.count.lost.Add(1)
		if d.id.Compare(d.local.lostID) > 0 {
			d.local.lostID = d.id
		}
		if d.local.lost++; d.local.lost > 1 {
			return
		}
		// The first one that does not fit leaves a mark where the gap is.
		d = delivery{kind: gapDelivery, local: d.local, mark: true, reason: backpressure}
		size = deliverySize
	}
	s.queue = append(s.queue, d)
	s.bytes += size
	if !s.posted {
		s.posted = s.loop.Post(s.flush)
	}
}

// flush delivers what has gathered. It runs on the loop.
func (s *shard) flush() {
	s.mu.Lock()
	queue := s.queue
	s.queue, s.spare = s.spare[:0], nil
	s.bytes, s.posted = 0, false
	for i := range queue {
		// Marks get the number of those that are missing by now, and the newest.
		switch d := &queue[i]; {
		case d.mark:
			d.lost, d.local.lost = d.local.lost, 0
			d.id, d.local.lostID = d.local.lostID, cluster.ID{}
		case d.kind == outdatedDelivery:
			d.local.outdated = false
		}
	}
	s.mu.Unlock()
	for i := range queue {
		d := &queue[i]
		if d.kind == answerDelivery {
			d.client.published(d.answer, d.offset, d.err)
			continue
		}
		for _, sub := range d.local.members {
			sub.deliver(d)
		}
	}
	clear(queue)
	s.mu.Lock()
	defer s.mu.Unlock()
	if cap(queue) <= 4096 {
		s.spare = queue[:0]
	}
}
