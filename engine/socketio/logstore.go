package socketio

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// maxRounds is how often a log is read again for a client that returns while
// more is sent than the tail remembers.
const maxRounds = 4

// logStore is a store in a cluster's log: clients may return to any node.
//
// An event of this node is sent to its own sockets when the log has it, one of
// another node when it arrives, so that events are not always sent in the order
// of their offsets. A client asks for what came behind the last offset that it
// got: one that is sent behind a higher one goes without its offset, or the
// client would ask for the higher one again.
type logStore struct {
	nsp  *Namespace
	node broker.ClusterLog
	opts RecoveryOptions

	appending sync.Mutex    // the log gets events in the order of the queue
	emitted   atomic.Uint64 // how many of this node's were given to it; written under appending

	mu     sync.Mutex // events are posted to the loops under it
	posted uint64     // how many were
	epoch  uint64     // how often offsets were forgotten
	top    cluster.ID // the highest that was
	tail   tail
}

func newLogStore(n *Namespace, node broker.ClusterLog, opts RecoveryOptions) *logStore {
	return &logStore{nsp: n, node: node, opts: opts}
}

func (l *logStore) newPID() string { return newMarkedID(l.nsp.name) }

// keeps implements store.
func (l *logStore) keeps(b Broadcast) bool { return !b.volatile && !b.local }

// emit implements store. When the log has not got the event, this node's sockets
// get it all the same.
func (l *logStore) emit(b Broadcast, payload sio.Payload, done taken) error {
	n := l.nsp
	if n.server.opts.Parser == Msgpack {
		// Whether it can be encoded is to be known before others have it.
		if _, err := n.encodePayload(l.header(), payload, false); err != nil {
			return err
		}
	}
	e := &logged{store: l, b: b, payload: payload, size: payloadSize(payload)}
	var failed error
	e.lanes, failed = n.enter(e.size, (*backlog).enter)
	for _, ln := range e.lanes {
		ln.backlog.hold(e.size)
	}
	l.appending.Lock()
	e.number = l.emitted.Add(1) // before the log may have it
	x := n.queue.add(e.inTurn(e.unsure))
	err := l.node.Append(b.message(cluster.Broadcast, payload), func(offset string, err error) {
		n.queue.settle(x, e.inTurn(e.outcome(offset, err)))
		if done != nil {
			done(offset, err)
		}
	})
	l.appending.Unlock()
	if err != nil {
		n.queue.settle(x, e.inTurn(e.unlogged))
		return err
	}
	return failed
}

// receive implements store.
func (l *logStore) receive(b Broadcast, m *cluster.Message) error {
	id, err := cluster.ParseID(m.Offset)
	if err != nil || b.volatile || m.Packet.HasID {
		return b.deliverPayload(m.Packet.Payload)
	}
	e := &logged{store: l, b: b, payload: m.Packet.Payload, size: payloadSize(m.Packet.Payload)}
	p, err := e.encode(m.Offset)
	if err != nil {
		return err
	}
	e.lanes, err = l.nsp.enter(e.size, (*backlog).enterPast)
	e.send(p, id, nil)
	return err
}

// suspend implements store.
func (l *logStore) suspend(s *Socket) {
	if s.membership.unsure {
		l.nsp.server.sessionsLost.Add(1)
		return
	}
	l.keep(&cluster.Session{SID: s.id, PID: s.pid, Rooms: s.Rooms(), Data: l.nsp.server.encodeData(s.Data())})
}

// giveBack implements store.
func (l *logStore) giveBack(x *restored) { l.keep(x.session) }

func (l *logStore) keep(s *cluster.Session) {
	if l.node.StoreSession(s, l.opts.MaxDisconnection) != nil {
		l.nsp.server.sessionsLost.Add(1)
	}
}

// waits implements store.
func (l *logStore) waits() bool { return true }

// restore implements store.
func (l *logStore) restore(c claim) *restored {
	if _, err := cluster.ParseID(c.offset); err != nil {
		return nil // nothing is taken
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.nsp.server.opts.RequestTimeout)
	defer cancel()
	epoch := l.currentEpoch()
	session, missed, err := l.node.RestoreSession(ctx, c.pid, c.offset)
	if err != nil || session.SID == "" || session.PID != c.pid {
		return nil
	}
	x := &restored{sid: session.SID, pid: session.PID, data: decodeData(session.Data), session: session, epoch: epoch}
	x.rooms = slices.DeleteFunc(slices.Clone(session.Rooms), func(room string) bool { return room == x.sid })
	x.leftOwn = len(x.rooms) == len(session.Rooms)
	if !l.take(x, c.offset, missed) {
		return nil
	}
	return x
}

// advance implements store.
func (l *logStore) advance(x *restored) bool {
	if x.rounds++; x.rounds > maxRounds {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.nsp.server.opts.RequestTimeout)
	defer cancel()
	x.epoch = l.currentEpoch()
	missed, err := l.node.MissedSince(ctx, x.session, x.offset)
	return err == nil && l.take(x, x.offset, missed)
}

