package redis

import (
	"sync/atomic"
	"time"

	"github.com/fe4bcecb/wsd/broker"
)

// Stats is a snapshot of a Broker's counters, since it was opened, and gauges.
type Stats struct {
	// Up and Lag are Health's.
	Up  bool
	Lag time.Duration
	// Lags are of all probes.
	Lags LagStats
	// Nodes are the Socket.IO servers of the cluster, this one included, as they were
	// counted last, which is seldom; 0: not known.
	Nodes int
	// StreamWindow is how old the oldest entry is that the streams adapter still has,
	// in the stream where it is youngest; likewise. Below 0: not known, no entries, or
	// another adapter.
	StreamWindow time.Duration
	// Surveyed is when Redis told both of that last; the zero time: never.
	Surveyed time.Time

	// Sent counts commands of the lanes that a server took.
	Sent uint64
	// SendErrors counts those that did not get through, by what is known of them.
	SendErrors SendErrors
	// Received counts messages of subscriptions, probes apart; Unwanted those of
	// them that had no listener any more.
	Received, Unwanted uint64
	// CommandErrors counts other commands that failed, for lack of an answer in
	// time above all.
	CommandErrors uint64

	// Connects counts subscriber connections that were made, and Disconnects those
	// that were lost. ProbesLost counts probes that did not come back.
	Connects, Disconnects, ProbesLost uint64
	// Resets counts how often the publishing connection was made anew because
	// probes were lost.
	Resets uint64
	// SubscribeErrors counts subscriptions that a server refused.
	SubscribeErrors uint64
	// Migrations counts channels that went to another server of a Cluster.
	Migrations uint64
	// Gaps counts what listeners were told, by reason.
	Gaps GapStats
	// Lost counts messages that are known not to have arrived here, by reason.
	Lost LostStats

	// Connections are subscriber connections that stand.
	Connections int
	// Channels are those that are to be subscribed, Subscriptions those that are.
	Channels, Subscriptions int
	// Queues are what waits to be sent, by lane.
	Queues []QueueStats

	// Cache is of lookups in Presence.
	Cache CacheStats
}

// SendErrors are commands of lanes that did not get through.
type SendErrors struct {
	Overflow    uint64 // the queue was full
	Unavailable uint64 // no server was reached: surely not taken
	Refused     uint64 // the server answered with an error
	Unknown     uint64 // the connection broke before the answer
}

// GapStats are counts of gaps.
type GapStats struct{ Reconnected, Trimmed, Restarted, Overflow uint64 }

// LostStats are counts of messages from other nodes.
type LostStats struct {
	Overflow  uint64 // the queue of what has arrived was full
	Malformed uint64 // no node should have sent it
	Trimmed   uint64 // gone from a log before it was read
}

// QueueStats are a lane's.
type QueueStats struct {
	Name            string
	Messages, Bytes int
	Down            bool
}

// CacheStats are of client-side caching.
type CacheStats struct{ Hits, Misses, Invalidations uint64 }

// counters are what Stats is made of.
type counters struct {
	sent, received, unwanted                 atomic.Uint64
	overflow, unavailable, refused, unknown  atomic.Uint64
	commandErrors                            atomic.Uint64
	connects, disconnects, probesLost        atomic.Uint64
	resets, subscribeErrors, migrations      atomic.Uint64
	gaps                                     [broker.Overflow + 1]atomic.Uint64 // by reason
	lostOverflow, lostMalformed, lostTrimmed atomic.Uint64
	cacheHits, cacheMisses, invalidations    atomic.Uint64
	lags                                     lags
}

// gap counts one that a listener is told.
func (c *counters) gap(r broker.GapReason) {
	if int(r) < len(c.gaps) {
		c.gaps[r].Add(1)
	}
}

// lost is Health.Lost.
func (c *counters) lost() uint64 {
	return c.overflow.Load() + c.unavailable.Load() + c.refused.Load() + c.unknown.Load() +
		c.lostOverflow.Load() + c.lostMalformed.Load() + c.lostTrimmed.Load()
}

// allGaps is Health.Gaps.
func (c *counters) allGaps() (n uint64) {
	for i := range c.gaps {
		n += c.gaps[i].Load()
	}
	return n
}

// Stats returns a snapshot. Safe from any goroutine.
func (b *Broker) Stats() Stats {
	c := &b.count
	health := b.Health()
	s := Stats{
		Up: health.Up, Lag: health.Lag, Lags: c.lags.stats(),
		Nodes: int(b.survey.nodes.Load()), StreamWindow: time.Duration(b.survey.window.Load()),
		Sent:     c.sent.Load(),
		Received: c.received.Load(), Unwanted: c.unwanted.Load(),
		SendErrors: SendErrors{
			Overflow: c.overflow.Load(), Unavailable: c.unavailable.Load(),
			Refused: c.refused.Load(), Unknown: c.unknown.Load(),
		},
		CommandErrors: c.commandErrors.Load(),
		Connects:      c.connects.Load(), Disconnects: c.disconnects.Load(), ProbesLost: c.probesLost.Load(),
		Resets: c.resets.Load(), SubscribeErrors: c.subscribeErrors.Load(), Migrations: c.migrations.Load(),
		Gaps: GapStats{
			Reconnected: c.gaps[broker.Reconnected].Load(), Trimmed: c.gaps[broker.Trimmed].Load(),
			Restarted: c.gaps[broker.Restarted].Load(), Overflow: c.gaps[broker.Overflow].Load(),
		},
		Lost: LostStats{
			Overflow: c.lostOverflow.Load(), Malformed: c.lostMalformed.Load(), Trimmed: c.lostTrimmed.Load(),
		},
		Cache: CacheStats{
			Hits: c.cacheHits.Load(), Misses: c.cacheMisses.Load(), Invalidations: c.invalidations.Load(),
		},
	}
	if at := b.survey.at.Load(); at != 0 {
		s.Surveyed = time.Unix(0, at)
	}
	s.Connections, s.Channels, s.Subscriptions = b.hub.size()
	for _, l := range b.allLanes() {
		s.Queues = append(s.Queues, l.stats())
	}
	return s
}
