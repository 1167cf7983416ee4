package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fe4bcecb/wsd/engine"
)

// run serves until ctx ends, or beginDrain is called, and then drains. The error says
// with which code the process is to exit; see exitCode.
func run(ctx context.Context, cfg config) error {
	s := &server{config: cfg}
	defer s.ends.run()
	for _, stage := range []func(context.Context) error{
		s.begin, s.openBase, s.openListeners, s.buildApp, s.openAdmin,
	} {
		if err := stage(ctx); err != nil {
			return err
		}
	}
	return s.await(ctx, s.serve())
}

// ends are what ends each thing that a run has opened, in the order of their beginning.
type ends []func()

func (e *ends) add(end func()) { *e = append(*e, end) }

// run ends all, the newest first.
func (e *ends) run() {
	for _, end := range slices.Backward(*e) {
		end()
	}
	*e = nil
}

// begin checks the flags, and starts what looks on from the beginning.
func (s *server) begin(context.Context) error {
	if err := s.serverFlags.check(); err != nil {
		return err
	}
	allowed, err := parseOrigins(s.Origins)
	if err != nil {
		return err
	}
	stop, err := profileCPU(s.CPUProfile)
	if err != nil {
		return err
	}
	s.ends.add(stop)
	s.ends.add(s.followDumps(s.dumpSignals))
	s.origins.set(allowed)
	s.reloads.force = slices.Clone(s.settings)
	s.limit.Store(int64(connectionLimit(s.MaxConnections, s.log)))
	s.draining.begin = make(chan struct{})
	return nil
}

// openBase opens what the server stands on: Redis, and Socket.IO with whatever knows
// who clients are.
func (s *server) openBase(ctx context.Context) error {
	if err := s.openRedis(ctx); err != nil {
		return err
	}
	s.ends.add(s.abandonRedis)
	end, err := s.prepareSIO()
	if err != nil {
		return err
	}
	s.ends.add(end)
	return nil
}

// openListeners opens the public ones, which are the app's to close once it serves them.
func (s *server) openListeners(ctx context.Context) error {
	public, err := s.listen(ctx)
	if err != nil {
		return err
	}
	s.unserved = public
	s.ends.add(func() { closeAll(s.unserved) })
	over, end, err := s.openTLS(public)
	if err != nil {
		return err
	}
	s.unserved = over
	s.ends.add(end)
	return nil
}

// buildApp makes the app with its routes, and what watches over it.
func (s *server) buildApp(context.Context) error {
	s.app = engine.New(engine.Options{
		Loops:           s.chooseLoops(),
		Broker:          s.topicsBroker(),
		Gap:             s.topicGap,
		Logger:          s.log,
		MaxConnections:  s.webSockets(),
		MaxHTTP:         s.httpConnections(),
		CheckOrigin:     s.originCheck(),
		Refused:         s.refusedByEngine(),
		KeepDescriptors: s.keepFDs(),
		ProxyHeader:     s.proxyHeader(),
		MoreHeld:        s.memory.allowMore,
		Exclusive:       s.exclusive,
	})
	s.registerReadiness()
	end, err := s.watchMemory()
	if err != nil {
		return err
	}
	s.ends.add(end)
	if err := s.joinWorkers(); err != nil {
		return err
	}
	if err := s.openPubsub(); err != nil {
		return err
	}
	s.routes(s)
	s.reloadable()
	if s.daemonFlags != nil {
		s.monitor = newMonitor(s)
	}
	return nil
}

// serve has the app serve the listeners, and tells everybody. What each comes to is
// sent to served.
func (s *server) serve() (served <-chan error) {
	listeners := s.unserved
	s.unserved = nil
	results := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { results <- s.app.Serve(l) }()
	}
	s.dumps.up.Store(s.monitor != nil)
	s.ends.add(s.watch())
	s.announce(listeners[0].Addr())
	s.ends.add(s.followReloads(s.hangups))
	s.ends.add(s.tellHost())
	return results
}

// await returns when the server has been told to drain and has, or can't serve any more.
func (s *server) await(ctx context.Context, served <-chan error) error {
	alone := false
	select {
	case err := <-served:
		stopped, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.app.Shutdown(stopped) // at once; err is what matters
		return fmt.Errorf("stopped serving: %w", err)
	case <-ctx.Done():
		s.beginDrain()
	case <-s.draining.begin:
		alone = s.host.worker != nil // their parent stops all by a signal
	}
	err := s.drain(alone)
	for range cap(served) {
		if end := <-served; err == nil && !errors.Is(end, engine.ErrShutdown) {
			err = end
		}
	}
	return err
}