// take adds what the log told to x; since is where it was read from.
func (l *logStore) take(x *restored, since string, missed broker.Missed) bool {
	x.offset = since
	if missed.Last != "" {
		x.offset = missed.Last
	}
	var err error
	if x.last, err = cluster.ParseID(x.offset); err != nil {
		return false
	}
	for _, m := range missed.Messages {
		e := &logged{store: l, b: l.nsp.told(&m.Options), payload: m.Packet.Payload}
		p, err := e.encode(m.Offset)
		if err != nil {
			// Clients could not take it: nobody got it.
			l.nsp.server.clusterRefused.Add(1)
			continue
		}
		x.missed = append(x.missed, p)
	}
	return true
}

// resume implements store. What is posted to the loop from now on is not for the
// socket if it is in x already, or was posted before. Nor is an event that was sent
// before and is not in the log, or perhaps not: x may have it, or one behind it.
func (l *logStore) resume(s *Socket, x *restored) ([]*engineio.Prepared, outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	recent, ok := l.tail.after(x.last, x.in())
	if !ok || x.epoch != l.epoch {
		return nil, behind
	}
	s.membership.takeUp(x, l.posted, x.last)
	s.membership.emitted = l.emitted.Load()
	return append(x.missed, recent...), resumed
}

// restart forgets offsets: those of the log may begin anew below them.
func (l *logStore) restart() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.top, l.tail = cluster.ID{}, tail{}
	l.epoch++ // who returns by what was read before reads again
	for _, ln := range l.nsp.lanes() {
		ln.backlog.force(0)
		// A loop that has ended has no sockets.
		_ = ln.run(0, ln.loop.Post, func() {
			for _, s := range ln.all {
				s.membership.upTo = cluster.ID{}
			}
		})
	}
}

func (l *logStore) currentEpoch() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch
}

func (l *logStore) header() sio.Header { return sio.Header{Type: sio.Event, Namespace: l.nsp.name} }

// logged is an event on its way from the log to the sockets of this node.
type logged struct {
	store   *logStore
	b       Broadcast
	payload sio.Payload // without its offset
	size    int         // in the backlogs of lanes
	lanes   []*lane
	number  uint64 // of this node's events, in the order of the log
}

// encode encodes the event with its offset.
func (e *logged) encode(offset string) (*engineio.Prepared, error) {
	return e.store.nsp.encodePayload(e.store.header(), e.payload.With(offset), !e.b.uncompressed)
}

// inTurn is what the queue does when it is the event's turn.
func (e *logged) inTurn(run func()) func() {
	return func() {
		for _, ln := range e.lanes {
			ln.backlog.unhold(e.size)
		}
		run()
	}
}

// outcome is what is to be done when the log has answered.
func (e *logged) outcome(offset string, err error) func() {
	switch {
	case errors.Is(err, broker.ErrUnavailable), errors.Is(err, broker.ErrClosed):
		return e.unlogged
	case err != nil:
		return e.unsure
	}
	id, err := cluster.ParseID(offset)
	if err != nil {
		return e.unsure
	}
	p, err := e.encode(offset)
	if err != nil {
		return e.unsure
	}
	return func() {
		e.send(p, id, func(s *Socket) { s.membership.unsure = false })
	}
}

// send posts the event to the loops. got, if not nil, is called for each socket that
// gets it.
func (e *logged) send(p *engineio.Prepared, id cluster.ID, got func(*Socket)) {
	l := e.store
	l.mu.Lock()
	defer l.mu.Unlock()
	l.posted++
	number := l.posted
	l.tail.add(tailEvent{id, p, e.b.rooms, e.b.except})
	if id.Compare(l.top) > 0 {
		l.top = id
	} else if plain, err := e.plain(); err == nil {
		p = plain
	}
	for _, ln := range e.lanes {
		// Never at once, which would be under the lock. A loop that has ended has no
		// sockets.
		_ = ln.run(e.size, ln.loop.Post, func() { ln.deliverStored(e.b, p, number, id, got) })
	}
}

// plain is the event without its offset.
func (e *logged) plain() (*engineio.Prepared, error) {
	return e.store.nsp.encodePayload(e.store.header(), e.payload, !e.b.uncompressed)
}

// unlogged posts an event to the loops that the log does not have.
func (e *logged) unlogged() { e.post(nil) }

// unsure posts an event to the loops that the log has perhaps. Who gets it can't
// return as who it was, and get it from the log again, until it has got a later one
// of this node's with its offset: they are in the log in their order.
func (e *logged) unsure() {
	e.post(func(s *Socket) { s.membership.unsure = true })
}

// post posts the event to the loops without its offset. got, if not nil, is called
// for each socket that gets it.
func (e *logged) post(got func(*Socket)) {
	e.store.nsp.server.unlogged.Add(1)
	p, err := e.plain()
	if err != nil {
		leave(e.lanes, e.size)
		return
	}
	for _, ln := range e.lanes {
		_ = ln.run(e.size, ln.loop.Post, func() {
			targets := ln.recipients(e.b.rooms, e.b.except)
			for _, s := range targets {
				if e.number <= s.membership.emitted {
					continue
				}
				if got != nil {
					got(s)
				}
				s.deliver(p, false)
			}
			ln.release(targets)
		})
	}
}
