package main

import (
	"strings"

	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// sioMetrics are about Engine.IO sessions and Socket.IO sockets.
func (s *server) sioMetrics(now *snapshot) {
	s.sessionMetrics(now)
	m := &s.metrics
	m.Gauge("wsd_namespaces", "Socket.IO namespaces.", of(func() int { return len(now.sio.Sockets) }))
	m.Gauge("wsd_sio_sockets", "Socket.IO sockets: one a client and namespace.", func() float64 {
		n := 0
		for _, sockets := range now.sio.Sockets {
			n += sockets
		}
		return float64(n)
	})
	m.CounterVec("wsd_sio_refused_total", "What Socket.IO clients were refused: a namespace, an event, a namespace that would have been one too many.", []string{"what"},
		func(emit metrics.Emit) {
			emit(float64(now.sio.Refused), "namespace")
			emit(float64(now.sio.EventsRefused), "event")
			emit(float64(now.sio.NamespacesRefused), "new_namespace")
		})
	m.CounterVec("wsd_sio_packets_total", "Socket.IO packets by type and direction; an event to a room is sent once to each socket, and acknowledgements sent are among the events.", []string{"dir", "type"},
		func(emit metrics.Emit) {
			emit(float64(now.sio.ConnectsIn), "received", "connect")
			emit(float64(now.sio.EventsIn), "received", "event")
			emit(float64(now.sio.Acked), "received", "ack")
			emit(float64(now.sio.DisconnectsIn), "received", "disconnect")
			emit(float64(now.sio.Connections), "sent", "connect")
			emit(float64(now.sio.Refused), "sent", "connect_error")
			emit(float64(now.sio.EventsOut+now.sio.Delivered), "sent", "event")
			emit(float64(now.sio.DisconnectsOut), "sent", "disconnect")
		})
	m.CounterVec("wsd_sio_closed_total", "Socket.IO clients that the server closed, by reason.", []string{"reason"},
		func(emit metrics.Emit) {
			emit(float64(now.sio.PendingOverflows), "pending_overflow")
			emit(float64(now.sio.ConnectTimeouts), "connect_timeout")
			emit(float64(now.sio.Violations), "protocol")
			emit(float64(now.sio.Engine.Slow), "backpressure")
		})
	m.CounterVec("wsd_sio_cluster_lost_total", "Messages of other servers that Socket.IO lost: not carried out, senseless, missed in a gap.", []string{"reason"},
		func(emit metrics.Emit) {
			emit(float64(now.sio.ClusterLost), "overloaded")
			emit(float64(now.sio.ClusterRefused), "malformed")
			emit(float64(now.sio.ClusterGapLost), "gap")
		})
	m.Counter("wsd_sio_cluster_gaps_total", "Times that Socket.IO messages of other servers were lost, or may have been.",
		of(func() uint64 { return now.sio.ClusterGaps }))
	m.CounterVec("wsd_recovery_total", "Socket.IO sockets that wanted to return: that did, of which nothing was known, that had missed what is gone.", []string{"result"},
		func(emit metrics.Emit) {
			emit(float64(now.sio.Recovered), "ok")
			emit(float64(now.sio.RecoveriesFailed-now.sio.RecoveriesLate), "no_session")
			emit(float64(now.sio.RecoveriesLate), "trimmed")
		})
	m.Gauge("wsd_recovery_limit_seconds", "How long a Socket.IO client may be away and still get what it missed (--recovery); 0: off.",
		func() float64 { return s.sioFlags.Recovery.Seconds() })
	m.CounterVec("wsd_recovery_unlogged_total", "What the cluster's log did not take: events sent without an offset, sockets that can't return.", []string{"what"},
		func(emit metrics.Emit) {
			emit(float64(now.sio.Unlogged), "event")
			emit(float64(now.sio.SessionsLost), "session")
		})
}

// unknownSession is the place of its name in refusalNames.
const unknownSession = 1

// refusalNames are the protocol's codes of refused requests.
var refusalNames = [...]string{"transport", "unknown_session", "method", "bad_request", "forbidden", "version"}

// sessionEnds are the reasons why sessions end.
var sessionEnds = []engineio.Reason{
	engineio.TransportClose, engineio.TransportError, engineio.PingTimeout, engineio.ParseError, engineio.ForcedClose, engineio.ShuttingDown,
}

// sessionMetrics are about Engine.IO sessions.
func (s *server) sessionMetrics(now *snapshot) {
	m := &s.metrics
	m.Counter("wsd_sio_sessions_upgraded_total", "Engine.IO sessions that moved from polling to WebSocket.",
		of(func() uint64 { return now.sio.Engine.Upgraded }))
	m.CounterVec("wsd_sio_sessions_closed_total", "Engine.IO sessions that ended, by reason.", []string{"reason"},
		func(emit metrics.Emit) {
			for _, reason := range sessionEnds {
				emit(float64(now.sio.Engine.Closed[reason]), strings.ReplaceAll(string(reason), " ", "_"))
			}
		})
	m.CounterVec("wsd_sio_requests_refused_total", "Engine.IO requests refused, by the protocol's reason.", []string{"reason"},
		func(emit metrics.Emit) {
			for code, n := range now.sio.Engine.Refused {
				emit(float64(n), refusalNames[code])
			}
			emit(float64(now.sio.Engine.AtCapacity), "capacity")
		})
	m.CounterVec("wsd_sio_sessions_unknown_total", "Requests for a session that there is not: made by another server (the balancer is not sticky), by none, or ended.", []string{"cause"},
		func(emit metrics.Emit) {
			x := &now.sio.Engine
			emit(float64(x.Unknown.Foreign), "foreign")
			emit(float64(x.Unknown.Malformed), "malformed")
			emit(float64(x.Refused[unknownSession]-min(x.Refused[unknownSession], x.Unknown.Foreign+x.Unknown.Malformed)), "gone")
		})
	m.Gauge("wsd_sio_polls_waiting", "Polls that wait for something to be sent.", of(func() int { return now.sio.Engine.Parked }))
	m.CounterVec("wsd_sio_polling_requests_total", "Requests of polling sessions.", []string{"method"},
		func(emit metrics.Emit) {
			emit(float64(now.sio.Engine.Polls), "get")
			emit(float64(now.sio.Engine.Posts), "post")
		})
	m.CounterVec("wsd_sio_posts_refused_total", "POSTs of polling sessions that were not taken.", []string{"reason"},
		func(emit metrics.Emit) {
			emit(float64(now.sio.Engine.TooLarge), "too_large")
			emit(float64(now.sio.Engine.SlowPosts), "slow")
		})
}
