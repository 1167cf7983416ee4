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

// drain ends the service within DrainTimeout: it shows itself as draining,
// leaves load balancers time to notice while there are clients, and has the
// engine refuse new connections and close the open ones with 1001, in batches.
func (s *server) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.DrainTimeout)
	defer cancel()
	s.log.Info("draining", "connections", s.connections(), "lb_wait", s.lbWait.String(), "timeout", s.DrainTimeout.String())
	s.tellStopping(ctx)
	s.waitForBalancers(ctx)
	s.app.StopListening(ctx)

	start := time.Now()
	if s.sio != nil {
		// What is left when ctx ends is the App's.
		_ = s.sio.io.Close(ctx)
	}
	err := s.app.Shutdown(ctx)
	s.closeRedis(ctx) // last: the others have sent to it
	if err != nil && !errors.Is(err, engine.ErrShutdown) {
		return fmt.Errorf("drain cut short after %v: %w", s.DrainTimeout, err)
	}
	s.log.Info("drained", "closing_took", time.Since(start).Round(time.Millisecond).String())
	return nil
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
