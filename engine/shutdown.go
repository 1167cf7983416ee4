package engine

import (
	"context"
	"errors"
	"time"

	"github.com/gobwas/ws"
)

const (
	// closeBatch is how many connections a loop closes per turn.
	closeBatch = 256
	// stuckAfter is how long a loop may take to end once its time is over.
	stuckAfter = time.Second
	// drainPoll is how often Shutdown looks whether connections are gone.
	drainPoll = 5 * time.Millisecond
)

// StopListening closes the listeners, as Shutdown does at its beginning: clients are
// refused from then on, or go to another process that listens on the address. Those
// whose connections the kernel has accepted are served still. It returns when that
// is done, or ctx has ended. Not to be called in a callback.
func (a *App) StopListening(ctx context.Context) {
	a.mu.Lock()
	a.deaf.Store(true)
	acceptors, listeners := a.acceptors, a.listeners
	a.acceptors, a.listeners = nil, nil
	a.mu.Unlock()
	for _, acc := range acceptors {
		acc.stop(ctx)
	}
	for _, l := range listeners {
		// The TCP ones are closed already.
		_ = l.Close()
	}
}

func (a *App) shutdown(ctx context.Context) error {
	a.mu.Lock()
	a.leaving.Store(true)
	a.draining.Store(true)
	a.mu.Unlock()
	close(a.quit)
	// A start under way ends first; one that was not begun never will be.
	if err := a.start(); err != nil {
		return nil
	}
	a.StopListening(ctx)
	for _, fn := range a.onShutdown {
		fn(ctx)
	}
	for _, l := range a.loops {
		l.post(func() { l.closeAll() })
	}
	webErr := a.web.server.Shutdown(ctx)
	err := a.waitEmpty(ctx)
	if err == nil {
		err = webErr
	}
	if err != nil {
		_ = a.web.server.Close()
		for _, l := range a.loops {
			l.post(l.destroyAll)
		}
	}
	for _, l := range a.loops {
		if !l.end(ctx) {
			err = errors.Join(err, ErrStuck)
		}
	}
	if a.node != nil {
		err = errors.Join(err, a.node.Leave())
	}
	return err
}

// closeAll closes the connections of a loop, a batch per turn.
func (l *Loop) closeAll() {
	n := 0
	for i := len(l.conns) - 1; i >= 0 && n < closeBatch; i-- {
		if i >= len(l.conns) {
			continue
		}
		c := l.conns[i]
		switch c.state {
		case stateOpen:
			c.goAway()
			n++
		case stateHandshake:
			c.destroy(CauseHandshake, 0, "")
			n++
		case stateDeferred:
			c.turnAway(RefusedShutdown, 503, goingAway)
			n++
		}
	}
	if n == closeBatch {
		l.post(l.closeAll)
	}
}

// refuseWhenDraining ends a connection that reached the loop too late. It
// reports whether it did.
func (l *Loop) refuseWhenDraining(c *Conn) bool {
	if !l.app.draining.Load() {
		return false
	}
	c.destroy(CauseHandshake, 0, "")
	return true
}

// destroyAll ends what is left.
func (l *Loop) destroyAll() {
	for i := len(l.conns) - 1; i >= 0; i-- {
		if i < len(l.conns) {
			c := l.conns[i]
			c.destroy(CauseShutdown, ws.StatusAbnormalClosure, "")
			if c.flags&onStream != 0 {
				c.ext.stream.abort()
			}
		}
	}
}

// waitEmpty waits until no loop has a connection.
func (a *App) waitEmpty(ctx context.Context) error {
	t := time.NewTicker(drainPoll)
	defer t.Stop()
	for {
		busy := int64(0)
		for _, l := range a.loops {
			busy += l.load.Load()
		}
		if busy == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// end stops the loop and waits for its goroutine, a little longer than ctx. It
// returns false when that was not long enough.
func (l *Loop) end(ctx context.Context) bool {
	l.post(func() { l.stopping = true })
	select {
	case <-l.done:
		return true
	case <-ctx.Done():
	}
	late := time.NewTimer(stuckAfter)
	defer late.Stop()
	select {
	case <-l.done:
		return true
	case <-late.C:
		return false
	}
}

// finish ends a loop that has been told to. Mail that came since is read first:
// it may own descriptors. It returns false while there is some.
func (l *Loop) finish() bool {
	if len(l.conns) > 0 {
		l.destroyAll()
		return false
	}
	if len(l.acceptors) > 0 {
		l.acceptors[0].close()
		return false
	}
	if !l.mail.closeIfEmpty() {
		return false
	}
	l.stopTimer()
	l.release()
	_ = l.poll.Close()
	return true
}
