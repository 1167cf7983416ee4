package main

import "net/http"

// metricsRoutes serves /metrics. What it tells is registered here, and by the
// rooms that count.
func (s *server) metricsRoutes(mux *http.ServeMux) {
	s.metrics.Gauge("websocket_connections", "Connected clients, by WebSocket and by polling: the value for autoscalers.",
		func() float64 { return float64(s.connections()) })
	s.metrics.Gauge("wsd_connections_limit", "Clients that may connect.",
		func() float64 { return float64(s.limit.Load()) })
	mux.Handle("GET /metrics", s.metrics.Handler())
}
