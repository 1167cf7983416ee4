package main

import (
	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
	"github.com/fe4bcecb/wsd/engine"
)

// connectionMetrics are about who is connected, who came and who went.
func (s *server) connectionMetrics(now *snapshot) {
	m := &s.metrics
	m.Gauge("websocket_connections", "Connected clients, by WebSocket and by polling: the value for autoscalers.",
		of(func() int { return s.connections() }))
	m.GaugeVec("wsd_connections", "Connected clients: of raw WebSocket paths, and Socket.IO sessions.", []string{"kind", "transport"},
		func(emit metrics.Emit) {
			sio := &now.sio.Engine
			emit(float64(now.raw), "raw", "websocket")
			emit(float64(sio.OnSocket), "sio", "websocket")
			emit(float64(max(0, sio.Sessions-sio.OnSocket)), "sio", "polling")
		})
	m.Gauge("wsd_connections_limit", "Clients that may connect.", func() float64 { return float64(s.limit.Load()) })
	m.CounterVec("wsd_connections_accepted_total", "Clients that connected: raw WebSockets, and Socket.IO sessions.", []string{"kind"},
		func(emit metrics.Emit) {
			emit(float64(now.total.Opened-now.total.OpenedLayered), "raw")
			emit(float64(now.sio.Engine.Opened), "sio")
		})
	m.CounterVec("wsd_connections_closed_total", "WebSocket connections that ended, by close code (1005: none was given, 1006: no Close frame came) and by who ended them.", []string{"code", "initiator"},
		func(emit metrics.Emit) {
			for by, codes := range now.total.Ended {
				for code, n := range codes {
					emit(float64(n), engine.EndCodes[code], engine.Initiator(by).String())
				}
			}
		})
	m.CounterVec("wsd_websockets_ended_total", "WebSocket connections and handshakes that ended, by cause.", []string{"cause"},
		func(emit metrics.Emit) {
			for cause, n := range now.total.Closed {
				emit(float64(n), engine.CloseCause(cause).String())
			}
		})
	m.HistogramVec("wsd_connection_duration_seconds", "How long clients were connected, told when they leave.", []string{"kind"},
		func(emit metrics.EmitHistogram) {
			emitHistogram(emit, &now.total.Lives, engine.LifeBounds, nanoseconds, "raw")
			emitHistogram(emit, &now.sio.Engine.Lives, engine.LifeBounds, nanoseconds, "sio")
		})
	m.HistogramVec("wsd_handshake_duration_seconds", "Time from accepting a connection to its being an open WebSocket; of Socket.IO that transport only.", []string{"kind"},
		func(emit metrics.EmitHistogram) {
			emitHistogram(emit, &now.total.Handshakes[0], engine.HandshakeBounds, nanoseconds, "raw")
			emitHistogram(emit, &now.total.Handshakes[1], engine.HandshakeBounds, nanoseconds, "sio")
		})
	m.HistogramVec("wsd_ping_rtt_seconds", "How long clients took to answer a ping; those of pollers have to wait for a poll.", []string{"kind"},
		func(emit metrics.EmitHistogram) {
			emitHistogram(emit, &now.total.RTT, engine.RTTBounds, nanoseconds, "raw")
			emitHistogram(emit, &now.sio.Engine.RTT, engine.RTTBounds, nanoseconds, "sio")
		})
	s.socketMetrics(now)
}

// socketMetrics are about TCP connections, whatever they are for.
func (s *server) socketMetrics(now *snapshot) {
	m := &s.metrics
	m.Gauge("wsd_sockets", "TCP connections that loops serve, those in a handshake or closing included.",
		of(func() int { return now.app.Sockets }))
	m.Counter("wsd_sockets_accepted_total", "TCP connections accepted.", of(func() uint64 { return now.total.Accepted }))
	m.Counter("wsd_accept_pauses_total", "Times that accepting paused: there was not even a descriptor to refuse a client with.",
		of(func() uint64 { return now.total.AcceptPauses }))
	m.Counter("wsd_http_connections_total", "Connections that went to the HTTP server: polling, health, whatever is no WebSocket.",
		of(func() uint64 { return now.total.HandedOver }))
	m.Counter("wsd_http_refused_total", "Connections for the HTTP server that were one too many.",
		of(func() uint64 { return now.total.HTTPRefused }))
}
