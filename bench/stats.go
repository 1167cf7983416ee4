package bench

import (
	"runtime"
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept in nanoseconds with three significant digits, up to a
// minute.
const (
	maxLatency    = int64(60e9)
	latencyDigits = 3
)

// stats gathers what is measured. Receivers share a few shards, each under its
// own lock, and come once per read.
type stats struct{ shards []shard }

type shard struct {
	mu       sync.Mutex
	latency  *hdrhistogram.Histogram
	messages uint64
	wire     uint64
}

func newStats() *stats {
	s := &stats{shards: make([]shard, 2*runtime.GOMAXPROCS(0))}
	for i := range s.shards {
		s.shards[i].latency = hdrhistogram.New(1, maxLatency, latencyDigits)
	}
	return s
}

// add takes the latencies of the messages of one read, and their payload bytes
// on the wire. receiver chooses the shard.
func (s *stats) add(receiver int, latencies []int64, wire int) {
	sh := &s.shards[receiver%len(s.shards)]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, v := range latencies {
		_ = sh.latency.RecordValue(min(max(v, 0), maxLatency)) // in range, so it cannot fail
	}
	sh.messages += uint64(len(latencies))
	sh.wire += uint64(wire)
}

// total merges the shards.
func (s *stats) total() (latency *hdrhistogram.Histogram, messages, wire uint64) {
	latency = hdrhistogram.New(1, maxLatency, latencyDigits)
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		latency.Merge(sh.latency)
		messages += sh.messages
		wire += sh.wire
		sh.mu.Unlock()
	}
	return latency, messages, wire
}
