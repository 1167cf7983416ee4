package engine

import (
	"context"
	"iter"
	"sync"
)

// walkBatch is how many elements of a walk one turn of a loop looks at.
const walkBatch = 256

// Walk calls fn on a loop for the elements of seq, until fn returns false: some at
// a turn, so that the loop's connections hardly wait. seq runs on the loop's turn
// too and may read what belongs to the loop, which changes between turns: a map may
// be ranged over, a slice is to be copied first. fn must not block, and is not
// called once Walk has returned: at the end, or with ctx's error, or with
// ErrShutdown when the loop has ended. Not to be called on a loop: it returns
// ErrOnLoop.
func Walk[T any](ctx context.Context, l *Loop, seq iter.Seq[T], fn func(T) bool) error {
	if l.app.onLoop() != nil {
		return ErrOnLoop
	}
	next, stop := iter.Pull(seq)
	w := &walk[T]{loop: l, next: next, fn: fn, done: make(chan struct{})}
	defer w.end(stop)
	if !l.post(w.turn) {
		return ErrShutdown
	}
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.done:
		return ErrShutdown
	}
}

// walk is a Walk under way.
type walk[T any] struct {
	loop *Loop
	done chan struct{}

	mu   sync.Mutex // held while seq and fn run
	over bool
	next func() (T, bool)
	fn   func(T) bool
}

// turn looks at a batch. It runs on the loop.
func (w *walk[T]) turn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	for range walkBatch {
		v, ok := w.next()
		if !ok || !w.fn(v) {
			close(w.done)
			return
		}
	}
	w.loop.post(w.turn) // a loop that has ended tells Walk so
}

func (w *walk[T]) end(stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	stop()
}
