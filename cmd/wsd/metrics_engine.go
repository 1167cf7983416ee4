package main

import (
	"strconv"

	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
	"github.com/fe4bcecb/wsd/engine"
)

// connectionMetrics are about who is connected.
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
	m.Gauge("wsd_sockets", "TCP connections that loops serve, those in a handshake or closing included.",
		of(func() int { return now.app.Sockets }))
	m.Counter("wsd_sockets_accepted_total", "TCP connections accepted.", of(func() uint64 { return now.total.Accepted }))
	m.Counter("wsd_accept_pauses_total", "Times that accepting paused because descriptors ran out.",
		of(func() uint64 { return now.total.AcceptPauses }))
	m.Counter("wsd_http_connections_total", "Connections that went to the HTTP server: polling, health, whatever is no WebSocket.",
		of(func() uint64 { return now.total.HandedOver }))
	m.Counter("wsd_http_refused_total", "Connections for the HTTP server that were one too many.",
		of(func() uint64 { return now.total.HTTPRefused }))
	m.Counter("wsd_websockets_opened_total", "WebSocket connections opened, those of Socket.IO included.",
		of(func() uint64 { return now.total.Opened }))
	m.CounterVec("wsd_websockets_ended_total", "WebSocket connections and handshakes that ended, by cause.", []string{"cause"},
		func(emit metrics.Emit) {
			for cause, n := range now.total.Closed {
				emit(float64(n), engine.CloseCause(cause).String())
			}
		})
}

// engineMetrics are about what flows through WebSockets.
func (s *server) engineMetrics(now *snapshot) {
	m := &s.metrics
	m.CounterVec("wsd_bytes_received_total", "Bytes received: on WebSockets' sockets, and in POSTs of pollers.", []string{"transport"},
		func(emit metrics.Emit) {
			emit(float64(now.total.BytesIn), "websocket")
			emit(float64(now.sio.Engine.BytesIn), "polling")
		})
	m.CounterVec("wsd_bytes_sent_total", "Bytes sent: in WebSocket frames, and in answers to polls before compression.", []string{"transport"},
		func(emit metrics.Emit) {
			emit(float64(now.total.BytesOut), "websocket")
			emit(float64(now.sio.Engine.BytesOut), "polling")
		})
	m.CounterVec("wsd_published_total", "Messages published to raw topics: by loops' connections, and by others such as the HTTP API.", []string{"from"},
		func(emit metrics.Emit) {
			emit(float64(now.total.Published), "connection")
			emit(float64(now.app.PublishedOutside), "server")
		})
	m.CounterVec("wsd_messages_dropped_total", "Messages that were not delivered to a client or another loop, by reason.", []string{"reason"},
		func(emit metrics.Emit) {
			emit(float64(now.total.Dropped), "backpressure")
			emit(float64(now.total.ControlDropped), "control_backpressure")
			emit(float64(now.total.MailDropped), "loop_overloaded")
			emit(float64(now.sio.VolatileDropped), "volatile")
			emit(float64(now.sio.Overloaded), "sio_loop_overloaded")
		})
	m.Gauge("wsd_topics", "Raw topics with subscribers here.", of(func() int { return now.app.Topics }))
	m.Counter("wsd_panics_total", "Callbacks that panicked; each closed its connection only.",
		of(func() uint64 { return now.total.Panics + now.sio.Engine.Panics + now.sio.Panics }))
}

// loopMetrics are about the event loops.
func (s *server) loopMetrics(now *snapshot) {
	m := &s.metrics
	m.Gauge("wsd_loops", "Event loops.", of(func() int { return len(now.app.Loops) }))
	m.Gauge("wsd_loops_hung", "Event loops that have not answered for a second or more.", of(func() int { return now.hung }))
	m.Gauge("wsd_stats_stale", "1 when a loop was too busy to tell its counters: they are of the last scrape then.",
		func() float64 { return bit(now.app.Stale) })
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
