package engineio

import (
	"slices"
	"time"

	"github.com/fe4bcecb/wsd/engine"
)

// lane is the server's part on one loop, touched there only.
type lane struct {
	srv  *Server
	loop *engine.Loop

	sessions []*Session
	due      []uint32   // tick at which sessions[i] needs a look; 0: never
	times    []times    // of sessions[i]
	zombies  []*Session // closed, with something left for a poller
	probes   []*Session // with a WebSocket that tries to take over

	began  time.Time
	length time.Duration // of a tick
	timer  *time.Timer   // nil while there is nothing to look after

	parked  []*Session // polls to answer at the end of the turn
	flushed bool       // that is posted

	laneCounters
}

// times are those of a session, on the lane's clock.
type times struct {
	opened uint32 // in seconds
	pinged uint32 // in microseconds, which go round in 71 minutes
}

// Ticks are a small part of the shortest timeout, within limits.
const (
	shortestTick = 5 * time.Millisecond
	longestTick  = 500 * time.Millisecond
	ticksPer     = 16
)

func newLane(srv *Server, l *engine.Loop) *lane {
	shortest := min(srv.opts.PingInterval, srv.opts.PingTimeout, srv.opts.UpgradeTimeout)
	return &lane{
		srv:    srv,
		loop:   l,
		began:  time.Now(),
		length: min(max(shortest/ticksPer, shortestTick), longestTick),
	}
}

// after is the tick at which d has passed for sure.
func (ln *lane) after(d time.Duration) uint32 {
	return uint32((time.Since(ln.began)+d)/ln.length) + 1
}

// add looks after a session.
func (ln *lane) add(s *Session) {
	s.at = int32(len(ln.sessions))
	ln.sessions = append(ln.sessions, s)
	ln.due = append(ln.due, 0)
	ln.times = append(ln.times, times{opened: uint32(time.Since(ln.began) / time.Second)})
	ln.arm()
}

// remove ends that.
func (ln *lane) remove(s *Session) {
	last := len(ln.sessions) - 1
	moved := ln.sessions[last]
	ln.sessions[s.at], ln.due[s.at], ln.times[s.at] = moved, ln.due[last], ln.times[last]
	moved.at = s.at
	ln.sessions[last] = nil
	ln.sessions, ln.due, ln.times = ln.sessions[:last], ln.due[:last], ln.times[:last]
}

// micros is the lane's clock in microseconds.
func (ln *lane) micros() uint32 { return uint32(time.Since(ln.began) / time.Microsecond) }

// timeLife counts how long a session was open.
func (ln *lane) timeLife(s *Session) {
	age := time.Since(ln.began) - time.Duration(ln.times[s.at].opened)*time.Second
	ln.lives.Observe(engine.LifeBounds, uint64(max(0, age)))
}

// timePong counts how long the pong took that has come.
func (ln *lane) timePong(s *Session) {
	took := time.Duration(ln.micros()-ln.times[s.at].pinged) * time.Microsecond
	ln.rtt.Observe(engine.RTTBounds, uint64(took))
}

// arm has the next tick come.
func (ln *lane) arm() {
	if ln.timer == nil {
		ln.timer = time.AfterFunc(ln.length, func() { ln.loop.Post(ln.tick) })
	}
}

// closeAll closes the open sessions.
func (ln *lane) closeAll() {
	for len(ln.sessions) > 0 {
		ln.sessions[len(ln.sessions)-1].Close(ShuttingDown)
	}
}

// tick looks after the sessions whose time has come.
func (ln *lane) tick() {
	ln.timer = nil
	now := uint32(time.Since(ln.began) / ln.length)
	for i := len(ln.sessions) - 1; i >= 0; i-- {
		// A look may remove sessions; the last takes the place of one.
		if i < len(ln.sessions) && ln.due[i] != 0 && ln.due[i] <= now {
			ln.sessions[i].timedOut()
		}
	}
	ln.zombies = slices.DeleteFunc(ln.zombies, func(s *Session) bool {
		if s.poll != nil && s.poll.until <= now {
			s.bury()
		}
		return s.poll == nil
	})
	ln.probes = slices.DeleteFunc(ln.probes, func(s *Session) bool {
		if s.poll == nil {
			return true
		}
		if s.poll.probe != nil && s.poll.probeDue <= now {
			s.dropProbe()
		}
		s.poll.probeListed = s.poll.probe != nil
		return !s.poll.probeListed
	})
	if len(ln.sessions)+len(ln.zombies) > 0 {
		ln.arm()
	}
}

// mourn keeps a closed session for its poller. Where there are too many, that of the
// oldest hears from its next request that the session is unknown, and comes anew.
func (ln *lane) mourn(s *Session) {
	ln.zombies = append(ln.zombies, s)
	for len(ln.zombies) > maxFarewells {
		if oldest := ln.zombies[0]; oldest.poll != nil {
			oldest.bury()
		}
		ln.zombies[0] = nil
		ln.zombies = ln.zombies[1:]
	}
	ln.arm()
}

// flushLater answers a parked poll at the end of the turn.
func (ln *lane) flushLater(s *Session) {
	if s.poll.listed {
		return
	}
	s.poll.listed = true
	ln.parked = append(ln.parked, s)
	if !ln.flushed {
		// Behind whatever this turn still sends. After Shutdown nobody polls.
		ln.flushed = ln.loop.Post(ln.flushPolls)
	}
}

func (ln *lane) flushPolls() {
	ln.flushed = false
	parked := ln.parked
	ln.parked = nil
	for _, s := range parked {
		if s.poll != nil {
			s.poll.listed = false
			s.flushPoll()
		}
	}
	clear(parked)
	if ln.parked == nil {
		ln.parked = parked[:0]
	}
}
