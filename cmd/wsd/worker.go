package main

import (
	"net"

	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
	"github.com/fe4bcecb/wsd/cmd/wsd/workers"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// joinWorkers makes the server one of several workers, if it is one. Call before it
// listens.
func (s *server) joinWorkers() error {
	w := s.host.worker
	if w == nil {
		return nil
	}
	workerMetrics(&s.metrics, w)
	return w.Join(engineio.Prefix, s.app.Adopt, s.log)
}

// workerMetrics registers what only workers count.
func workerMetrics(set *metrics.Set, w *workers.Worker) {
	handoverMetric(set, w.Handovers)
	set.Counter("wsd_worker_taken_total", "Connections that other processes have passed to this one.",
		func() float64 { return float64(w.Taken()) })
}

// elsewhere finds the worker that has a session: see engineio.Options.Elsewhere.
func (s *server) elsewhere(sid string) func(net.Conn, []byte) {
	if len(sid) < engineio.PrefixLen {
		return nil
	}
	return s.host.worker.Elsewhere(sid[:engineio.PrefixLen], func(nc net.Conn, data []byte) {
		_ = s.app.Adopt(nc, data) // shutting down: it is closed
	})
}

// workerState is what the server tells its parent.
func (s *server) workerState() workers.State {
	n, limit, draining := s.connections(), int(s.limit.Load()), s.isDraining()
	return workers.State{
		Connections: n, Limit: limit, Accepting: n < limit && !draining, Draining: draining,
		HungLoops: len(s.hungLoops(0)),
	}
}

// orphaned ends a worker whose parent has ended: another one may want the port.
func (s *server) orphaned() {
	s.log.Error("the parent has ended, and so does this worker")
	s.host.exit(exitFailure)
}
