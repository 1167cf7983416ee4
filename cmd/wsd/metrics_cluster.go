package main

import (
	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// clusterMetrics are about the other servers of Socket.IO's cluster. There are none
// without Redis: the server is alone then.
func (s *server) clusterMetrics(now *snapshot) {
	m, b := &s.metrics, &now.broker
	m.GaugeVec("wsd_cluster_nodes", "Socket.IO servers of the cluster, this one and those of Node included, as its adapter counts them every 10 s; not told while that fails, and without Redis.", nil,
		func(emit metrics.Emit) {
			if b.Nodes > 0 {
				emit(float64(b.Nodes))
			}
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
	m.GaugeVec("wsd_stream_window_seconds", "How far back recovery can reach: the age of the oldest entry in the stream, of several the shortest, looked at every 10 s; not told while there is none.", nil,
		func(emit metrics.Emit) {
			if b.StreamWindow >= 0 {
				emit(b.StreamWindow.Seconds())
			}
		})
}
