package socketio

import (
	"slices"
	"sync"

	"github.com/fe4bcecb/wsd/codec/cluster"
)

// room is the members that a room has on one loop.
type room struct {
	name    string
	members []*Socket
	// sent is the fan-out since the call of Namespace.FanOut before, recent what
	// that call found.
	sent, recent uint64
}

// seat is a socket's place in a room: room.members[at].
type seat struct {
	room *room
	at   int
}

// membership is a socket's part in its namespace and its rooms. A socket is in
// the room of its own id without being listed there.
//
// What Rooms tells is under mu and changes at once, whoever asks. The seats
// follow on the loop, change by change in the order of the calls, so that a
// broadcast finds those who had joined when it was made. Where changes of several
// goroutines arrive in another order than they were listed in, the seats are
// compared with the list when the last of them has arrived.
type membership struct {
	mu       sync.Mutex
	rooms    []string // mu; in the order of joining
	leftOwn  bool     // mu; left the room of its own id
	attached bool     // mu
	gone     bool     // mu; joins nothing any more
	stale    bool     // mu; seats may differ from the list for good
	listed   uint32   // mu; changes listed
	arrived  uint32   // mu; changes whose seats have followed

	// Of the loop.
	seats []seat
	at    int32  // in lane.all
	mark  uint64 // of the last lane.resolve that met the socket
	// Of a socket that returned: events that were posted up to this number, or are
	// in the log up to this offset, are not for it, or were sent when it came.
	watermark uint64
	upTo      cluster.ID
	emitted   uint64 // of its node's events, logged.number, up to this one only what the log has
	unsure    bool   // got an event that the cluster's log has perhaps: see logged.unsure
}

// takeUp makes the membership that of a socket that returned.
func (m *membership) takeUp(x *restored, watermark uint64, upTo cluster.ID) {
	m.mu.Lock()
	m.rooms, m.leftOwn = x.rooms, x.leftOwn
	m.mu.Unlock()
	m.watermark, m.upTo = watermark, upTo
}

// attach begins the membership and returns the rooms to take seats in.
func (m *membership) attach() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.attached = true
	return slices.Clone(m.rooms)
}

// detach ends the membership, whose rooms are still told until forget. It
// reports whether there was one.
func (m *membership) detach() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.attached && !m.gone
	m.gone = true
	return was
}

// forget ends what Rooms tells after detach.
func (m *membership) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rooms = nil
	m.leftOwn = true
}

func (m *membership) inOwnRoom() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.leftOwn
}

func (m *membership) has(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.rooms, name)
}

// seated reports whether the seats follow what is listed.
func (m *membership) seated() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.attached && !m.gone
}

// Join puts the socket into rooms. Safe from any goroutine: what the caller
// broadcasts afterwards reaches the socket.
func (s *Socket) Join(rooms ...string) {
	added, change := s.membership.add(s.id, rooms)
	if len(added) == 0 {
		return
	}
	// The broker knows of the room when Join returns: what another node sends
	// because it was told of the join comes perhaps before the loop has seated the
	// socket, but is delivered after that.
	s.lane.nsp.roomsOpened(added)
	s.lane.mustPost(len(added)*postCost, func() {
		s.followOnLoop(added, change, (*lane).seat)
		s.lane.nsp.roomsClosed(added)
	})
}

// Leave takes the socket out of rooms. Safe from any goroutine.
func (s *Socket) Leave(rooms ...string) {
	removed, change := s.membership.remove(s.id, rooms)
	s.follow(removed, change, (*lane).unseatFrom)
}

// joinOnLoop is Join where the caller's place in the order is that of the
// function that runs. Call on the loop.
func (s *Socket) joinOnLoop(rooms []string) {
	added, change := s.membership.add(s.id, rooms)
	s.followOnLoop(added, change, (*lane).seat)
}

// leaveOnLoop is Leave, like joinOnLoop.
func (s *Socket) leaveOnLoop(rooms []string) {
	removed, change := s.membership.remove(s.id, rooms)
	s.followOnLoop(removed, change, (*lane).unseatFrom)
}

// add lists rooms, and returns those that were not, with the number of the
// change.
func (m *membership) add(own string, rooms []string) (added []string, change uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range rooms {
		switch {
		case m.gone:
		case name == own:
			m.leftOwn = false
		case !slices.Contains(m.rooms, name):
			m.rooms = append(m.rooms, name)
			added = append(added, name)
		}
	}
	return added, m.numberLocked(added)
}

// numberLocked is the number of a change of these rooms.
func (m *membership) numberLocked(rooms []string) uint32 {
	if len(rooms) > 0 {
		m.listed++
	}
	return m.listed
}

