package main

import (
	"strconv"

	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
	"github.com/fe4bcecb/wsd/engine"
)

// loopMetrics are about the event loops.
func (s *server) loopMetrics(now *snapshot) {
	m := &s.metrics
	m.Gauge("wsd_loops", "Event loops.", of(func() int { return len(now.app.Loops) }))
	m.Gauge("wsd_loops_hung", "Event loops that have not answered for a second or more.", of(func() int { return now.hung }))
	m.Counter("wsd_loop_hangs_total", "Times that an event loop began not to answer for a second or more.", of(s.pulse.hangs.Load))
	m.Gauge("wsd_stats_stale", "1 when a loop was too busy to tell its counters: they are of the last scrape then.",
		func() float64 { return bit(now.app.Stale) })
	m.GaugeVec("wsd_loop_busy_ratio", "Share of the last second that an event loop worked and did not wait.", []string{"loop"},
		now.eachLoop(func(l *engine.LoopStats) float64 { return l.Busy }))
	m.CounterVec("wsd_loop_busy_seconds_total", "Time that an event loop worked and did not wait.", []string{"loop"},
		now.eachLoop(func(l *engine.LoopStats) float64 { return float64(l.Turns.Sum) / nanoseconds }))
	m.HistogramVec("wsd_loop_lag_seconds", "How long the turns of an event loop took, from readiness until all was handled: what a client may have to wait for.", []string{"loop"},
		func(emit metrics.EmitHistogram) {
			for i := range now.app.Loops {
				emitHistogram(emit, &now.app.Loops[i].Turns, engine.TurnBounds, nanoseconds, strconv.Itoa(i))
			}
		})
	m.CounterVec("wsd_loop_messages_received_total", "WebSocket messages received, by event loop.", []string{"loop"},
		now.eachLoop(func(l *engine.LoopStats) float64 { return float64(l.MessagesIn) }))
}

// eachLoop makes a metric's function of a value of each loop.
func (x *snapshot) eachLoop(value func(*engine.LoopStats) float64) func(metrics.Emit) {
	return func(emit metrics.Emit) {
		for i := range x.app.Loops {
			emit(value(&x.app.Loops[i]), strconv.Itoa(i))
		}
	}
}
