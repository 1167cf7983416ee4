package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// The first byte of a publication.
const (
	kindMessage = "~"
	kindProbe   = "?"
)

// probeEvery is how often the publishers ask whether all are subscribed: a
// server may answer a handshake before the subscription stands.
const probeEvery = 50 * time.Millisecond

// topic is a fan-out run: the publishers' messages and who has got them.
type topic struct {
	*run
	pattern    *pattern
	probe      []byte
	publishers []*receiver
	flights    []*flight // of each publisher
	shared     bool      // publishers are subscribers too

	ready     atomic.Int64  // listeners that have heard a probe
	published uint64        // by the one goroutine that publishes
	delivered atomic.Uint64 // to subscribers, not to publishers
	scratch   []byte
}

// listener checks the publications that one connection gets.
type listener struct {
	self       int // publisher number; -1: a subscriber
	heard      bool
	trackers   []tracker // of each publisher
	deliveries uint64    // in the batch at hand
}

// fanout publishes to Connections subscribers.
func (r *run) fanout(ctx context.Context, res *Result) error {
	t := &topic{run: r, pattern: newPattern(kindMessage, r.cfg.Size), shared: r.cfg.PublishURL == ""}
	t.probe = append([]byte(nil), newPattern(kindProbe, r.cfg.Size).body...)
	listeners, err := t.connectAll(ctx)
	if err != nil {
		return err
	}
	if err := t.subscribed(ctx); err != nil {
		return err
	}
	w, err := t.measureFanout(ctx)
	if err != nil {
		return err
	}
	if err := r.drain(ctx); err != nil {
		return err
	}
	for _, l := range listeners {
		for i, f := range t.flights {
			if i != l.self && (t.shared || l.self < 0) {
				r.faults.Lost += l.trackers[i].lost(f.sent.Load())
			}
		}
	}
	res.measured(r, w)
	return nil
}

// connectAll makes all connections, subscribers first.
func (t *topic) connectAll(ctx context.Context) ([]*listener, error) {
	subscribers, err := t.connect(ctx, t.cfg.URL, t.cfg.Connections)
	if err != nil {
		return nil, err
	}
	publishers, err := t.connect(ctx, pick(t.shared, t.cfg.URL, t.cfg.PublishURL), t.cfg.Publishers)
	if err != nil {
		closeAll(subscribers)
		return nil, err
	}
	room := pick(t.cfg.Rate > 0, outstandingTop, 4*t.cfg.Window) / t.cfg.Publishers
	for range publishers {
		t.flights = append(t.flights, newFlight(max(room, 1024)))
	}
	var listeners []*listener
	for i, c := range append(subscribers, publishers...) {
		l := &listener{self: -1, trackers: make([]tracker, len(publishers))}
		rc := &receiver{conn: c, index: i}
		if i >= len(subscribers) {
			l.self = i - len(subscribers)
			t.publishers = append(t.publishers, rc)
		}
		rc.message = func(rc *receiver, payload []byte) { t.accept(l, rc, payload) }
		rc.flush = func(*receiver) error { t.flushed(l); return nil }
		listeners = append(listeners, l)
		t.start(rc)
	}
	return listeners, nil
}

// accept takes one publication.
func (t *topic) accept(l *listener, rc *receiver, payload []byte) {
	if l.self >= 0 && !t.shared {
		rc.faults.Unexpected++
		return
	}
	if string(payload) == string(t.probe) {
		if !l.heard {
			l.heard = true
			t.ready.Add(1)
			t.notify()
		}
		return
	}
	id, known, intact := t.pattern.read(payload)
	from, seq := int(id>>sequenceBits), id&sequenceMask
	if !known || from >= len(t.flights) || seq >= t.flights[from].sent.Load() {
		rc.faults.Corrupt++ // whichever it was is missing, and counts as lost too
		return
	}
	if from == l.self {
		rc.faults.Unexpected++
		return
	}
	if !intact || len(payload) != len(t.pattern.body) {
		rc.faults.Corrupt++
	}
	if !rc.faults.arrived(l.trackers[from].see(seq)) {
		return
	}
	if l.self >= 0 {
		rc.settled++ // checked, but not measured
		return
	}
	l.deliveries++
	t.run.delivered(rc, t.flights[from].departed(seq))
}

// flushed ends a batch of deliveries: it wakes the publisher when one more
// publication has reached as many connections as there are subscribers.
func (t *topic) flushed(l *listener) {
	n := l.deliveries
	if n == 0 {
		return
	}
	l.deliveries = 0
	subscribers := uint64(t.cfg.Connections)
	if now := t.delivered.Add(n); now/subscribers != (now-n)/subscribers {
		t.notify()
	}
}

// subscribed returns when every listener has heard a probe.
func (t *topic) subscribed(ctx context.Context) error {
	want := t.cfg.Connections
	probers := t.publishers[:1]
	if t.shared && len(t.publishers) > 1 {
		want += len(t.publishers)
		probers = t.publishers[:2] // the second reaches the first
	}
	for deadline := time.Now().Add(t.cfg.Timeout); time.Now().Before(deadline); {
		for _, p := range probers {
			if err := p.write(1, func(int) []byte { return t.probe }); err != nil {
				return fmt.Errorf("publisher: %w", err)
			}
		}
		all, err := t.await(ctx, probeEvery, func() bool { return int(t.ready.Load()) >= want })
		if all || err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: only %d of %d connections are subscribed", ErrFaults, t.ready.Load(), want)
}

// measureFanout measures while one goroutine publishes.
func (t *topic) measureFanout(ctx context.Context) (window, error) {
	if t.cfg.Rate > 0 {
		return t.measurePaced(ctx, func(_ uint64, due int64) error { return t.publish(1, due) })
	}
	failed := make(chan error, 1)
	ended := make(chan struct{})
	loop, cancel := context.WithCancel(ctx)
	go func() {
		defer close(ended)
		if err := t.publishLoop(loop); err != nil {
			failed <- err
		}
	}()
	w, err := t.measure(ctx, failed)
	t.stopping.Store(true)
	cancel()
	<-ended
	return w, err
}

// publishLoop keeps Window publications outstanding until ctx ends. One is
// done when the subscribers have got as many deliveries as it was due.
func (t *topic) publishLoop(ctx context.Context) error {
	for {
		done := t.delivered.Load() / uint64(t.cfg.Connections)
		credit := int(int64(done) + int64(t.cfg.Window) - int64(t.published))
		if credit > 0 {
			if err := t.publish(credit, t.since()); err != nil {
				return err
			}
			continue
		}
		select {
		case <-t.changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// publish sends n publications, one write for each publisher that has a part.
func (t *topic) publish(n int, at int64) error {
	if lag := t.published - t.delivered.Load()/uint64(t.cfg.Connections); t.cfg.Rate > 0 && lag >= outstandingTop/2 {
		return fmt.Errorf("%w: %d publications outstanding", ErrOverload, lag)
	}
	copies := t.cfg.Connections + pick(t.shared, len(t.publishers)-1, 0)
	t.pending.Add(int64(n) * int64(copies))
	first := int(t.published % uint64(len(t.publishers)))
	t.published += uint64(n)
	for i := 0; i < min(n, len(t.publishers)); i++ {
		k := (first + i) % len(t.publishers)
		share := (n - i + len(t.publishers) - 1) / len(t.publishers)
		err := t.publishers[k].write(share, func(int) []byte {
			t.scratch = t.pattern.stamp(t.scratch, identity(k, t.flights[k].depart(at)))
			return t.scratch
		})
		if err != nil {
			return fmt.Errorf("publisher %d: %w", k, err)
		}
	}
	return nil
}
