package main

import (
	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/gobwas/ws"
)

// engineMetrics are about what flows through WebSockets.
func (s *server) engineMetrics(now *snapshot) {
	m := &s.metrics
	m.CounterVec("wsd_messages_received_total", "WebSocket messages received: of raw WebSocket paths, and those that carry Engine.IO.", []string{"kind", "op"},
		func(emit metrics.Emit) {
			t := &now.total
			emitMessages(emit, t.MessagesIn-t.BinaryIn, t.BinaryIn, t.LayeredIn)
		})
	m.CounterVec("wsd_messages_sent_total", "WebSocket messages sent or queued, likewise.", []string{"kind", "op"},
		func(emit metrics.Emit) {
			t := &now.total
			emitMessages(emit, t.FramesByOp[engine.Text], t.FramesByOp[engine.Binary], t.LayeredOut)
		})
	m.CounterVec("wsd_control_frames_sent_total", "Control frames sent or queued.", []string{"op"},
		func(emit metrics.Emit) {
			emit(float64(now.total.FramesByOp[ws.OpPing]), "ping")
			emit(float64(now.total.FramesByOp[ws.OpPong]), "pong")
			emit(float64(now.total.FramesByOp[ws.OpClose]), "close")
		})
	m.CounterVec("wsd_bytes_received_total", "Bytes received: on the sockets of WebSockets, and in POSTs of pollers.", []string{"transport"},
		func(emit metrics.Emit) {
			emit(float64(now.total.BytesIn), "websocket")
			emit(float64(now.sio.Engine.BytesIn), "polling")
		})
	m.CounterVec("wsd_bytes_sent_total", "Bytes sent: in WebSocket frames, and in answers to polls before compression.", []string{"transport"},
		func(emit metrics.Emit) {
			emit(float64(now.total.BytesOut), "websocket")
			emit(float64(now.sio.Engine.BytesOut), "polling")
		})
	m.CounterVec("wsd_compression_bytes_total", "Bytes of messages before and after coding, where a message was compressed or inflated for one connection or the subscribers of a topic.", []string{"dir", "stage"},
		func(emit metrics.Emit) {
			emit(float64(now.total.Deflated.In), "sent", "before")
			emit(float64(now.total.Deflated.Out), "sent", "after")
			emit(float64(now.total.Inflated.In), "received", "before")
			emit(float64(now.total.Inflated.Out), "received", "after")
		})
	m.Counter("wsd_panics_total", "Callbacks that panicked; each closed its connection only.",
		of(func() uint64 { return now.total.Panics + now.sio.Engine.Panics + now.sio.Panics }))
	s.topicMetrics(now)
	s.backpressureMetrics(now)
}

// emitMessages emits the messages of all connections by kind. Both counts of a loop
// are taken at the same moment: what is not Socket.IO's never falls.
func emitMessages(emit metrics.Emit, text, binary uint64, sio engine.Layered) {
	emit(float64(text-sio.Text), "raw", "text")
	emit(float64(binary-sio.Binary), "raw", "binary")
	emit(float64(sio.Text), "sio", "text")
	emit(float64(sio.Binary), "sio", "binary")
}

// topicMetrics are about what is published to raw topics.
func (s *server) topicMetrics(now *snapshot) {
	m := &s.metrics
	m.CounterVec("wsd_published_total", "Messages published to raw topics on this server: by its clients, and by itself, for the HTTP API say.", []string{"from"},
		func(emit metrics.Emit) {
			emit(float64(now.total.Published), "client")
			emit(float64(now.app.PublishedOutside), "server")
		})
	m.Gauge("wsd_topics", "Raw topics with subscribers here.", of(func() int { return now.app.Topics }))
	m.Gauge("wsd_subscriptions", "Subscriptions of raw topics: one a client and topic.", of(func() int { return now.total.Subscriptions }))
	m.HistogramVec("wsd_fanout_size", "Subscribers here of each message published to a raw topic, on this server or another.", nil,
		func(emit metrics.EmitHistogram) {
			all := now.total.Fanout
			all.Add(&now.app.FanoutOutside)
			emitHistogram(emit, &all, engine.FanoutBounds, things)
		})
	s.times("wsd_delivery_latency_seconds", "Time from a message's publication, or its arrival from another server or loop, until it was written or queued for its last subscriber on a loop; of one in 64.",
		engine.TurnBounds, func() *engine.Histogram { return &now.total.Delivery })
}

// backpressureMetrics are about readers that are slow, and what they cost.
func (s *server) backpressureMetrics(now *snapshot) {
	m := &s.metrics
	m.CounterVec("wsd_messages_dropped_total", "Messages that did not reach a client or another loop, by reason.", []string{"reason"},
		func(emit metrics.Emit) {
			emit(float64(now.total.Dropped), "backpressure")
			emit(float64(now.total.ControlDropped), "control_backpressure")
			emit(float64(now.total.MailDropped), "loop_overloaded")
			emit(float64(now.sio.VolatileDropped), "volatile")
			emit(float64(now.sio.Overloaded), "sio_loop_overloaded")
		})
	m.CounterVec("wsd_backpressure_events_total", "What happened over slow readers: output began to queue, a message was dropped, a connection closed, a queue got empty.", []string{"action"},
		func(emit metrics.Emit) {
			emit(float64(now.total.BackpressureEvents), "queue")
			emit(float64(now.total.Dropped), "drop")
			emit(float64(now.total.Closed[engine.CauseBackpressure]), "close")
			emit(float64(now.total.Drained), "drain")
		})
	m.Gauge("wsd_outbound_buffered_bytes", "Bytes that wait for readers of WebSockets.", of(func() int { return now.total.Buffered }))
	m.Gauge("wsd_slow_connections", "WebSockets whose reader does not take what is sent.", of(func() int { return now.total.Slow }))
}
