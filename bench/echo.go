package bench

import "context"

// echoer checks the echoes of one connection, which come in order.
type echoer struct {
	pattern *pattern
	flight  *flight
	tracker tracker
	scratch []byte
	owed    int    // messages to send when the batch at hand ends
	limit   uint64 // messages to send in all; 0: until the run stops
}

func newEchoer(p *pattern, outstanding int) *echoer {
	return &echoer{pattern: p, flight: newFlight(outstanding)}
}

// accept is the receiver's message function: it settles one echo.
func (e *echoer) accept(r *run, rc *receiver, payload []byte) {
	expected := identity(rc.index, e.tracker.next)
	id, known, intact := e.pattern.read(payload)
	intact = intact && len(payload) == len(e.pattern.body)
	id = e.pattern.near(id, expected)
	seq := id & sequenceMask
	if !known || id != identity(rc.index, seq) || seq >= e.flight.sent.Load() {
		// Unknown: it can only stand for the one that was due.
		intact, seq = false, e.tracker.next
	}
	if !intact {
		rc.faults.Corrupt++
	}
	if seq >= e.flight.sent.Load() {
		return // nothing was due
	}
	if rc.faults.arrived(e.tracker.see(seq)) {
		e.owed++
		r.delivered(rc, e.flight.departed(seq))
	}
}

// send sends n messages of the given send time in one write.
func (e *echoer) send(r *run, rc *receiver, n int, at int64) error {
	r.pending.Add(int64(n))
	return rc.write(n, func(int) []byte {
		e.scratch = e.pattern.stamp(e.scratch, identity(rc.index, e.flight.depart(at)))
		return e.scratch
	})
}

// refill is the receiver's flush function in closed loop: a message for each
// echo that came.
func (e *echoer) refill(r *run, rc *receiver) error {
	n := e.owed
	e.owed = 0
	if e.limit > 0 {
		n = int(min(uint64(n), e.limit-e.flight.sent.Load()))
	}
	if n == 0 || r.stopping.Load() {
		return nil
	}
	return e.send(r, rc, n, r.since())
}

// dialEchoers connects, and starts a reader for each connection.
func (r *run) dialEchoers(ctx context.Context, outstanding int, closedLoop bool) ([]*echoer, error) {
	conns, err := r.connect(ctx, r.cfg.URL, r.cfg.Connections)
	if err != nil {
		return nil, err
	}
	p := newPattern("", r.cfg.Size)
	echoers := make([]*echoer, len(conns))
	for i, c := range conns {
		e := newEchoer(p, outstanding)
		echoers[i] = e
		rc := &receiver{conn: c, index: i}
		rc.message = func(rc *receiver, payload []byte) { e.accept(r, rc, payload) }
		if closedLoop {
			rc.flush = func(rc *receiver) error { return e.refill(r, rc) }
		}
		r.start(rc)
	}
	return echoers, nil
}

// countLost adds what never came back. The readers have ended.
func (r *run) countLost(echoers []*echoer) {
	for _, e := range echoers {
		r.faults.Lost += e.tracker.lost(e.flight.sent.Load())
	}
}

// echo is the closed loop: InFlight messages outstanding on each connection.
func (r *run) echo(ctx context.Context, res *Result) error {
	echoers, err := r.dialEchoers(ctx, r.cfg.InFlight, true)
	if err != nil {
		return err
	}
	for i, e := range echoers {
		_ = e.send(r, r.receivers[i], r.cfg.InFlight, r.since()) // the reader reports a broken connection
	}
	w, err := r.measure(ctx, nil)
	if err != nil {
		return err
	}
	if err := r.drain(ctx); err != nil {
		return err
	}
	r.countLost(echoers)
	res.measured(r, w)
	return nil
}
