package main

import (
	"net/http"

	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// snapshot is what one scrape tells: it is taken once, however many metrics are
// made of it.
type snapshot struct {
	app    engine.Stats
	total  engine.LoopStats // of app's loops
	raw    int
	sio    socketio.Stats
	broker redis.Stats // zero without Redis
	fds    int         // -1: unknown
	hung   int         // loops
}

// take reads the counters. It waits for a busy loop, but not long: see
// engine.App.Stats.
func (x *snapshot) take(s *server) {
	x.app = s.app.Stats()
	x.total = x.app.Total()
	x.raw = int(s.raw.Load())
	x.sio = s.sio.io.Stats()
	if s.redis != nil {
		x.broker = s.redis.Stats()
	}
	x.fds = s.fds.open()
	x.hung = len(s.hungLoops(0))
}

// registerMetrics registers what is made of the libraries' counters. Rooms of
// this program that count register their own.
func (s *server) registerMetrics() {
	now := new(snapshot)
	s.metrics.BeforeScrape(func() { now.take(s) })
	s.connectionMetrics(now)
	s.engineMetrics(now)
	s.loopMetrics(now)
	s.sioMetrics(now)
	s.processMetrics(now)
	s.tlsMetrics(now)
	s.memoryMetrics()
	s.metrics.Counter("wsd_close_unanswered_total", "Connections that were cut off because the client did not answer a Close frame in time.",
		of(func() uint64 { return now.app.Unanswered }))
	if s.redis != nil {
		s.brokerMetrics(now)
		s.clusterMetrics(now)
	}
}

// metricsRoutes serves /metrics.
func (s *server) metricsRoutes(mux *http.ServeMux) {
	s.registerMetrics()
	s.refusalMetrics()
	s.pubsubMetrics()
	mux.Handle("GET /metrics", s.metrics.Handler())
}

// of makes a metric's function of a value of the snapshot.
func of[T int | uint64 | float64](value func() T) func() float64 {
	return func() float64 { return float64(value()) }
}

// bit is 1 for true.
func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
