package engine

import (
	"sync/atomic"
	"time"
)

// maxBuckets is one more than the most bounds that a histogram may have.
const maxBuckets = 16

// Bounds are the upper bounds of a histogram's buckets, ascending and in the unit
// of its values; at most 15.
type Bounds []uint64

// Bounds of the histograms in Stats. All but those of FanoutBounds, which are
// subscribers, are in nanoseconds.
var (
	TurnBounds      = durations(100*time.Microsecond, 250*time.Microsecond, 500*time.Microsecond, time.Millisecond, 2500*time.Microsecond, 5*time.Millisecond, 10*time.Millisecond, 25*time.Millisecond, 50*time.Millisecond, 100*time.Millisecond, 250*time.Millisecond, 500*time.Millisecond, time.Second, 5*time.Second)
	HandshakeBounds = durations(500*time.Microsecond, time.Millisecond, 2500*time.Microsecond, 5*time.Millisecond, 10*time.Millisecond, 25*time.Millisecond, 50*time.Millisecond, 100*time.Millisecond, 250*time.Millisecond, 500*time.Millisecond, time.Second, 5*time.Second)
	LifeBounds      = durations(time.Second, 10*time.Second, time.Minute, 5*time.Minute, 15*time.Minute, time.Hour, 4*time.Hour, 24*time.Hour)
	RTTBounds       = durations(time.Millisecond, 5*time.Millisecond, 10*time.Millisecond, 25*time.Millisecond, 50*time.Millisecond, 100*time.Millisecond, 250*time.Millisecond, 500*time.Millisecond, time.Second, 2500*time.Millisecond, 5*time.Second)
	FanoutBounds    = Bounds{1, 2, 5, 10, 50, 100, 500, 1000, 5000, 10_000, 50_000}
)

func durations(all ...time.Duration) Bounds {
	b := make(Bounds, len(all))
	for i, d := range all {
		b[i] = uint64(d)
	}
	return b
}

// bucket is where v counts: at the first bound that it is not above, or behind
// them.
func (b Bounds) bucket(v uint64) int {
	for i, upper := range b {
		if v <= upper {
			return i
		}
	}
	return len(b)
}

// Histogram counts values by Bounds.
type Histogram struct {
	// Counts[i] are the values that are not above the bound of that index and
	// above the one before it; at the index behind the bounds those above all.
	Counts [maxBuckets]uint64
	Sum    uint64 // of all values
}

// observe counts a value.
func (h *Histogram) observe(b Bounds, v uint64) {
	h.Counts[b.bucket(v)&(maxBuckets-1)]++
	h.Sum += v
}

// Add adds what another one has counted by the same bounds.
func (h *Histogram) Add(other *Histogram) {
	for i, n := range other.Counts {
		h.Counts[i] += n
	}
	h.Sum += other.Sum
}

// SharedHistogram is a Histogram that is safe from any goroutine. The zero value is
// an empty one.
type SharedHistogram struct {
	counts [maxBuckets]atomic.Uint64
	sum    atomic.Uint64
}

// Observe counts a value.
func (h *SharedHistogram) Observe(b Bounds, v uint64) {
	h.counts[b.bucket(v)&(maxBuckets-1)].Add(1)
	h.sum.Add(v)
}

// Snapshot is what it has counted.
func (h *SharedHistogram) Snapshot() Histogram {
	s := Histogram{Sum: h.sum.Load()}
	for i := range h.counts {
		s.Counts[i] = h.counts[i].Load()
	}
	return s
}
