package pubsub

import (
	"context"
	"slices"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/engine"
)

const (
	// A page of a log holds pageFirst messages at first, then as many as make about
	// pageBytes, pageMost at most.
	pageFirst = 32
	pageMost  = 512
	pageBytes = 256 << 10
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
	since, seen, limit := sub.offset, sub.seen, sub.page
	if limit == 0 {
		limit = pageFirst
	}
	return func() (then func()) {
		ctx, cancel := context.WithTimeout(s.ctx, s.opts.Timeout)
		defer cancel()
		h, err := s.opts.App.History(ctx, name, since, limit)
		return func() {
			switch {
			case sub.gone:
			case err != nil:
				sub.notRead(err)
			default:
				sub.failed = 0
				sub.take(&h, seen, limit)
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
func (sub *subscription) take(h *broker.History, seen cluster.ID, limit int) {
	if !h.Complete {
		sub.recovered = false
		sub.last = cluster.ID{} // perhaps the log began anew
		sub.tellGap(trimmed, -1, false)
	}
	sub.more = h.More
	if len(h.Messages) > 0 {
		sub.page = nextPage(limit, h.Messages)
		sub.backlog = h.Messages
		if n := bounded(h.Messages); n < len(h.Messages) {
			// A copy, so that the rest does not stay in memory with it.
			sub.backlog, sub.more = slices.Clone(h.Messages[:n]), true
		}
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

// nextPage is how many messages to ask for after these, which are not none.
func nextPage(limit int, page []broker.Message) int {
	size := 0
	for i := range page {
		size += len(page[i].Data)
	}
	return max(1, min(len(page)*pageBytes/max(size, 1), 2*limit, pageMost))
}

// bounded is how many of these messages may wait for a slow reader: pageBytes of
// them, or one.
func bounded(page []broker.Message) int {
	size := 0
	for i := range page {
		if size += len(page[i].Data); size > pageBytes && i > 0 {
			return i
		}
	}
	return len(page)
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
