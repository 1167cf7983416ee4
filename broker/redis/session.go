package redis

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
)

const (
	// A log is read in pages: of one entry before it is known that there is a
	// session, since anybody may ask; of logPage then, of more, up to maxLogPage,
	// while a page has less than pageBytes, and of less while it has more.
	logPage    = 100
	maxLogPage = 1600
	pageBytes  = 1 << 20
	// maxMissed and maxMissedBytes bound what a client may have missed: beyond
	// them it returns as a new one, which is cheaper for everybody.
	maxMissed      = 10_000
	maxMissedBytes = 16 << 20 // of Message.Size
	// broadcastType is Entry.Type of a broadcast.
	broadcastType = "3"
)

// StoreSession implements broker.ClusterLog. The session follows what was
// published before, under the key and in the encoding of Node's servers: they and
// this node restore each other's.
func (n *streamsNode) StoreSession(s *cluster.Session, ttl time.Duration) error {
	if n.ctx.Err() != nil {
		return broker.ErrClosed
	}
	value, err := cluster.AppendSession(nil, s)
	if err != nil {
		return err
	}
	key := n.sessionKey(s.PID)
	err = n.lane.push(len(key)+len(value), func(b rueidis.Builder) rueidis.Completed {
		return b.Set().Key(key).Value(rueidis.BinaryString(value)).PxMilliseconds(max(ttl.Milliseconds(), 1)).Build()
	}, n.sent)
	if err != nil {
		n.lost.Add(1)
	}
	return err
}

func (n *streamsNode) sessionKey(pid string) string { return n.b.opts.SessionPrefix + pid }

// RestoreSession implements broker.ClusterLog. Node takes the session even if the
// log does not reach back to the offset; here it stays then, until its time is
// over.
func (n *streamsNode) RestoreSession(ctx context.Context, pid, offset string) (*cluster.Session, broker.Missed, error) {
	l, err := n.openLog(ctx, offset)
	if err != nil {
		return nil, broker.Missed{}, err
	}
	s, err := n.takeSession(ctx, pid)
	if err != nil {
		return nil, broker.Missed{}, err
	}
	missed, err := l.missed(ctx, s)
	if err != nil {
		return nil, broker.Missed{}, err
	}
	return s, missed, nil
}

// MissedSince implements broker.ClusterLog.
func (n *streamsNode) MissedSince(ctx context.Context, s *cluster.Session, offset string) (broker.Missed, error) {
	l, err := n.openLog(ctx, offset)
	if err != nil {
		return broker.Missed{}, err
	}
	return l.missed(ctx, s)
}

// takeSession reads a session and removes it, in one command: whoever comes second
// finds nothing.
func (n *streamsNode) takeSession(ctx context.Context, pid string) (*cluster.Session, error) {
	value, err := n.b.do(ctx, n.b.client.B().Getdel().Key(n.sessionKey(pid)).Build()).AsBytes()
	if rueidis.IsRedisNil(err) {
		return nil, broker.ErrNoSession
	}
	if err != nil {
		return nil, n.unavailable(ctx, err)
	}
	s, err := cluster.ParseSession(value)
	if err != nil || s.PID != pid {
		n.skip(errors.New("a session makes no sense"))
		return nil, broker.ErrNoSession
	}
	return s, nil
}

