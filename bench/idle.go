package bench

import (
	"context"
	"fmt"
)

// idle holds the connections and looks at the server's memory before and
// after. The farewell at the end proves that each is still there.
func (r *run) idle(ctx context.Context, res *Result) error {
	before, err := r.usage()
	if err != nil {
		return err
	}
	echoers, err := r.dialEchoers(ctx, 1, true)
	if err != nil {
		return err
	}
	if r.cfg.Messages > 0 {
		if err := r.wakeOnce(ctx, echoers); err != nil {
			return err
		}
	}
	if err := pause(ctx, r.cfg.Duration, nil); err != nil {
		return err
	}
	after, err := r.usage()
	if err != nil {
		return err
	}
	if err := r.drain(ctx); err != nil {
		return err
	}
	r.countLost(echoers)
	res.held(r, before, after)
	return nil
}

// wakeOnce has Messages echoed on each connection.
func (r *run) wakeOnce(ctx context.Context, echoers []*echoer) error {
	for _, e := range echoers {
		e.limit = uint64(r.cfg.Messages)
	}
	for i, e := range echoers {
		if err := e.send(r, r.receivers[i], 1, r.since()); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	return r.settle(ctx)
}
