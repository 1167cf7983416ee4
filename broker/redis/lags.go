package redis

import (
	"sync/atomic"
	"time"
)

// LagBounds are the upper bounds of the buckets in LagStats: those of the engine's
// times, so that both can be compared.
var LagBounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 5 * time.Second,
}

// LagStats are how long the probes took that came back.
type LagStats struct {
	// Counts[i] are those that took no longer than LagBounds[i], and longer than the
	// bound before it; the last one counts those above all bounds.
	Counts [len(LagBounds) + 1]uint64
	Sum    time.Duration
}

// lags are what LagStats is made of.
type lags struct {
	counts [len(LagBounds) + 1]atomic.Uint64
	sum    atomic.Int64
}

// observe counts a probe.
func (l *lags) observe(lag time.Duration) {
	i := 0
	for i < len(LagBounds) && lag > LagBounds[i] {
		i++
	}
	l.counts[i].Add(1)
	l.sum.Add(int64(lag))
}

// stats is a snapshot.
func (l *lags) stats() LagStats {
	s := LagStats{Sum: time.Duration(l.sum.Load())}
	for i := range l.counts {
		s.Counts[i] = l.counts[i].Load()
	}
	return s
}
