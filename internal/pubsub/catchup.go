package pubsub

import (
	"context"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/engine"
)

const (
	// pageMost is how many messages of a log are asked for at a time. They are fewer
	// where they would be more than broker.HistoryBytes.
	pageMost = 512
	// retryFirst is the pause after a log could not be read; it doubles up to
	// retryMost.
	retryFirst = 100 * time.Millisecond
	retryMost  = 5 * time.Second
)

// nextRead is a job that reads the log of a topic that is behind; nil if there is
// none, or the reader has to read first. Of one topic at a time a page is in memory.
func (c *Client) nextRead() func() (then func()) {
	var next *subscription
	for _, sub := range c.subs {
		if len(sub.backlog) > 0 {
			if sub.sendBacklog(); len(sub.backlog) > 0 {
				return nil // drained goes on
			}
			sub.pageSent()
		}
		if sub.state == behind && !sub.paused {
			next = sub
		}
	}
	if next == nil || !c.ws.Writable() {
		return nil
	}
	return next.read()
}

// read makes the job that reads the next page.
func (sub *subscription) read() func() (then func()) {
	s, name := sub.client.server, sub.local.topic.name
	since, seen := sub.offset, sub.seen
	return func() (then func()) {
		ctx, cancel := context.WithTimeout(s.ctx, s.opts.Timeout)
		defer cancel()
		h, err := s.opts.App.History(ctx, name, since, pageMost)
		return func() {
			switch {
			case sub.gone:
			case err != nil:
				sub.notRead(err)
			default:
				sub.failed = 0
				sub.take(&h, seen)
			}
		}
	}
}

// notRead refuses the subscription, or if it stands tries again later.
func (sub *subscription) notRead(err error) {
	c := sub.client
	if !sub.upToDate {
		if sub.recovers {
			c.server.count.recoveries[recoveryFailed].Add(1)
		}
		sub.refuse(failureOf(err))
		return
	}
	wait := min(retryFirst<<min(sub.failed, 10), retryMost)
	sub.failed++
	sub.paused = true
	time.AfterFunc(wait, func() {
		c.ws.Loop().Post(func() {
			sub.paused = false
			c.pump()
		})
	})
}

// take goes on from a page. seen is the newest message that had arrived when the
// page was asked for.
func (sub *subscription) take(h *broker.History, seen cluster.ID) {
	if !h.Complete {
		sub.recovered = false
		sub.last = cluster.ID{} // perhaps the log began anew
		sub.tellGap(trimmed, -1, false)
	}
	sub.more, sub.fromLog = h.More, true
	if len(h.Messages) > 0 {
		sub.backlog = h.Messages
		if sub.sendBacklog(); len(sub.backlog) == 0 {
			sub.pageSent()
		}
		return
	}
	if !h.Complete {
		if sub.offset = h.Last; h.Last == "" {
			sub.offset = beginning
		}
		sub.last, _ = cluster.ParseID(sub.offset) // the broker's own
	}
	if sub.seen == seen {
		sub.seen = cluster.ID{} // the log has it no more
	}
	sub.pageSent()
}

// sendBacklog sends of a page what the reader takes.
func (sub *subscription) sendBacklog() {
	c := sub.client
	for len(sub.backlog) > 0 {
		m := &sub.backlog[0]
		b := appendMessage(c.room(), sub.local.topic.quoted, m)
		if cap(b) <= maxScratch {
			c.shard.out = b
		}
		if !c.fits(len(b)) {
			return
		}
		if c.ws.Send(b, engine.Text) == engine.Dropped {
			return // closed
		}
		sub.offset = m.Offset
		sub.last, _ = cluster.ParseID(m.Offset) // the broker's own
		sub.backlog = sub.backlog[1:]
	}
	sub.backlog = nil
}

// pageSent goes live behind the last page.
func (sub *subscription) pageSent() {
	if !sub.more {
		sub.caughtUp()
	}
}