// unavailable is what a command's error is to callers.
func (n *streamsNode) unavailable(ctx context.Context, err error) error {
	switch {
	case n.ctx.Err() != nil:
		return broker.ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return notTaken(err)
}

// logReading reads the log behind an offset, as much as a session has missed of
// it. Where a namespace has two streams, it reads both.
type logReading struct {
	n     *streamsNode
	since cluster.ID
	pages []*logPages
}

// openLog reads the first page behind an offset: broker.ErrNoSession if the log
// does not reach back to it.
func (n *streamsNode) openLog(ctx context.Context, offset string) (*logReading, error) {
	since, err := cluster.ParseID(offset)
	switch {
	case n.ctx.Err() != nil:
		return nil, broker.ErrClosed
	case err != nil:
		return nil, broker.ErrOffset
	}
	l := &logReading{n: n, since: since}
	found := false
	for _, stream := range n.streams {
		p := &logPages{n: n, stream: stream, last: since, count: 1}
		there, err := p.next(ctx)
		if err != nil {
			return nil, err
		}
		if !there && len(n.streams) > 1 {
			if err := p.reachesBack(ctx, since); err != nil {
				return nil, err
			}
		}
		found = found || there
		l.pages = append(l.pages, p)
	}
	if !found {
		return nil, broker.ErrNoSession
	}
	return l, nil
}

// missed reads the log to its end. Of two streams, one may get an entry while the
// other is read, which tells of later ones: so both are read once more, and what
// they had the first time is the end.
func (l *logReading) missed(ctx context.Context, s *cluster.Session) (broker.Missed, error) {
	m := missing{n: l.n, session: s}
	if err := m.readAll(ctx, l); err != nil {
		return broker.Missed{}, err
	}
	last := l.since
	for _, p := range l.pages {
		if p.last.Compare(last) > 0 {
			last = p.last
		}
	}
	if len(l.pages) > 1 {
		for _, p := range l.pages {
			p.entries, p.more = nil, true
		}
		if err := m.readAll(ctx, l); err != nil {
			return broker.Missed{}, err
		}
		m.messages = slices.DeleteFunc(m.messages, func(x *cluster.Message) bool { return offsetOf(x).Compare(last) > 0 })
		slices.SortStableFunc(m.messages, func(x, y *cluster.Message) int { return offsetOf(x).Compare(offsetOf(y)) })
	}
	return broker.Missed{Messages: m.messages, Last: last.String()}, nil
}

// missing is what a session has missed, as far as it was read.
type missing struct {
	n        *streamsNode
	session  *cluster.Session
	messages []*cluster.Message
	bytes    int // of messages
}

// readAll reads on in all streams.
func (m *missing) readAll(ctx context.Context, l *logReading) error {
	for _, p := range l.pages {
		if err := m.readOn(ctx, p, l.since); err != nil {
			return err
		}
	}
	return nil
}

// readOn takes a page, and those behind it. since is where the log is read from.
func (m *missing) readOn(ctx context.Context, p *logPages, since cluster.ID) error {
	for {
		if m.take(p.entries); len(m.messages) > maxMissed || m.bytes > maxMissedBytes {
			return broker.ErrNoSession
		}
		if !p.more {
			return nil
		}
		inside := p.inside
		there, err := p.next(ctx)
		switch {
		case err != nil:
			return err
		case there:
		case inside:
			return broker.ErrNoSession
		default:
			if err := p.reachesBack(ctx, since); err != nil {
				return err
			}
		}
	}
}

// take adds what is for the session.
func (m *missing) take(entries []rueidis.XRangeSlice) {
	for _, e := range entries {
		if x := m.n.wanted(m.session, e); x != nil {
			m.messages = append(m.messages, x)
			m.bytes += x.Size()
		}
	}
}

// offsetOf is a message's offset, which a server gave it.
func offsetOf(m *cluster.Message) cluster.ID {
	id, _ := cluster.ParseID(m.Offset)
	return id
}

// wanted is the message of an entry, nil if the session is not to be given it.
func (n *streamsNode) wanted(s *cluster.Session, x rueidis.XRangeSlice) *cluster.Message {
	e := streamEntry(x.FieldValues)
	if e.Namespace != n.namespace || e.Type != broadcastType {
		return nil
	}
	m, err := e.Message(x.ID)
	if err != nil || !s.Wants(m) { // the reader has counted what makes no sense
		return nil
	}
	return m
}

// logPages reads a stream page by page. Each page begins with the entry that was
// read last: if that is still there, nothing behind it was trimmed meanwhile.
type logPages struct {
	n      *streamsNode
	stream string
	count  int64 // entries of the next page
	read   int   // entries of all pages

	last    cluster.ID            // of the entry that was read last
	inside  bool                  // which was one of this stream
	entries []rueidis.XRangeSlice // of the page, those behind what was read before
	more    bool                  // there is another page
}

// next reads a page. It reports whether the entry that was read last is there.
func (p *logPages) next(ctx context.Context) (there bool, err error) {
	last, b := p.last.String(), p.n.b
	entries, err := b.do(ctx, b.client.B().Xrange().Key(p.stream).Start(last).End("+").Count(p.count).Build()).AsXRangeSlices()
	if err != nil && !rueidis.IsRedisNil(err) {
		return false, p.n.unavailable(ctx, err)
	}
	p.more = int64(len(entries)) == p.count
	p.inside = p.inside || len(entries) > 0
	if there = len(entries) > 0 && entries[0].ID == last; there {
		entries = entries[1:]
	}
	p.entries = entries
	if len(entries) > 0 {
		if p.last, err = cluster.ParseID(entries[len(entries)-1].ID); err != nil {
			return false, p.n.unavailable(ctx, err)
		}
	}
	switch {
	case p.count == 1:
		p.count = logPage
	case entriesSize(entries) < pageBytes:
		p.count = min(2*p.count, maxLogPage)
	default:
		p.count = max(p.count/2, 2) // one is the entry before it
	}
	// What others add meanwhile is no reason to read for ever.
	if p.read += len(entries); p.read > 2*p.n.b.opts.StreamMaxLen+2*maxLogPage {
		return false, nil
	}
	return there, nil
}

// reachesBack is for a stream that is not the one of the offset: it returns
// broker.ErrNoSession if entries behind the offset may have been trimmed.
func (p *logPages) reachesBack(ctx context.Context, since cluster.ID) error {
	t, err := p.n.b.tip(ctx, p.stream)
	if err != nil {
		return p.n.unavailable(ctx, err)
	}
	oldest := t.first
	if t.length == 0 {
		oldest = t.last
	}
	if t.exists && t.added != t.length && oldest.Compare(since) > 0 {
		return broker.ErrNoSession
	}
	return nil
}

func entriesSize(entries []rueidis.XRangeSlice) (n int) {
	for _, e := range entries {
		for _, f := range e.FieldValues {
			n += len(f.Value)
		}
	}
	return n
}
