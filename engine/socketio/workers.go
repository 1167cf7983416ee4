package socketio

import (
	"context"
	"sync/atomic"
)

// workers counts the goroutines that run handlers, so that Close can wait for
// them.
type workers struct {
	active  atomic.Int64
	waited  atomic.Bool
	drained chan struct{} // one place
}

func (w *workers) enter() { w.active.Add(1) }

func (w *workers) leave() {
	if w.active.Add(-1) == 0 && w.waited.Load() {
		select {
		case w.drained <- struct{}{}:
		default:
		}
	}
}

// wait returns when no worker is active, or ctx's error.
func (w *workers) wait(ctx context.Context) error {
	w.waited.Store(true)
	for w.active.Load() > 0 {
		select {
		case <-w.drained:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
