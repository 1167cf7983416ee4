package main

import (
	"time"

	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
	"github.com/fe4bcecb/wsd/engine"
)

// Units of what histograms of the engine count: nanoseconds, of which the metrics
// tell seconds, or things.
const (
	nanoseconds = float64(time.Second)
	things      = 1
)

// emitHistogram emits what the engine has counted, whose values are divided by
// unit.
func emitHistogram(emit metrics.EmitHistogram, h *engine.Histogram, bounds engine.Bounds, unit float64, labels ...string) {
	var count uint64
	buckets := make(map[float64]uint64, len(bounds))
	for i, upper := range bounds {
		count += h.Counts[i]
		buckets[float64(upper)/unit] = count
	}
	emit(count+h.Counts[len(bounds)], float64(h.Sum)/unit, buckets, labels...)
}

// emitLags emits what the broker has counted.
func emitLags(emit metrics.EmitHistogram, lags *redis.LagStats) {
	var count uint64
	buckets := make(map[float64]uint64, len(redis.LagBounds))
	for i, upper := range redis.LagBounds {
		count += lags.Counts[i]
		buckets[upper.Seconds()] = count
	}
	emit(count+lags.Counts[len(redis.LagBounds)], lags.Sum.Seconds(), buckets)
}

// times registers a histogram of times without labels.
func (s *server) times(name, help string, bounds engine.Bounds, read func() *engine.Histogram) {
	s.metrics.HistogramVec(name, help, nil, func(emit metrics.EmitHistogram) {
		emitHistogram(emit, read(), bounds, nanoseconds)
	})
}
