package main

import (
	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
)

// brokerMetrics are about the way to other servers.
func (s *server) brokerMetrics(now *snapshot) {
	m, b := &s.metrics, &now.broker
	m.Gauge("wsd_broker_up", "1 while probes prove that messages pass between servers.", func() float64 { return bit(b.Up) })
	m.HistogramVec("wsd_broker_lag_seconds", "How long probes took that were published and came back.", nil,
		func(emit metrics.EmitHistogram) { emitLags(emit, &b.Lags) })
	m.Gauge("wsd_broker_last_lag_seconds", "How long the last of them took.",
		of(func() float64 { return b.Lag.Seconds() }))
	m.Counter("wsd_broker_sent_total", "Commands of publishers that Redis took.", of(func() uint64 { return b.Sent }))
	m.CounterVec("wsd_broker_send_errors_total", "Commands of publishers that did not get through, by what is known of them.", []string{"reason"},
		func(emit metrics.Emit) {
			emit(float64(b.SendErrors.Overflow), "overflow")
			emit(float64(b.SendErrors.Unavailable), "unavailable")
			emit(float64(b.SendErrors.Refused), "refused")
			emit(float64(b.SendErrors.Unknown), "unknown")
		})
	m.Counter("wsd_broker_received_total", "Messages received from Redis, probes apart.", of(func() uint64 { return b.Received }))
	m.Counter("wsd_broker_wasted_total", "Messages received for which there was no listener any more.", of(func() uint64 { return b.Unwanted }))
	m.CounterVec("wsd_broker_errors_total", "Other failures: commands without an answer, refused subscriptions, lost probes.", []string{"op"},
		func(emit metrics.Emit) {
			emit(float64(b.CommandErrors), "command")
			emit(float64(b.SubscribeErrors), "subscribe")
			emit(float64(b.ProbesLost), "probe")
		})
	m.CounterVec("wsd_broker_gaps_total", "Times that messages of other servers were lost, or may have been, by reason.", []string{"reason"},
		func(emit metrics.Emit) {
			emit(float64(b.Gaps.Reconnected), broker.Reconnected.String())
			emit(float64(b.Gaps.Trimmed), broker.Trimmed.String())
			emit(float64(b.Gaps.Restarted), broker.Restarted.String())
			emit(float64(b.Gaps.Overflow), broker.Overflow.String())
		})
	m.CounterVec("wsd_broker_lost_total", "Messages of other servers that are known not to have arrived here, by reason.", []string{"reason"},
		func(emit metrics.Emit) {
			emit(float64(b.Lost.Overflow), "overflow")
			emit(float64(b.Lost.Malformed), "malformed")
			emit(float64(b.Lost.Trimmed), "trimmed")
		})
	s.brokerLinkMetrics(now)
	m.Counter("wsd_cache_hits_total", "Lookups of presence that the cache answered.", of(func() uint64 { return b.Cache.Hits }))
	m.Counter("wsd_cache_misses_total", "Lookups of presence that Redis answered.", of(func() uint64 { return b.Cache.Misses }))
	m.Counter("wsd_cache_invalidations_total", "Entries of that cache that Redis told to be out of date.", of(func() uint64 { return b.Cache.Invalidations }))
}

// brokerLinkMetrics are about connections, subscriptions and queues.
func (s *server) brokerLinkMetrics(now *snapshot) {
	m, b := &s.metrics, &now.broker
	m.Gauge("wsd_broker_connections", "Subscriber connections to Redis that stand.", of(func() int { return b.Connections }))
	m.Counter("wsd_broker_connects_total", "Subscriber connections to Redis made.", of(func() uint64 { return b.Connects }))
	m.Counter("wsd_broker_disconnects_total", "Subscriber connections to Redis lost.", of(func() uint64 { return b.Disconnects }))
	m.Counter("wsd_broker_resets_total", "Times that the publishing connection was made anew because probes were lost.", of(func() uint64 { return b.Resets }))
	m.Counter("wsd_broker_migrations_total", "Channels that went to another server of a Redis Cluster.", of(func() uint64 { return b.Migrations }))
	m.GaugeVec("wsd_broker_channels", "Channels that are to be subscribed, and that are.", []string{"state"},
		func(emit metrics.Emit) {
			emit(float64(b.Channels), "wanted")
			emit(float64(b.Subscriptions), "subscribed")
		})
	m.GaugeVec("wsd_broker_queue_depth", "Commands that wait to be sent to Redis, by queue.", []string{"queue"},
		func(emit metrics.Emit) {
			for _, q := range b.Queues {
				emit(float64(q.Messages), q.Name)
			}
		})
	m.GaugeVec("wsd_broker_queue_bytes", "Bytes that wait to be sent to Redis, by queue.", []string{"queue"},
		func(emit metrics.Emit) {
			for _, q := range b.Queues {
				emit(float64(q.Bytes), q.Name)
			}
		})
}
