package socketio

import (
	"slices"
	"sync"
)

// room is the members that a room has on one loop.
type room struct {
	name    string
	members []*Socket
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
// follow on the loop, in the order of the calls, so that a broadcast finds those
// who joined before it.
type membership struct {
	mu       sync.Mutex
	rooms    []string // mu; in the order of joining
	leftOwn  bool     // mu; left the room of its own id
	attached bool     // mu
	gone     bool     // mu; joins nothing any more

	// Of the loop.
	seats     []seat
	at        int32  // in lane.all
	mark      uint64 // of the last lane.resolve that met the socket
	watermark uint64 // recovery: packets up to this one were sent when it came back
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
func (s *Socket) Join(rooms ...string) { s.reseat(s.membership.add(s.id, rooms)) }

// Leave takes the socket out of rooms. Safe from any goroutine.
func (s *Socket) Leave(rooms ...string) { s.reseat(s.membership.remove(s.id, rooms)) }

// joinOnLoop is Join where the caller's place in the order is that of the
// function that runs. Call on the loop.
func (s *Socket) joinOnLoop(rooms []string) {
	for _, name := range s.membership.add(s.id, rooms) {
		s.lane.seat(s, name)
	}
}

// leaveOnLoop is Leave, like joinOnLoop.
func (s *Socket) leaveOnLoop(rooms []string) {
	for _, name := range s.membership.remove(s.id, rooms) {
		s.lane.seat(s, name)
	}
}

// add lists rooms, and returns those that were not.
func (m *membership) add(own string, rooms []string) (added []string) {
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
	return added
}

// remove ends the listing of rooms, and returns those that were listed.
func (m *membership) remove(own string, rooms []string) (removed []string) {
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
	return removed
}

// LeaveAll takes the socket out of all rooms but its own. Safe from any
// goroutine.
func (s *Socket) LeaveAll() {
	m := &s.membership
	m.mu.Lock()
	removed := m.rooms
	m.rooms = nil
	m.mu.Unlock()
	s.reseat(removed)
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

// reseat has the seats in some rooms follow what is listed.
func (s *Socket) reseat(rooms []string) {
	if len(rooms) == 0 {
		return
	}
	s.lane.mustPost(len(rooms)*postCost, func() {
		for _, name := range rooms {
			s.lane.seat(s, name)
		}
	})
}

// seat makes the socket's seat in a room agree with what is listed: the last
// Join or Leave counts. Call on the loop.
func (ln *lane) seat(s *Socket, name string) {
	m := &s.membership
	if !m.seated() {
		return // attach takes the seats, detach has given them back
	}
	at := slices.IndexFunc(m.seats, func(x seat) bool { return x.room.name == name })
	switch listed := m.has(name); {
	case listed && at < 0:
		r := ln.rooms[name]
		if r == nil {
			r = &room{name: name}
			ln.rooms[name] = r
			ln.nsp.roomOpened(name)
		}
		m.seats = append(m.seats, seat{r, len(r.members)})
		r.members = append(r.members, s)
	case !listed && at >= 0:
		ln.unseat(s, at)
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
