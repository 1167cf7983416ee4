package limit

import (
	"sync/atomic"
	"time"
)

// Rate is how often something may happen: so many times a second on average, and a
// burst of them at once. The zero value is no limit.
type Rate struct {
	interval int64 // nanoseconds between two; 0: no limit
	reach    int64 // nanoseconds by which a burst may be ahead
}

// PerSecond is the rate of n a second, of which burst (at least 1) may come at once.
// n of 0 or less is no limit.
func PerSecond(n float64, burst int) Rate {
	if n <= 0 {
		return Rate{}
	}
	interval := max(int64(float64(time.Second)/n), 1)
	return Rate{interval, int64(max(burst, 1)-1) * interval}
}

// Limited reports whether r is a limit.
func (r Rate) Limited() bool { return r.interval > 0 }

// take moves the time at which all that was taken is paid for, unless that is too
// far ahead of now.
func (r Rate) take(due, now int64) (int64, bool) {
	due = max(due, now)
	if due-now > r.reach {
		return due, false
	}
	return due + r.interval, true
}

// epoch is when Now is 0.
var epoch = time.Now()

// Now is the time for Meter and Table, in nanoseconds since the program began. It
// never goes back.
func Now() int64 { return int64(time.Since(epoch)) }

// Meter is the state of a bucket: the time at which it is full again. The zero value
// is a full one. It belongs to one goroutine at a time.
type Meter int64

// Take takes one from the bucket, unless it is empty.
//
// Hot path: per message.
func (m *Meter) Take(r Rate, now int64) bool {
	if r.interval == 0 {
		return true
	}
	due, ok := r.take(int64(*m), now)
	*m = Meter(due)
	return ok
}

// SharedMeter is a Meter that is safe from any goroutine.
type SharedMeter struct{ due atomic.Int64 }

// Take is Meter.Take.
func (m *SharedMeter) Take(r Rate, now int64) bool {
	if r.interval == 0 {
		return true
	}
	for {
		before := m.due.Load()
		due, ok := r.take(before, now)
		if !ok {
			return false
		}
		if m.due.CompareAndSwap(before, due) {
			return true
		}
	}
}
