package bench

import "time"

// Tracker gives tests the sequence tracker.
type Tracker struct{ t tracker }

// See returns "", "reordered" or "duplicate".
func (t *Tracker) See(seq uint64) string {
	return [...]string{inOrder: "", reordered: "reordered", duplicate: "duplicate"}[t.t.see(seq)]
}

// Lost is the number of missing messages.
func (t *Tracker) Lost(sent uint64) uint64 { return t.t.lost(sent) }

// Near completes the digits of a payload of size bytes.
func Near(size int, digits, expected uint64) uint64 {
	return newPattern("", size).near(digits, expected)
}

// WithCPU is the result of a window in which messages arrived while the server
// used cpu.
func WithCPU(messages int, elapsed, cpu time.Duration) Result {
	r := newRun(Config{PID: 1})
	r.stats.add(0, make([]int64, messages), 0)
	var res Result
	res.measured(r, window{elapsed: elapsed, before: usage{cpu: time.Hour}, after: usage{cpu: time.Hour + cpu, rss: 1 << 20}})
	return res
}
