package main

import (
	"math"

	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// clusterMetrics are about the other servers of Socket.IO's cluster. There are none
// without Redis: the server is alone then.
func (s *server) clusterMetrics(now *snapshot) {
	m, b := &s.metrics, &now.broker
	m.Gauge("wsd_cluster_nodes", "Socket.IO servers of the cluster, this one and those of Node included, as its adapter counts them every 10 s; NaN while that fails. Not without Redis.",
		func() float64 { return known(float64(b.Nodes), b.Nodes > 0) })
	m.Gauge("wsd_cluster_survey_timestamp_seconds", "When Redis told last how many servers there are, and how far back the stream reaches, in Unix time; 0: never. Not without Redis.",
		func() float64 {
			if b.Surveyed.IsZero() {
				return 0
			}
			return float64(b.Surveyed.UnixMilli()) / 1000
		})
	m.CounterVec("wsd_cluster_requests_total", "Requests to the other Socket.IO servers, by what they were for and what came of them; to join, leave and disconnect nobody answers.", []string{"type", "result"},
		func(emit metrics.Emit) {
			for t, results := range now.sio.Requests {
				for r, n := range results {
					emit(float64(n), socketio.RequestType(t).String(), socketio.RequestResult(r).String())
				}
			}
		})
	if adapters[s.redisFlags.Adapter] != redis.Streams {
		return
	}
	m.Gauge("wsd_stream_window_seconds", "How far back recovery can reach: the age of the oldest entry in the stream, of several the shortest, looked at every 10 s, by this server's clock; NaN while it has none, or can't be asked. Only with --adapter streams.",
		func() float64 { return known(b.StreamWindow.Seconds(), b.StreamWindow >= 0) })
}

// known is a value, or NaN: a series that comes and goes can't be told from a server
// that does, and of NaN no alert is true.
func known(value float64, ok bool) float64 {
	if !ok {
		return math.NaN()
	}
	return value
}
