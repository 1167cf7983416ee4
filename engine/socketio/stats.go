package socketio

import (
	"sync/atomic"

	"github.com/fe4bcecb/wsd/engine/engineio"
)

// counters are a server's since it began.
type counters struct {
	connections       atomic.Uint64
	refusals          atomic.Uint64
	received          atomic.Uint64
	sent              atomic.Uint64
	acked             atomic.Uint64
	volatileDropped   atomic.Uint64
	eventsRefused     atomic.Uint64
	pendingOverflows  atomic.Uint64
	connectTimeouts   atomic.Uint64
	violations        atomic.Uint64
	panics            atomic.Uint64
	overloaded        atomic.Uint64
	namespacesRefused atomic.Uint64
	recoveries        atomic.Uint64
	recoveriesFailed  atomic.Uint64
	recoveriesLate    atomic.Uint64
	connects          atomic.Uint64
	leaves            atomic.Uint64
	dismissals        atomic.Uint64
	delivered         atomic.Uint64
	sessionsLost      atomic.Uint64
	unlogged          atomic.Uint64
}

// Stats is a snapshot of a Server.
type Stats struct {
	// Sockets on this node, by namespace.
	Sockets map[string]int
	// Engine are the connections below.
	Engine engineio.Stats

	Connections       uint64 // sockets that joined a namespace
	Refused           uint64 // sockets that a namespace refused
	EventsIn          uint64 // events received
	EventsOut         uint64 // events and acknowledgements sent to one socket
	Acked             uint64 // acknowledgements received
	Delivered         uint64 // events of broadcasts, once for each socket that they were for
	ConnectsIn        uint64 // CONNECT packets received
	DisconnectsIn     uint64 // DISCONNECT packets received
	DisconnectsOut    uint64 // DISCONNECT packets sent
	VolatileDropped   uint64 // volatile packets that a client was not ready for
	EventsRefused     uint64 // events that a middleware or a typed handler refused
	PendingOverflows  uint64 // connections closed for MaxPending
	ConnectTimeouts   uint64 // connections closed for ConnectTimeout
	Violations        uint64 // connections closed for a packet that is not allowed
	Panics            uint64 // handlers that panicked
	Overloaded        uint64 // emits on a loop that found another loop too busy
	NamespacesRefused uint64 // dynamic namespaces beyond MaxNamespaces
	Recovered         uint64 // sockets that returned
	RecoveriesFailed  uint64 // that wanted to, and are new ones
	RecoveriesLate    uint64 // of those, sockets that were known, but had missed what is gone
	SessionsLost      uint64 // sockets that can't return: the cluster's log did not take their state, or may have an event that they got while it did not answer
	Unlogged          uint64 // events that the cluster's log has not got, or perhaps not: sent without an offset
	ClusterLost       uint64 // messages of other nodes that could not be carried out
	ClusterRefused    uint64 // messages of other nodes that made no sense
	ClusterGaps       uint64 // times that messages of other nodes were lost, or may have been: see OnGap
	ClusterGapLost    uint64 // messages that were lost so, as far as is known
	// Requests to other nodes, by RequestType and RequestResult.
	Requests [requestTypes][requestResults]uint64
}

// Stats takes a snapshot. Safe from any goroutine.
func (srv *Server) Stats() Stats {
	s := Stats{
		Sockets:           map[string]int{},
		Engine:            srv.engine.Stats(),
		Connections:       srv.connections.Load(),
		Refused:           srv.refusals.Load(),
		EventsIn:          srv.received.Load(),
		EventsOut:         srv.sent.Load(),
		Acked:             srv.acked.Load(),
		Delivered:         srv.delivered.Load(),
		ConnectsIn:        srv.connects.Load(),
		DisconnectsIn:     srv.leaves.Load(),
		DisconnectsOut:    srv.dismissals.Load(),
		VolatileDropped:   srv.volatileDropped.Load(),
		EventsRefused:     srv.eventsRefused.Load(),
		PendingOverflows:  srv.pendingOverflows.Load(),
		ConnectTimeouts:   srv.connectTimeouts.Load(),
		Violations:        srv.violations.Load(),
		Panics:            srv.panics.Load(),
		Overloaded:        srv.overloaded.Load(),
		NamespacesRefused: srv.namespacesRefused.Load(),
		Recovered:         srv.recoveries.Load(),
		RecoveriesFailed:  srv.recoveriesFailed.Load(),
		RecoveriesLate:    srv.recoveriesLate.Load(),
		SessionsLost:      srv.sessionsLost.Load(),
		Unlogged:          srv.unlogged.Load(),
		ClusterLost:       srv.clusterLost.Load(),
		ClusterRefused:    srv.clusterRefused.Load(),
		ClusterGaps:       srv.clusterGaps.Load(),
		ClusterGapLost:    srv.clusterGapLost.Load(),
		Requests:          srv.requestCounts.snapshot(),
	}
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	for name, n := range srv.namespaces {
		s.Sockets[name] = n.Sockets()
	}
	return s
}
