package socketio

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// localStore is a store in this node's memory: clients that return must come to
// the same node.
type localStore struct {
	nsp  *Namespace
	opts RecoveryOptions
	run  string // begins the offsets of this run: an old one can't be taken for a new one

	mu       sync.Mutex
	first    uint64 // number of log[0]
	log      []storedPacket
	bytes    int
	sessions map[string]*storedSession // by pid
	leaving  []*storedSession          // in the order of their end; may hold taken ones
	armed    bool                      // look is going to be called
}

// storedPacket is an event and whom it was for.
type storedPacket struct {
	at            time.Time
	payload       sio.Payload // with its offset
	size          int
	rooms, except []string
}

// storedSession is a socket that may return.
type storedSession struct {
	until    time.Time
	sid, pid string
	rooms    []string
	leftOwn  bool
	data     any
	taken    bool
}

func newLocalStore(n *Namespace, opts RecoveryOptions) *localStore {
	var b [6]byte
	// crypto/rand.Read never fails.
	_, _ = rand.Read(b[:])
	return &localStore{
		nsp:      n,
		opts:     opts,
		run:      base64.RawURLEncoding.EncodeToString(b[:]) + ".",
		first:    1,
		sessions: map[string]*storedSession{},
	}
}

func (l *localStore) newPID() string { return newID() }

// keeps implements store.
func (l *localStore) keeps(b Broadcast) bool { return !b.volatile }

// emit implements store.
func (l *localStore) emit(b Broadcast, payload sio.Payload, done taken) error {
	err := l.deliver(b, payload)
	if err != nil || l.nsp.node == nil || b.local {
		done.nobody()
		return err
	}
	return b.tell(payload, done)
}

// receive implements store.
func (l *localStore) receive(b Broadcast, m *cluster.Message) error {
	if b.volatile {
		return b.deliverPayload(m.Packet.Payload)
	}
	return l.deliver(b, m.Packet.Payload)
}

// deliver keeps an event and sends it to this node's sockets. All loops get
// events in the order of their offsets.
func (l *localStore) deliver(b Broadcast, payload sio.Payload) error {
	n := l.nsp
	size := payloadSize(payload)
	entered, failed := n.enter(size, (*backlog).enter)

	l.mu.Lock()
	defer l.mu.Unlock()
	number := l.first + uint64(len(l.log))
	payload = payload.With(l.run + strconv.FormatUint(number, 36))
	p, err := n.encodePayload(sio.Header{Type: sio.Event, Namespace: n.name}, payload, !b.uncompressed)
	if err != nil {
		leave(entered, size)
		return err
	}
	now := time.Now()
	l.log = append(l.log, storedPacket{now, payload, size, b.rooms, b.except})
	l.bytes += size
	l.trim(now)
	for _, ln := range entered {
		// Never at once, which would be under the lock.
		if err := ln.run(size, ln.loop.Post, func() { ln.deliverStored(b, p, number, cluster.ID{}, nil) }); err != nil {
			failed = err
		}
	}
	return failed
}

// looksPer is how often the store looks for what is too old, in the time that it keeps
// things: nobody may come any more who would do so.
const looksPer = 4

// arm has look called while there is something to drop some day. mu is held.
func (l *localStore) arm() {
	if !l.armed && len(l.log)+len(l.leaving) > 0 {
		l.armed = true
		time.AfterFunc(l.opts.MaxDisconnection/looksPer+time.Millisecond, l.look)
	}
}

// look drops what has become too old.
func (l *localStore) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = false
	l.trim(time.Now())
}

// trim drops what is too old or too much. mu is held.
func (l *localStore) trim(now time.Time) {
	old := now.Add(-l.opts.MaxDisconnection)
	k := 0
	for k < len(l.log) && (l.log[k].at.Before(old) || l.bytes > l.opts.MaxBytes || len(l.log)-k > l.opts.MaxPackets) {
		l.bytes -= l.log[k].size
		l.log[k] = storedPacket{}
		k++
	}
	l.log = l.log[k:]
	l.first += uint64(k)

	k = 0
	for k < len(l.leaving) && (l.leaving[k].taken || l.leaving[k].until.Before(now) || len(l.leaving)-k > l.opts.MaxSessions) {
		if x := l.leaving[k]; !x.taken {
			delete(l.sessions, x.pid)
		}
		l.leaving[k] = nil
		k++
	}
	l.leaving = l.leaving[k:]
	l.arm()
}

// suspend implements store.
func (l *localStore) suspend(s *Socket) {
	m := &s.membership
	m.mu.Lock()
	rooms, leftOwn := slices.Clone(m.rooms), m.leftOwn
	m.mu.Unlock()
	l.keep(&storedSession{sid: s.id, pid: s.pid, rooms: rooms, leftOwn: leftOwn, data: s.Data()})
}

// giveBack implements store.
func (l *localStore) giveBack(x *restored) {
	l.keep(&storedSession{sid: x.sid, pid: x.pid, rooms: x.rooms, leftOwn: x.leftOwn, data: x.data})
}

// keep keeps a session from now on.
func (l *localStore) keep(x *storedSession) {
	now := time.Now()
	x.until = now.Add(l.opts.MaxDisconnection)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions[x.pid] = x
	l.leaving = append(l.leaving, x)
	l.trim(now)
}

// waits implements store.
func (l *localStore) waits() bool { return false }

// advance implements store; resume never asks for it.
func (l *localStore) advance(*restored) bool { return false }

// restore implements store.
func (l *localStore) restore(c claim) *restored {
	number, ok := strings.CutPrefix(c.offset, l.run)
	if !ok {
		return nil
	}
	since, err := strconv.ParseUint(number, 36, 64)
	if err != nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trim(time.Now())
	x := l.sessions[c.pid]
	if x == nil || !l.complete(since) {
		return nil
	}
	delete(l.sessions, c.pid)
	x.taken = true
	return &restored{sid: x.sid, pid: x.pid, rooms: x.rooms, leftOwn: x.leftOwn, data: x.data, since: since}
}

// complete reports whether everything after an event is still kept. mu is held.
func (l *localStore) complete(since uint64) bool {
	return since+1 >= l.first && since < l.first+uint64(len(l.log))
}

// resume implements store.
func (l *localStore) resume(s *Socket, x *restored) ([]*engineio.Prepared, outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.complete(x.since) {
		return nil, tooLate
	}
	var missed []*engineio.Prepared
	in := x.in()
	for i := int(x.since + 1 - l.first); i < len(l.log); i++ {
		e := &l.log[i]
		if len(e.rooms) > 0 && !intersect(e.rooms, in) || intersect(e.except, in) {
			continue
		}
		p, err := s.nsp.encodePayload(sio.Header{Type: sio.Event, Namespace: s.nsp.name}, e.payload, true)
		if err != nil {
			continue // it was encoded before, so this is not reached
		}
		missed = append(missed, p)
	}
	s.membership.takeUp(x, l.first+uint64(len(l.log))-1, cluster.ID{})
	return missed, resumed
}
