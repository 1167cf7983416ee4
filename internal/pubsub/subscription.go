package pubsub

import (
	"context"
	"slices"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
)

// beginning is the offset before any log's first message.
const beginning = "0-0"

type state uint8

const (
	joining state = iota // the broker is being asked
	behind               // messages are read from the log
	live                 // they are sent as they arrive
)

// subscription is a client's of one topic. It belongs to the client's loop.
//
// Messages of a topic that keeps history are sent in the order of the log, each
// once: after the last one that was sent come those of the log, and from where the
// log has no more, those that arrive.
type subscription struct {
	client   *Client
	local    *local
	slot     int // in local.members
	state    state
	presence bool // joins and leaves are told
	entered  bool // it is a member
	gone     bool

	// id is of the request that is to be answered when the client is up to date; "":
	// it has none.
	id        string
	upToDate  bool // once
	answered  bool // with ok or an error
	recovers  bool
	recovered bool

	// Of a topic that keeps history: the last message that was sent, the newest that
	// arrived and was not, and what a page of the log has that waits for a slow
	// reader.
	offset  string
	last    cluster.ID
	seen    cluster.ID
	backlog []broker.Message
	more    bool // behind the backlog
	fromLog bool // last comes from the log, and nothing has arrived since
	failed  int  // readings in a row
	paused  bool // after a failure

	// What was dropped since the last gap was told: messages of other topics, and
	// whether joins or leaves were.
	dropped  int64
	outdated bool
}

// subscribe begins a subscription.
func (c *Client) subscribe(id string, r *request) {
	s, name := c.server, string(r.topic)
	var from cluster.ID
	switch {
	case c.subs[name] != nil:
		c.refuse(id, failure{badRequest, "subscribed already"})
		return
	case len(c.subs) >= s.limits.Load().MaxTopics:
		c.refuse(id, failure{limit, "too many topics"})
		return
	case !may(c.account.Subscribe, name):
		c.refuse(id, failure{forbidden, "not allowed to subscribe to this topic"})
		return
	}
	if r.recover {
		var err error
		if from, err = cluster.ParseID(string(r.offset)); err != nil {
			c.refuse(id, failureOf(broker.ErrOffset))
			return
		}
	}
	sub, err := s.enter(c, name)
	if err != nil {
		c.refuse(id, failureOf(err))
		return
	}
	c.subs[name] = sub
	s.count.subscriptions.Add(1)
	sub.id, sub.presence, sub.recovers = id, r.presence, r.recover
	if r.recover {
		sub.offset, sub.last = string(r.offset), from
	}
	c.join(sub)
}

// join goes on when the broker has the subscription.
func (c *Client) join(sub *subscription) {
	s, t := c.server, sub.local.topic
	if !t.keeps && s.opts.App.Ready(s.ctx, t.name) == nil {
		sub.begin("", nil) // there is no broker
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.opts.Timeout)
	if err := c.ask(job{do: func() (then func()) {
		defer cancel()
		err := s.opts.App.Ready(ctx, t.name)
		var h broker.History
		if err == nil && t.keeps && !sub.recovers {
			h, err = s.opts.App.History(ctx, t.name, "", 0)
		}
		return func() {
			if !sub.gone {
				sub.begin(h.Last, err)
			}
		}
	}}); err != nil {
		cancel()
		sub.refuse(failureOf(err))
	}
}

// begin ends joining. end is where the log ends, for who does not recover.
func (sub *subscription) begin(end string, err error) {
	c, t := sub.client, sub.local.topic
	switch {
	case err != nil:
		sub.refuse(failureOf(err))
	case !t.keeps:
		sub.state = live
		if sub.recovers {
			sub.tellGap(trimmed, -1, false)
		}
		sub.offset = "" // there is none
		sub.tellUpToDate()
	case sub.recovers:
		sub.state, sub.recovered = behind, true
		c.pump()
	default:
		if end == "" {
			end = beginning
		}
		sub.offset, sub.fromLog = end, true
		sub.last, _ = cluster.ParseID(end)
		sub.caughtUp()
	}
}

// caughtUp goes live, unless something newer has arrived.
func (sub *subscription) caughtUp() {
	sub.state = live
	if sub.seen.Compare(sub.last) > 0 {
		sub.state = behind
		return
	}
	sub.tellUpToDate()
}

// tellUpToDate answers the request, or has the members asked for that the answer
// needs, once.
func (sub *subscription) tellUpToDate() {
	if sub.upToDate {
		return
	}
	sub.upToDate = true
	c, s := sub.client, sub.client.server
	if sub.recovers {
		result := recoveredAll
		if !sub.recovered {
			result = recoveredPart
		}
		s.count.recoveries[result].Add(1)
	}
	c.enterMembers(sub)
	if !sub.presence || s.members == nil {
		sub.tellOK(nil, 0)
		return
	}
	c.listMembers(sub.local.topic.name, func(members []broker.TopicMember, total int, err error) {
		switch {
		case sub.gone:
			return
		case err != nil:
			sub.refuse(failureOf(err))
			return
		}
		if !slices.Contains(members, c.member()) && len(members) < s.opts.MaxMembers {
			members, total = append(members, c.member()), total+1 // it has just come
		}
		sub.tellOK(members, total)
	})
}

