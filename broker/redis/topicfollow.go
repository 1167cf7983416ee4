package redis

import (
	"context"
	"sync"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
)

const (
	// A command reads so many entries of a log at most, and bytes of them.
	topicReadCount = 100
	topicReadBytes = 1 << 20
	// topicReadsAtOnce is how many logs a node reads at a time: after a
	// reconnection all are due.
	topicReadsAtOnce = 16
	// topicReads is how often a log is tried that the server refuses to give.
	topicReads = 5
)

// topicFollower receives a durable topic: what the channel brings, and from the
// log what it did not bring. While a goroutine reads the log, what arrives is
// left to it.
type topicFollower struct {
	n      *topicNode
	topic  string
	addr   topicAddress
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	closed bool
	sub    *subscription // nil before the log was looked at
	// last is the newest entry that was delivered or passed over, and number its
	// number, 0 if that is unknown.
	known   bool
	last    cluster.ID
	number  uint64
	reading bool
	again   bool          // reading has to go on: messages may have been missed
	seen    cluster.ID    // the newest that arrived while reading
	begun   chan struct{} // closed when sub is set
	scratch []logEntry
}

// follow begins to receive a durable topic. What is published from the moment
// that the log is looked at will be delivered.
func (n *topicNode) follow(topic string, addr topicAddress) *topicFollower {
	f := &topicFollower{n: n, topic: topic, addr: addr, begun: make(chan struct{})}
	f.ctx, f.cancel = context.WithCancel(n.ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readLocked()
	return f
}

// release ends it. Deliver is not called after it has returned.
func (f *topicFollower) release(late bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.cancel()
	if f.sub != nil {
		f.sub.release(late)
	}
}

// wait implements receivedTopic: what is published from the moment that the log
// was looked at is delivered, be it later, from the log.
func (f *topicFollower) wait(ctx context.Context) error {
	select {
	case <-f.begun:
		return nil
	case <-f.ctx.Done():
		return broker.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// message implements listener.
func (f *topicFollower) message(_, payload string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	entries, err := parseDurable(f.scratch[:0], payload)
	if err != nil {
		f.n.skip(f.topic, err)
		return
	}
	f.scratch = entries
	newest := entries[len(entries)-1].id
	switch {
	case !f.known && !f.reading:
		// The log can't be read: what arrives is all there is.
		f.known, f.last = true, entries[0].previous
	case f.reading, entries[0].previous.Compare(f.last) > 0:
		if newest.Compare(f.seen) > 0 {
			f.seen = newest
		}
		f.readLocked()
		return
	}
	for i := range entries {
		f.acceptLocked(&entries[i])
	}
	clear(entries)
}

// gap implements listener. The log tells what is missing, if anything.
func (f *topicFollower) gap(broker.Gap) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	if !f.known {
		f.n.tellGap(f.topic, broker.Gap{Reason: broker.Reconnected, Lost: -1})
	}
	f.again = true
	f.readLocked()
}

// acceptLocked delivers an entry, unless that has happened. Entries between the last one and it are missing for good.
func (f *topicFollower) acceptLocked(e *logEntry) {
	if f.known && e.id.Compare(f.last) <= 0 {
		return
	}
	if e.foreign {
		f.known, f.last, f.number = true, e.id, 0
		f.n.skip(f.topic, errEnvelope)
		return
	}
	if f.known && e.previous != f.last && !f.expiredBefore(e) {
		f.n.foundGap(f.topic, f.missingBefore(e))
	}
	f.known, f.last, f.number = true, e.id, e.number
	if e.publisher == f.n.id {
		f.n.deliverOwn(e.message(f.topic))
		return
	}
	f.n.deliver(e.message(f.topic))
}

// expiredBefore reports whether the log ended by its age before e began it
// anew: nothing is missing.
func (f *topicFollower) expiredBefore(e *logEntry) bool {
	age := f.addr.keep.Age.Milliseconds()
	return age > 0 && e.previous == cluster.ID{} && e.id.Ms >= f.last.Ms+uint64(age)
}

// missingBefore is what is missing between the last entry and e.
func (f *topicFollower) missingBefore(e *logEntry) broker.Gap {
	if e.previous.Compare(f.last) < 0 {
		return broker.Gap{Reason: broker.Restarted, Lost: -1}
	}
	g := broker.Gap{Reason: broker.Trimmed, Lost: -1}
	counted := f.number > 0 || f.last == cluster.ID{}
	if counted && e.number > f.number+1 {
		g.Lost = int64(e.number - f.number - 1)
	}
	return g
}

// readLocked has the log read, by a goroutine of its own.
func (f *topicFollower) readLocked() {
	if f.reading {
		return
	}
	f.reading = true
	f.n.jobs.Go(f.read)
}

// read brings the topic up to date, and ends when it is.
func (f *topicFollower) read() {
	for refusals, attempt := 0, 0; f.ctx.Err() == nil; attempt++ {
		err := f.catchUp()
		if err == nil || f.ctx.Err() != nil {
			return
		}
		if _, refused := rueidis.IsRedisErr(err); refused {
			if refusals++; refusals == topicReads {
				f.giveUp(err)
				return
			}
		}
		pause(f.ctx, backoff(attempt))
	}
}

// catchUp subscribes, the first time, and delivers what the log has behind the
// last entry until nothing is left that arrived meanwhile.
func (f *topicFollower) catchUp() error {
	if err := f.begin(); err != nil {
		return err
	}
	f.mu.Lock()
	sub := f.sub
	f.mu.Unlock()
	if sub == nil || sub.wait(f.ctx) != nil {
		return f.ctx.Err()
	}
	for {
		if done, err := f.readSome(); done || err != nil {
			return err
		}
	}
}

// readSome delivers entries behind the last one. It reports whether that was all.
func (f *topicFollower) readSome() (done bool, err error) {
	select {
	case f.n.reads <- struct{}{}:
		defer func() { <-f.n.reads }()
	case <-f.ctx.Done():
		return false, f.ctx.Err()
	}
	f.mu.Lock()
	after := f.last
	f.again = false
	f.mu.Unlock()
	entries, cut, err := f.n.reader.after(f.ctx, f.addr.log, after, topicReadCount, topicReadBytes)
	if err != nil {
		return false, err
	}
	if len(entries) == 0 {
		if newer, err := f.compareEnds(after); err != nil || newer {
			return false, err
		}
	}
	return f.take(entries, cut || len(entries) == topicReadCount), nil
}

// begin looks where the log ends, and subscribes then: so nothing falls between
// the two.
func (f *topicFollower) begin() error {
	f.mu.Lock()
	begun := f.sub != nil && f.known
	f.mu.Unlock()
	if begun {
		return nil
	}
	newest, err := f.n.reader.newest(f.ctx, f.addr.log)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.startAtLocked(newest)
	f.subscribeLocked()
	return nil
}

func (f *topicFollower) subscribeLocked() {
	if !f.closed && f.sub == nil {
		f.sub = f.n.b.hub.subscribe(f.n.out.commands.kind(), f.addr.channel, f)
		close(f.begun)
	}
}

// startAtLocked takes a log's newest entry, if it has any, for the last.
func (f *topicFollower) startAtLocked(newest []logEntry) {
	f.known, f.last, f.number = true, cluster.ID{}, 0
	if len(newest) > 0 {
		f.last, f.number = newest[0].id, newest[0].number
	}
}

// take delivers entries, behind which there may be more. It reports whether that
// is all: then what arrives is delivered as it comes.
func (f *topicFollower) take(entries []logEntry, more bool) (done bool) {
	for i := range entries {
		f.mu.Lock()
		if !f.closed {
			f.acceptLocked(&entries[i])
		}
		f.mu.Unlock()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if more || f.again || f.seen.Compare(f.last) > 0 {
		return false
	}
	f.reading, f.seen = false, cluster.ID{}
	return true
}

// compareEnds looks at a log that has nothing behind the last entry. It tells of
// a gap where the log does not have that entry either, and where one that arrived
// is not in it. newer says that there is something behind it by now.
func (f *topicFollower) compareEnds(last cluster.ID) (newer bool, err error) {
	f.mu.Lock()
	seen := f.seen // before the log is asked: what arrives later may be behind its answer
	f.mu.Unlock()
	newest, err := f.n.reader.newest(f.ctx, f.addr.log)
	if err != nil {
		return false, err
	}
	var end cluster.ID
	if len(newest) > 0 {
		end = newest[0].id
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch c := end.Compare(last); {
	case f.closed:
		return false, nil
	case c > 0:
		return true, nil
	case c < 0 && len(newest) == 0 && f.addr.keep.Age > 0:
		// It may have ended by its age, with what came in between.
		f.n.foundGap(f.topic, broker.Gap{Reason: broker.Trimmed, Lost: -1})
		f.startAtLocked(nil)
	case c < 0:
		f.n.foundGap(f.topic, broker.Gap{Reason: broker.Restarted, Lost: -1})
		f.startAtLocked(newest)
	case seen.Compare(last) > 0 && !f.again:
		f.n.foundGap(f.topic, broker.Gap{Reason: broker.Trimmed, Lost: -1})
	}
	if f.seen == seen {
		f.seen = cluster.ID{}
	}
	return false, nil
}

// giveUp lets what arrives be delivered without the log.
func (f *topicFollower) giveUp(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.n.warn("the log of a topic can't be read", f.topic, err)
	f.n.foundGap(f.topic, broker.Gap{Reason: broker.Reconnected, Lost: -1})
	f.reading, f.known, f.seen = false, false, cluster.ID{}
	f.subscribeLocked()
}
