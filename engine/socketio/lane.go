package socketio

import (
	"sync"
	"sync/atomic"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// lane is a namespace's part on one loop: the sockets that live there and the
// rooms that they are in. It is touched on its loop only, the backlog excepted.
type lane struct {
	nsp     *Namespace
	loop    *engine.Loop
	backlog *backlog

	all     []*Socket
	sockets map[string]*Socket // by id
	rooms   map[string]*room

	// population is len(all), for those who ask from elsewhere.
	population atomic.Int32

	mark    uint64    // of the last resolve
	targets []*Socket // scratch of resolve
	packet  []byte    // scratch of Socket.emit, like argv
	argv    []any
}

// laneSet holds a namespace's lanes, by the number of their loop.
type laneSet struct {
	once  sync.Once
	lanes []*lane
}

// lanes are the namespace's lanes, none before the App has begun. Safe from any
// goroutine.
func (n *Namespace) lanes() []*lane {
	loops := n.server.loops()
	if len(loops) == 0 {
		return nil
	}
	n.laneSet.once.Do(func() {
		lanes := make([]*lane, len(loops))
		for i, l := range loops {
			lanes[i] = &lane{
				nsp:     n,
				loop:    l,
				backlog: n.server.desk(l).backlog,
				sockets: map[string]*Socket{},
				rooms:   map[string]*room{},
			}
		}
		n.laneSet.lanes = lanes
	})
	return n.laneSet.lanes
}

// lane is the namespace's lane on a loop. Safe from any goroutine.
func (n *Namespace) lane(l *engine.Loop) *lane { return n.lanes()[l.ID()] }

// attach makes the socket a member of the namespace, and of the rooms that it
// joined before. Call on the loop.
func (ln *lane) attach(s *Socket) {
	s.membership.at = int32(len(ln.all))
	ln.all = append(ln.all, s)
	ln.sockets[s.id] = s
	ln.population.Store(int32(len(ln.all)))
	if ln.nsp.ownRooms {
		ln.nsp.roomOpened(s.id)
	}
	for _, name := range s.membership.attach() {
		ln.seat(s, name)
	}
}

// detach takes the socket out of its rooms and the namespace. Calling it again
// does nothing. Call on the loop.
func (ln *lane) detach(s *Socket) {
	if !s.membership.detach() {
		return
	}
	for len(s.membership.seats) > 0 {
		ln.unseat(s, len(s.membership.seats)-1)
	}
	if ln.nsp.ownRooms {
		ln.nsp.roomClosed(s.id)
	}
	last := len(ln.all) - 1
	moved := ln.all[last]
	ln.all[s.membership.at] = moved
	moved.membership.at = s.membership.at
	ln.all[last] = nil
	ln.all = ln.all[:last]
	if ln.sockets[s.id] == s {
		delete(ln.sockets, s.id)
	}
	ln.population.Store(int32(last))
}

// resolve returns the sockets that are in any of rooms (all, when there are
// none) and in none of except, each once. The caller gives the slice back with
// release. Call on the loop.
func (ln *lane) resolve(rooms, except []string) []*Socket {
	targets := ln.targets
	ln.targets = nil
	ln.mark++
	for _, name := range except {
		ln.members(name, func(s *Socket) { s.membership.mark = ln.mark })
	}
	switch {
	case len(rooms) == 0 && len(except) == 0:
		return append(targets, ln.all...)
	case len(rooms) == 0:
		for _, s := range ln.all {
			if s.membership.mark != ln.mark {
				targets = append(targets, s)
			}
		}
		return targets
	}
	for _, name := range rooms {
		ln.members(name, func(s *Socket) {
			if s.membership.mark != ln.mark {
				s.membership.mark = ln.mark
				targets = append(targets, s)
			}
		})
	}
	return targets
}

// recipients is resolve for an event that is sent to what it returns.
func (ln *lane) recipients(rooms, except []string) []*Socket {
	for _, name := range rooms {
		if r, ok := ln.rooms[name]; ok {
			r.sent += uint64(len(r.members))
		}
	}
	return ln.resolve(rooms, except)
}

// release takes back what resolve returned.
func (ln *lane) release(targets []*Socket) {
	clear(targets)
	ln.targets = targets[:0]
}

// members calls fn for each member of a room, perhaps more than once. fn must
// not change the room.
func (ln *lane) members(name string, fn func(*Socket)) {
	if s, ok := ln.sockets[name]; ok && s.membership.inOwnRoom() {
		fn(s)
	}
	if r, ok := ln.rooms[name]; ok {
		for _, s := range r.members {
			fn(s)
		}
	}
}

// deliver sends a packet to the sockets of rooms but except. Call on the loop.
//
// Hot path: per broadcast and per member.
func (ln *lane) deliver(rooms, except []string, p *engineio.Prepared, volatile bool) {
	targets := ln.recipients(rooms, except)
	for _, s := range targets {
		s.deliver(p, volatile)
	}
	ln.nsp.server.delivered.Add(uint64(len(targets)))
	ln.release(targets)
}

// deliverStored is deliver for an event with an offset, if only on this node (id
// is zero then): a socket that returned with it does not get it again. got, if not
// nil, is called for each that does. Call on the loop.
func (ln *lane) deliverStored(b Broadcast, p *engineio.Prepared, number uint64, id cluster.ID, got func(*Socket)) {
	targets := ln.recipients(b.rooms, b.except)
	for _, s := range targets {
		m := &s.membership
		if number > m.watermark && (m.upTo == cluster.ID{} || id.Compare(m.upTo) > 0) {
			s.deliver(p, false)
			if got != nil {
				got(s)
			}
		}
	}
	ln.nsp.server.delivered.Add(uint64(len(targets)))
	ln.release(targets)
}

// post has fn called on the loop in the order of the calls, at once where the
// caller is on it, but behind events that wait for the cluster's log. size in
// bytes is what fn holds until then. Where too much waits already, the caller
// waits too; on a loop, which must not, it gets ErrOverloaded, and fn is not
// called.
func (ln *lane) post(size int, fn func()) error {
	if err := ln.backlog.enter(size, ln.nsp.server); err != nil {
		return err
	}
	return ln.inOrder(size, fn)
}

// overtake is post that does not wait for the log.
func (ln *lane) overtake(size int, fn func()) error {
	if err := ln.backlog.enterPast(size, ln.nsp.server); err != nil {
		return err
	}
	return ln.run(size, ln.loop.Run, fn)
}

// mustPost is post for what may not fail: on a loop it goes beyond the limit.
func (ln *lane) mustPost(size int, fn func()) {
	if err := ln.backlog.enter(size, ln.nsp.server); err != nil {
		ln.backlog.force(size)
	}
	// A loop that has ended has no sockets.
	_ = ln.inOrder(size, fn)
}

// inOrder hands fn, whose size is in the backlog, to the loop, behind events that
// wait for the log.
func (ln *lane) inOrder(size int, fn func()) error {
	if ln.nsp.queue.waits() && ln.behind(size, fn) {
		return nil
	}
	return ln.run(size, ln.loop.Run, fn)
}

// behind hands fn to the loop when the events have that wait for the log now. It
// returns false, and does nothing, when none does.
func (ln *lane) behind(size int, fn func()) bool {
	ln.backlog.hold(size)
	waits := ln.nsp.queue.behind(func() {
		ln.backlog.unhold(size)
		_ = ln.run(size, ln.loop.Post, fn)
	})
	if !waits {
		ln.backlog.unhold(size)
	}
	return waits
}

// run hands fn, whose size is in the backlog, to the loop by way of how.
func (ln *lane) run(size int, how func(func()) bool, fn func()) error {
	if !how(func() {
		ln.backlog.leave(size)
		fn()
	}) {
		ln.backlog.leave(size)
		return engine.ErrShutdown
	}
	return nil
}

// enter counts an event of size bytes in the backlog of each loop, by
// backlog.enter or enterPast. It returns the lanes that have room, and an error if
// not all have.
func (n *Namespace) enter(size int, how func(*backlog, int, *Server) error) (entered []*lane, failed error) {
	lanes := n.lanes()
	entered = make([]*lane, 0, len(lanes))
	for _, ln := range lanes {
		if err := how(ln.backlog, size, n.server); err != nil {
			failed = err
			continue
		}
		entered = append(entered, ln)
	}
	return entered, failed
}

// leave ends what enter began, for an event that is not posted.
func leave(lanes []*lane, size int) {
	for _, ln := range lanes {
		ln.backlog.leave(size)
	}
}

// payloadSize is what an event counts in a backlog.
func payloadSize(p sio.Payload) int {
	size := len(p.JSON)
	for _, a := range p.Attachments {
		size += len(a)
	}
	return size
}