// tellOK answers the request. Where presence was asked for there are members.
func (sub *subscription) tellOK(members []broker.TopicMember, total int) {
	c := sub.client
	sub.answered = true
	if sub.id == "" {
		return
	}
	b := appendOK(c.room(), sub.id)
	if sub.offset != "" {
		b = appendOffset(b, sub.offset)
	}
	if sub.recovers {
		b = append(b, `,"recovered":`...)
		if sub.recovered {
			b = append(b, "true"...)
		} else {
			b = append(b, "false"...)
		}
	}
	if members != nil {
		c.answerMembers(b, members, total)
		return
	}
	c.answer(append(b, '}'))
}

// refuse answers the request with an error, which ends the subscription.
func (sub *subscription) refuse(f failure) {
	sub.answered = true
	sub.client.refuse(sub.id, f)
	sub.client.leave(sub)
}

// unsubscribe ends a subscription, whose request is not left without an answer.
func (c *Client) unsubscribe(id, topic string) {
	if sub := c.subs[topic]; sub != nil {
		if sub.id != "" && !sub.answered {
			sub.refuse(failure{badRequest, "unsubscribed before the subscription stood"})
		}
		c.leave(sub)
	}
	c.ok(id)
}

// leave ends a subscription.
func (c *Client) leave(sub *subscription) {
	if sub.gone {
		return
	}
	sub.gone = true
	name := sub.local.topic.name
	delete(c.subs, name)
	c.server.count.subscriptions.Add(-1)
	c.exitMembers(sub)
	c.server.exit(sub)
}

// deliver takes what has arrived for the topic.
//
// Hot path: per message and subscriber.
func (sub *subscription) deliver(d *delivery) {
	c, t := sub.client, sub.local.topic
	switch d.kind {
	case memberDelivery:
		switch {
		case !sub.presence || !sub.entered || d.about == c.id:
		case !c.fits(d.size):
			c.server.count.presenceDropped.Add(1)
			sub.outdated, c.dropping = true, true
		default:
			sub.tellDropped()
			c.ws.SendPrepared(d.message)
		}
		return
	case outdatedDelivery:
		if sub.presence && sub.entered {
			sub.outdated = true
			sub.tellWhereItFits()
		}
		return
	case gapDelivery:
		sub.missed(d)
		return
	}
	if !t.keeps || d.offset == "" {
		sub.send(d)
		return
	}
	switch {
	case d.id.Compare(sub.last) <= 0 && sub.state == live:
	case sub.state != live:
		sub.see(d.id)
	case !c.fits(d.size):
		if c.closesSlow() {
			return
		}
		// What does not fit is in the log.
		sub.state = behind
		sub.see(d.id)
		c.server.count.postponed.Add(1)
	default:
		c.ws.SendPrepared(d.message)
		sub.offset, sub.last, sub.fromLog = d.offset, d.id, false
	}
}

func (sub *subscription) see(id cluster.ID) {
	if id.Compare(sub.seen) > 0 {
		sub.seen = id
	}
}

// send sends a message that no log has, or counts it as missing.
func (sub *subscription) send(d *delivery) {
	c := sub.client
	if !c.fits(d.size) {
		if c.closesSlow() {
			return
		}
		sub.dropped++
		c.dropping = true
		c.server.count.dropped.Add(1)
		return
	}
	sub.tellDropped()
	c.ws.SendPrepared(d.message)
}

// closesSlow closes a client that is too slow, where that is the policy.
func (c *Client) closesSlow() bool {
	if c.server.opts.CloseSlow {
		c.ws.Close(closePolicy, "too slow")
	}
	return c.server.opts.CloseSlow
}

// tellDropped tells how many messages were dropped, and whether joins or leaves were.
func (sub *subscription) tellDropped() {
	if n, presence := sub.dropped, sub.outdated; n > 0 || presence {
		sub.dropped, sub.outdated = 0, false
		sub.tellGap(backpressure, n, presence)
	}
}

// tellWhereItFits is tellDropped, at once or when the reader has read more: the gaps
// of many topics are more than an answer.
func (sub *subscription) tellWhereItFits() {
	c := sub.client
	switch {
	case sub.dropped == 0 && !sub.outdated:
	case c.fits(len(sub.local.topic.quoted) + gapBytes):
		sub.tellDropped()
	default:
		c.dropping = true
	}
}

// missed takes a gap that was told by the broker, or a mark where the loop's queue
// was full.
func (sub *subscription) missed(d *delivery) {
	if sub.local.topic.keeps {
		switch {
		case d.id != cluster.ID{}:
			sub.see(d.id) // it is in the log, which perhaps was read before
			sub.readAgain()
			return
		case sub.state != live && !d.mark:
			return // reading the log shows what is missing
		case d.restarted && sub.fromLog && sub.last != cluster.ID{}:
			// Perhaps it was read when it had begun anew: then what arrives now was in it.
			sub.readAgain()
			return
		case d.restarted:
			sub.offset, sub.last = beginning, cluster.ID{}
		}
	}
	sub.tellGap(d.reason, d.lost, false)
}

// readAgain leaves a subscription to the log.
func (sub *subscription) readAgain() {
	if sub.state == live {
		sub.state = behind
		sub.client.pump()
	}
}

func (sub *subscription) tellGap(why gapReason, lost int64, presence bool) {
	c := sub.client
	c.server.count.gaps[why].Add(1)
	c.answer(appendGap(c.room(), sub.local.topic.quoted, why, lost, presence))
}
