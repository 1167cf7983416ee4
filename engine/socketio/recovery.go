package socketio

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// Defaults of RecoveryOptions.
const (
	DefaultMaxDisconnection = 2 * time.Minute
	DefaultMaxPackets       = 100_000
	DefaultMaxBytes         = 64 << 20
	DefaultMaxSessions      = 100_000
)

// RecoveryOptions switch connection state recovery on: a client whose connection
// broke returns as the same socket, in its rooms, and gets what it has missed.
//
// Each event that is neither volatile nor wants an acknowledgement gets an
// offset as one more argument, as with Node's server.
type RecoveryOptions struct {
	// MaxDisconnection is how long a client may be away; 0: 2 minutes.
	MaxDisconnection time.Duration
	// RunMiddlewares runs the namespace's middleware for a client that returns,
	// too. Node's skipMiddlewares is the opposite, and its default as well.
	RunMiddlewares bool
	// MaxPackets, MaxBytes and MaxSessions bound what a namespace keeps; 0:
	// 100,000, 64 MiB and 100,000. Beyond them the oldest goes, and who needs it
	// returns as a new socket.
	MaxPackets, MaxBytes, MaxSessions int
}

// recovery keeps a namespace's last events, and the state of sockets that may
// return. Its methods are safe from any goroutine unless they say otherwise.
type recovery struct {
	nsp  *Namespace
	opts RecoveryOptions
	run  string // begins the offsets of this run: an old one can't be taken for a new one

	mu       sync.Mutex
	first    uint64 // number of log[0]
	log      []storedPacket
	bytes    int
	sessions map[string]*storedSession // by pid
	leaving  []*storedSession          // in the order of their end; may hold taken ones
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

// restored is a socket that returns: its ids and data are the new socket's.
// Socket.resume takes up the rest.
type restored struct {
	sid, pid string
	data     any

	session *storedSession
	since   uint64
}

func newRecovery(n *Namespace, opts RecoveryOptions) *recovery {
	if opts.MaxDisconnection == 0 {
		opts.MaxDisconnection = DefaultMaxDisconnection
	}
	if opts.MaxPackets == 0 {
		opts.MaxPackets = DefaultMaxPackets
	}
	if opts.MaxBytes == 0 {
		opts.MaxBytes = DefaultMaxBytes
	}
	if opts.MaxSessions == 0 {
		opts.MaxSessions = DefaultMaxSessions
	}
	var b [6]byte
	// crypto/rand.Read never fails.
	_, _ = rand.Read(b[:])
	return &recovery{
		nsp:      n,
		opts:     opts,
		run:      base64.RawURLEncoding.EncodeToString(b[:]) + ".",
		first:    1,
		sessions: map[string]*storedSession{},
	}
}

// emit keeps an event and sends it to this node's sockets. All loops get events
// in the order of their offsets.
func (r *recovery) emit(b Broadcast, payload sio.Payload) error {
	n := r.nsp
	size := len(payload.JSON)
	for _, a := range payload.Attachments {
		size += len(a)
	}
	lanes := n.lanes()
	entered := lanes[:0:0]
	var failed error
	for _, ln := range lanes {
		if err := ln.backlog.enter(size, n.server); err != nil {
			failed = err
			continue
		}
		entered = append(entered, ln)
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	number := r.first + uint64(len(r.log))
	payload = payload.With(r.run + strconv.FormatUint(number, 36))
	p, err := n.encodePayload(sio.Header{Type: sio.Event, Namespace: n.name}, payload, !b.uncompressed)
	if err != nil {
		for _, ln := range entered {
			ln.backlog.leave(size)
		}
		return err
	}
	now := time.Now()
	r.log = append(r.log, storedPacket{now, payload, size, b.rooms, b.except})
	r.bytes += size
	r.trim(now)
	for _, ln := range entered {
		// Never at once, which would be under the lock.
		if err := ln.run(size, ln.loop.Post, func() { ln.deliverStored(b, p, number) }); err != nil {
			failed = err
		}
	}
	return failed
}

// deliverStored is deliver for an event with an offset: a socket that returned
// with it does not get it again. Call on the loop.
func (ln *lane) deliverStored(b Broadcast, p *engineio.Prepared, number uint64) {
	targets := ln.resolve(b.rooms, b.except)
	for _, s := range targets {
		if number > s.membership.watermark {
			s.deliver(p, false)
		}
	}
	ln.release(targets)
}

// emitStored is Socket.Emit under recovery: a broadcast to the socket, so that
// the event waits for it if it is away.
func (n *Namespace) emitStored(s *Socket, event string, args []any) error {
	if sio.IsReserved(event) {
		return ErrReserved
	}
	payload, err := n.encodeArgs(eventArgs(event, args))
	if err != nil {
		return err
	}
	return n.recovery.emit(Broadcast{nsp: n, rooms: []string{s.id}}, payload)
}

// trim drops what is too old or too much. mu is held.
func (r *recovery) trim(now time.Time) {
	old := now.Add(-r.opts.MaxDisconnection)
	k := 0
	for k < len(r.log) && (r.log[k].at.Before(old) || r.bytes > r.opts.MaxBytes || len(r.log)-k > r.opts.MaxPackets) {
		r.bytes -= r.log[k].size
		r.log[k] = storedPacket{}
		k++
	}
	r.log = r.log[k:]
	r.first += uint64(k)

	k = 0
	for k < len(r.leaving) && (r.leaving[k].taken || r.leaving[k].until.Before(now) || len(r.leaving)-k > r.opts.MaxSessions) {
		if x := r.leaving[k]; !x.taken {
			delete(r.sessions, x.pid)
		}
		r.leaving[k] = nil
		k++
	}
	r.leaving = r.leaving[k:]
}

// store keeps the state of a socket whose connection broke, before detach. Call
// on the socket's loop.
func (r *recovery) store(s *Socket) {
	m := &s.membership
	m.mu.Lock()
	rooms, leftOwn := slices.Clone(m.rooms), m.leftOwn
	m.mu.Unlock()
	now := time.Now()
	x := &storedSession{
		until:   now.Add(r.opts.MaxDisconnection),
		sid:     s.id,
		pid:     s.pid,
		rooms:   rooms,
		leftOwn: leftOwn,
		data:    s.Data(),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[x.pid] = x
	r.leaving = append(r.leaving, x)
	r.trim(now)
}

// restore finds the socket that a CONNECT packet's pid and offset name. It is
// taken: nobody else gets it.
func (r *recovery) restore(pid, offset string) (*restored, bool) {
	number, ok := strings.CutPrefix(offset, r.run)
	if !ok {
		return nil, false
	}
	since, err := strconv.ParseUint(number, 36, 64)
	if err != nil {
		return nil, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trim(time.Now())
	x := r.sessions[pid]
	if x == nil || !r.complete(since) {
		return nil, false
	}
	delete(r.sessions, pid)
	x.taken = true
	return &restored{sid: x.sid, pid: x.pid, data: x.data, session: x, since: since}, true
}

// complete reports whether everything after an event is still kept. mu is held.
func (r *recovery) complete(since uint64) bool {
	return since+1 >= r.first && since < r.first+uint64(len(r.log))
}

// resume takes up what a socket was before: its rooms, and the packets that it
// has missed, to be sent before its CONNECT. Call on the loop, in the same turn
// as attach and before it. It returns false when too much time has passed since
// restore: the socket then is a new one.
func (s *Socket) resume(x *restored) (missed []*engineio.Prepared, ok bool) {
	r := s.nsp.recovery
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.complete(x.since) {
		return nil, false
	}
	m := &s.membership
	m.mu.Lock()
	m.rooms, m.leftOwn = x.session.rooms, x.session.leftOwn
	m.mu.Unlock()
	in := x.session.rooms
	if !x.session.leftOwn {
		in = append([]string{x.sid}, in...)
	}
	for i := int(x.since + 1 - r.first); i < len(r.log); i++ {
		e := &r.log[i]
		if len(e.rooms) > 0 && !intersect(e.rooms, in) || intersect(e.except, in) {
			continue
		}
		p, err := s.nsp.encodePayload(sio.Header{Type: sio.Event, Namespace: s.nsp.name}, e.payload, true)
		if err != nil {
			continue // it was encoded before, so this is not reached
		}
		missed = append(missed, p)
	}
	m.watermark = r.first + uint64(len(r.log)) - 1
	return missed, true
}

func intersect(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}
