package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fe4bcecb/wsd/engine"
)

// sameSignal is how long after the first signal another one counts as the
// same: who stops a process group may reach wsd twice, directly and through a
// parent that passes the signal on.
const sameSignal = 500 * time.Millisecond

// onSignal returns a context that ends at the first SIGTERM or SIGINT. The
// second one calls exit at once.
func onSignal(stderr io.Writer, exit func(int)) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		first := time.Now()
		cancel()
		for <-signals; time.Since(first) < sameSignal; {
			<-signals
		}
		fmt.Fprintln(stderr, "wsd: second signal: leaving without waiting for connections to close")
		exit(exitInterrupt)
	}()
	return ctx
}

// drainState is whether the server drains.
type drainState struct {
	begun atomic.Bool
	begin chan struct{} // closed by beginDrain
	once  sync.Once
}

// beginDrain has run drain the server and return, as SIGTERM does; the server shows
// itself as draining at once. Calls after the first change nothing. Safe from any
// goroutine.
func (s *server) beginDrain() {
	s.draining.once.Do(func() {
		s.draining.begun.Store(true)
		close(s.draining.begin)
	})
}

// isDraining reports whether the drain has begun. Safe from any goroutine.
func (s *server) isDraining() bool { return s.draining.begun.Load() }

// drain ends the service within DrainTimeout: the server shows itself as draining,
// leaves load balancers time to notice while there are clients, refuses new ones,
// lets the others go over drainWindow, and leaves the cluster when what they sent
// is on its way. A worker that drains alone leaves its place to others at once, and
// load balancers have nothing to notice.
func (s *server) drain(alone bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.DrainTimeout)
	defer cancel()
	s.log.Info("draining", "connections", s.connections(), "lb_wait", s.lbWait.String(), "timeout", s.DrainTimeout.String())
	s.tellStopping(ctx)
	if !alone {
		s.waitForBalancers(ctx)
	}
	if alone || s.daemonFlags != nil && s.ReusePort {
		// New clients go to the others at once; those who poll find others as well.
		s.app.StopListening(ctx)
	}
	start, unanswered := time.Now(), s.app.Stats().Unanswered
	// What is left when ctx ends is Shutdown's.
	_ = s.app.Drain(ctx, engine.DrainOptions{Window: s.drainWindowWithin(ctx)})
	if s.sio != nil {
		_ = s.sio.io.Close(ctx)
	}
	left := s.connections()
	err := s.app.Shutdown(ctx)
	s.closePubsub(ctx)
	s.closeRedis(ctx) // last: the others have sent to it
	if err != nil && !errors.Is(err, engine.ErrShutdown) {
		return fmt.Errorf("drain cut short after %v, with %d clients connected: %w", s.DrainTimeout, left, err)
	}
	took := time.Since(start).Round(time.Millisecond)
	if n := s.app.Stats().Unanswered - unanswered; n > 0 {
		return fmt.Errorf("drained in %v, but %d clients had to be cut off: they did not answer the Close frame", took, n)
	}
	s.log.Info("drained", "closing_took", took.String())
	return nil
}

// drainWindowWithin is drainWindow, or half of the time that ctx leaves: clients
// need the rest to answer.
func (s *server) drainWindowWithin(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return min(s.drainWindow, time.Until(end)/2)
	}
	return s.drainWindow
}

// waitForBalancers returns after lbWait, or as soon as no client is connected.
func (s *server) waitForBalancers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.lbWait)
	defer cancel()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for s.connections() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}
