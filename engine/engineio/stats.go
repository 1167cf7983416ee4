package engineio

import (
	"sync/atomic"

	"github.com/fe4bcecb/wsd/engine"
)

// reasons are all Reasons, in the order in which they are counted. What is none
// of them counts as the last.
var reasons = [...]Reason{TransportClose, TransportError, PingTimeout, ParseError, ShuttingDown, ForcedClose}

// refusals is one more than the largest code of the protocol's refusals.
const refusals = 6

// laneCounters are those of one loop since it began. They are written there
// alone, and read anywhere.
type laneCounters struct {
	opened    atomic.Uint64
	upgraded  atomic.Uint64
	sockets   atomic.Int64 // sessions on WebSocket
	held      atomic.Int64 // polls that wait
	received  atomic.Uint64
	polls     atomic.Uint64
	posts     atomic.Uint64
	bytesIn   atomic.Uint64
	bytesOut  atomic.Uint64
	tooLarge  atomic.Uint64
	slowPosts atomic.Uint64
	slow      atomic.Uint64
	panics    atomic.Uint64
	closed    [len(reasons)]atomic.Uint64
	lives     engine.SharedHistogram
	rtt       engine.SharedHistogram
}

func (c *laneCounters) countClosed(reason Reason) {
	for i, r := range reasons {
		if r == reason || i == len(reasons)-1 {
			c.closed[i].Add(1)
			return
		}
	}
}

// Stats is a snapshot of a Server.
type Stats struct {
	Sessions  int    // open or about to be
	OnSocket  int    // those on WebSocket
	Parked    int    // polls that wait for something to be sent
	Opened    uint64 // sessions
	Upgraded  uint64 // sessions that moved from polling to WebSocket
	Received  uint64 // messages
	Polls     uint64 // GETs of sessions
	Posts     uint64 // POSTs that were read
	BytesIn   uint64 // in POSTs, as read
	BytesOut  uint64 // in polls, before compression
	TooLarge  uint64 // POSTs beyond MaxPayload
	SlowPosts uint64 // POSTs that did not come in time
	Slow      uint64 // sessions closed for MaxBackpressure
	Panics    uint64 // handlers that panicked outside of a WebSocket's callback
	// Refused counts requests by the protocol's code (0 to 5), and AtCapacity
	// those for which there was no room; Closed sessions by their reason.
	Refused    [refusals]uint64
	AtCapacity uint64
	Closed     map[Reason]uint64
	// Unknown counts requests for a session that there is not: Foreign those whose
	// id another server has made, which happens where a balancer is not sticky,
	// Malformed those whose id no server makes. The rest has ended.
	Unknown UnknownStats
	// Lives are how long sessions were open, RTT how long pongs took: see
	// engine.LifeBounds and engine.RTTBounds.
	Lives, RTT engine.Histogram
}

// UnknownStats are requests for unknown sessions; see Stats.
type UnknownStats struct{ Foreign, Malformed uint64 }

// Stats takes a snapshot. Safe from any goroutine.
func (srv *Server) Stats() Stats {
	s := Stats{
		Sessions: srv.Sessions(), AtCapacity: srv.atCapacity.Load(), Closed: map[Reason]uint64{},
		Unknown: UnknownStats{Foreign: srv.foreign.Load(), Malformed: srv.malformed.Load()},
	}
	for i := range srv.refused {
		s.Refused[i] = srv.refused[i].Load()
	}
	for _, ln := range srv.begunLanes() {
		s.OnSocket += int(ln.sockets.Load())
		s.Parked += int(ln.held.Load())
		s.Opened += ln.opened.Load()
		s.Upgraded += ln.upgraded.Load()
		s.Received += ln.received.Load()
		s.Polls += ln.polls.Load()
		s.Posts += ln.posts.Load()
		s.BytesIn += ln.bytesIn.Load()
		s.BytesOut += ln.bytesOut.Load()
		s.TooLarge += ln.tooLarge.Load()
		s.SlowPosts += ln.slowPosts.Load()
		s.Slow += ln.slow.Load()
		s.Panics += ln.panics.Load()
		lives, rtt := ln.lives.Snapshot(), ln.rtt.Snapshot()
		s.Lives.Add(&lives)
		s.RTT.Add(&rtt)
		for i, r := range reasons {
			s.Closed[r] += ln.closed[i].Load()
		}
	}
	return s
}

// tellRefused counts a refused request, and tells of it.
func (srv *Server) tellRefused(req *Request, e *RequestError) {
	srv.countRefused(e)
	if srv.opts.Refused != nil {
		srv.opts.Refused(req, e)
	}
}

// countUnknown counts a request for a session that there is not, by its id.
func (srv *Server) countUnknown(sid string) {
	switch {
	case len(sid) != sidLen:
		srv.malformed.Add(1)
	case !srv.Owns(sid):
		srv.foreign.Add(1)
	}
}

// countRefused counts a refused request by its code.
func (srv *Server) countRefused(e *RequestError) {
	switch {
	case e == refuseCapacity:
		srv.atCapacity.Add(1)
	case e.Code >= 0 && e.Code < refusals:
		srv.refused[e.Code].Add(1)
	}
}
