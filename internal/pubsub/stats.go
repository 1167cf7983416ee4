package pubsub

import "sync/atomic"

// recovery is what became of a client's wish for what it has missed.
type recovery uint8

const (
	recoveredAll recovery = iota
	recoveredPart
	recoveryFailed
	recoveries
)

var recoveryNames = [recoveries]string{"complete", "incomplete", "failed"}

// counters are the Server's.
type counters struct {
	connections, subscriptions atomic.Int64
	requests, published        atomic.Uint64
	lost, dropped, postponed   atomic.Uint64
	presenceLost               atomic.Uint64
	presenceDropped            atomic.Uint64
	errors                     [codes]atomic.Uint64
	recoveries                 [recoveries]atomic.Uint64
	gaps                       [gapReasons]atomic.Uint64
}

// Stats is a snapshot of a Server's counters since it began.
type Stats struct {
	Connections, Subscriptions int // now
	Requests                   uint64
	Published                  uint64 // that the broker took
	// Lost are messages that found a loop's queue full, for all its subscribers;
	// Dropped those that one slow reader did not get; Postponed the times that a slow
	// reader was left to the log.
	Lost, Dropped, Postponed uint64
	// PresenceLost and PresenceDropped are joins and leaves, likewise.
	PresenceLost, PresenceDropped uint64
	Errors                        map[string]uint64 // by code
	Recoveries                    map[string]uint64 // by result: complete, incomplete, failed
	Gaps                          map[string]uint64 // told to clients, by reason
}

// Stats takes a snapshot.
func (s *Server) Stats() Stats {
	c := &s.count
	st := Stats{
		Connections: int(c.connections.Load()), Subscriptions: int(c.subscriptions.Load()),
		Requests: c.requests.Load(), Published: c.published.Load(),
		Lost: c.lost.Load(), Dropped: c.dropped.Load(), Postponed: c.postponed.Load(),
		PresenceLost: c.presenceLost.Load(), PresenceDropped: c.presenceDropped.Load(),
		Errors: map[string]uint64{}, Recoveries: map[string]uint64{}, Gaps: map[string]uint64{},
	}
	for i := range c.errors {
		st.Errors[codeNames[i]] = c.errors[i].Load()
	}
	for i := range c.recoveries {
		st.Recoveries[recoveryNames[i]] = c.recoveries[i].Load()
	}
	for i := range c.gaps {
		st.Gaps[gapNames[i]] = c.gaps[i].Load()
	}
	return st
}