// remove ends the listing of rooms, and returns those that were listed, with the
// number of the change.
func (m *membership) remove(own string, rooms []string) (removed []string, change uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range rooms {
		if name == own {
			m.leftOwn = true
			continue
		}
		if i := slices.Index(m.rooms, name); i >= 0 {
			m.rooms = slices.Delete(m.rooms, i, i+1)
			removed = append(removed, name)
		}
	}
	return removed, m.numberLocked(removed)
}

// LeaveAll takes the socket out of all rooms but its own. Safe from any
// goroutine.
func (s *Socket) LeaveAll() {
	m := &s.membership
	m.mu.Lock()
	removed := m.rooms
	m.rooms = nil
	change := m.numberLocked(removed)
	m.mu.Unlock()
	s.follow(removed, change, (*lane).unseatFrom)
}

// Rooms are the rooms that the socket is in, its own id first. Safe from any
// goroutine.
func (s *Socket) Rooms() []string {
	m := &s.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	rooms := make([]string, 0, 1+len(m.rooms))
	if !m.leftOwn {
		rooms = append(rooms, s.id)
	}
	return append(rooms, m.rooms...)
}

// InRoom reports whether the socket is in a room. Safe from any goroutine.
func (s *Socket) InRoom(name string) bool {
	m := &s.membership
	m.mu.Lock()
	defer m.mu.Unlock()
	return name == s.id && !m.leftOwn || slices.Contains(m.rooms, name)
}

// follow has the seats in some rooms follow a change.
func (s *Socket) follow(rooms []string, change uint32, how func(*lane, *Socket, string)) {
	if len(rooms) > 0 {
		s.lane.mustPost(len(rooms)*postCost, func() { s.followOnLoop(rooms, change, how) })
	}
}

// followOnLoop is follow on the loop.
func (s *Socket) followOnLoop(rooms []string, change uint32, how func(*lane, *Socket, string)) {
	if len(rooms) == 0 {
		return
	}
	ln := s.lane
	// Before attach there is no seat, after detach none any more.
	if s.membership.seated() {
		for _, name := range rooms {
			how(ln, s, name)
		}
	}
	if !s.membership.arrive(change) {
		return
	}
	for i := len(s.membership.seats) - 1; i >= 0; i-- {
		if !s.membership.has(s.membership.seats[i].room.name) {
			ln.unseat(s, i)
		}
	}
	for _, name := range s.membership.list() {
		ln.seat(s, name)
	}
}

// arrive notes that the seats have followed a change. It reports whether they
// may differ from the list although no change is on its way.
func (m *membership) arrive(change uint32) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.arrived++
	if m.arrived != change {
		m.stale = true
	}
	if !m.stale || m.arrived != m.listed || !m.attached || m.gone {
		return false
	}
	m.stale = false
	return true
}

// list is a copy of the rooms.
func (m *membership) list() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.rooms)
}

// seat gives the socket a seat in a room, unless it has one. Call on the loop.
func (ln *lane) seat(s *Socket, name string) {
	m := &s.membership
	if m.seatIn(name) >= 0 {
		return
	}
	r := ln.rooms[name]
	if r == nil {
		r = &room{name: name}
		ln.rooms[name] = r
		ln.nsp.roomOpened(name)
	}
	m.seats = append(m.seats, seat{r, len(r.members)})
	r.members = append(r.members, s)
}

// seatIn is which of the seats is in a room, or -1.
func (m *membership) seatIn(name string) int {
	return slices.IndexFunc(m.seats, func(x seat) bool { return x.room.name == name })
}

// unseatFrom gives up the socket's seat in a room, if it has one. Call on the
// loop.
func (ln *lane) unseatFrom(s *Socket, name string) {
	if i := s.membership.seatIn(name); i >= 0 {
		ln.unseat(s, i)
	}
}

// unseat gives up the i-th seat of a socket. Call on the loop.
func (ln *lane) unseat(s *Socket, i int) {
	m := &s.membership
	r, at := m.seats[i].room, m.seats[i].at
	last := len(m.seats) - 1
	m.seats[i] = m.seats[last]
	m.seats[last] = seat{}
	m.seats = m.seats[:last]

	end := len(r.members) - 1
	moved := r.members[end]
	r.members[at] = moved
	r.members[end] = nil
	r.members = r.members[:end]
	if moved != s {
		for j := range moved.membership.seats {
			if moved.membership.seats[j].room == r {
				moved.membership.seats[j].at = at
				break
			}
		}
	}
	if end == 0 {
		delete(ln.rooms, r.name)
		ln.nsp.roomClosed(r.name)
	}
}
