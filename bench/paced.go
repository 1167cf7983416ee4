package bench

import (
	"context"
	"fmt"
	"time"
)

// outstandingTop bounds the messages on their way in open loop, over all
// connections. A server that is so far behind will not catch up.
const outstandingTop = 1 << 18

// longestSleep bounds how long a pacer does not look at its context.
const longestSleep = 100 * time.Millisecond

// pacer calls send for each message of an open loop at its intended time, or
// as soon after it as it can, until the run stops.
func (r *run) pacer(ctx context.Context, send func(i uint64, due int64) error) error {
	s, err := newSleeper()
	if err != nil {
		return err
	}
	defer s.close()
	start := r.since()
	for i := uint64(0); ; i++ {
		due := start + int64(float64(i)*float64(time.Second)/r.cfg.Rate)
		for wait := due - r.since(); wait > 0 && !r.stopping.Load() && ctx.Err() == nil; wait = due - r.since() {
			if err := s.sleep(min(time.Duration(wait), longestSleep)); err != nil {
				return err
			}
		}
		if r.stopping.Load() || ctx.Err() != nil {
			return nil
		}
		if err := send(i, due); err != nil {
			return err
		}
	}
}

// paced is the open loop: Rate messages per second, round robin over the
// connections.
func (r *run) paced(ctx context.Context, res *Result) error {
	n := r.cfg.Connections
	room := max(outstandingTop/n, 16)
	echoers, err := r.dialEchoers(ctx, room, false)
	if err != nil {
		return err
	}
	send := func(i uint64, due int64) error {
		if at := int(r.pending.Load()); at >= outstandingTop {
			return fmt.Errorf("%w: %d messages outstanding", ErrOverload, at)
		}
		k := int(i % uint64(n))
		if err := echoers[k].send(r, r.receivers[k], 1, due); err != nil {
			return fmt.Errorf("connection %d: %w", k, err)
		}
		return nil
	}
	w, err := r.measurePaced(ctx, send)
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

// measurePaced measures while a pacer sends, and ends the pacer.
func (r *run) measurePaced(ctx context.Context, send func(i uint64, due int64) error) (window, error) {
	failed := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := r.pacer(ctx, send); err != nil {
			failed <- err
		}
	}()
	w, err := r.measure(ctx, failed)
	r.stopping.Store(true)
	<-ended
	return w, err
}
