package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
)

// reloadable is a part of the server that takes new flags while it runs.
type reloadable struct {
	flags []string // names of those that it takes, without dashes
	// prepare reads the new flags and returns what makes them count, or why they
	// can't. It changes nothing: all parts are asked before any commits.
	prepare func(new *serveCmd) (commit func(), err error)
}

// reloads are the server's parts that take new flags, and what became of the
// attempts so far.
type reloads struct {
	mu    sync.Mutex // one attempt at a time
	parts []reloadable
	force []setting // what is in force

	failed            atomic.Bool  // the last attempt
	at                atomic.Int64 // Unix seconds of the last success, or the start
	successes, errors atomic.Uint64
}

// onReload registers a part, with the flags that it takes. prepare is called on
// every reload, also when only the contents of files may have changed. Call before
// the server listens.
func (s *server) onReload(prepare func(new *serveCmd) (func(), error), flags ...string) {
	s.reloads.parts = append(s.reloads.parts, reloadable{flags, prepare})
}

// followReloads reloads whenever hangups has a signal, until stop is called.
func (s *server) followReloads(hangups <-chan os.Signal) (stop func()) {
	if s.reread == nil {
		return func() {}
	}
	return onEach(hangups, func(context.Context) {
		_ = s.reload() // it has logged the error
	})
}

// onEach calls fn, one at a time, for each signal until stop is called, which ends
// fn's context and waits for it. nil signals never come.
func onEach(signals <-chan os.Signal, fn func(context.Context)) (stop func()) {
	if signals == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-signals:
				fn(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// reload reads the file and the environment again and has every part take what
// changed. After an error, which is logged, everything is as it was, and so it is while
// the server drains. Safe from any goroutine.
func (s *server) reload() error {
	r := &s.reloads
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.isDraining() {
		s.log.Info("the configuration is not read again while the server drains")
		return nil
	}
	s.tellReloading()
	defer func() {
		if !s.isDraining() {
			s.tellReady()
		}
	}()
	changed, restart, err := s.tryReload()
	r.failed.Store(err != nil)
	if err != nil {
		r.errors.Add(1)
		s.log.Error("the configuration was not reloaded: what was in force still is", "err", err)
		return err
	}
	r.successes.Add(1)
	r.at.Store(time.Now().Unix())
	s.log.Info("the configuration was reloaded", "changed", changed)
	if len(restart) > 0 {
		s.log.Warn("some changes of the configuration need a restart", "flags", restart)
	}
	return nil
}

// tryReload returns the flags that changed and count, as --name=value, and those
// that would after a restart.
func (s *server) tryReload() (changed, restart []string, err error) {
	if s.reread == nil {
		return nil, nil, errors.New("this server was not started from a command line")
	}
	in, err := s.reread()
	if err != nil {
		return nil, nil, err
	}
	next := &in.cli.Serve
	if s.host.worker != nil {
		next.takeShare(s.host.worker)
	}
	if err := next.preflight(context.Background(), s.log); err != nil {
		return nil, nil, err
	}
	var commits []func()
	taken := map[string]bool{}
	for _, part := range s.reloads.parts {
		commit, err := part.prepare(next)
		if err != nil {
			return nil, nil, err
		}
		commits = append(commits, commit)
		for _, name := range part.flags {
			taken[name] = true
		}
	}
	for _, commit := range commits {
		commit()
	}
	before := s.reloads.force
	for i, now := range in.settings() {
		if i >= len(before) || sameValue(before[i].value, now.value) {
			continue
		}
		if taken[now.Name] {
			changed = append(changed, fmt.Sprintf("--%s=%v", now.Name, now.shown()))
			before[i] = now
		} else {
			restart = append(restart, "--"+now.Name)
		}
	}
	slices.Sort(changed)
	slices.Sort(restart)
	return changed, restart, nil
}

// reloadMetrics registers what tells of reloads.
func (s *server) reloadMetrics() {
	r := &s.reloads
	r.at.Store(time.Now().Unix())
	s.metrics.Gauge("wsd_config_last_reload_successful", "Whether the last attempt to reload the configuration succeeded, or there was none.",
		func() float64 {
			if r.failed.Load() {
				return 0
			}
			return 1
		})
	s.metrics.Gauge("wsd_config_last_reload_success_timestamp_seconds", "When the configuration in force was read.",
		func() float64 { return float64(r.at.Load()) })
	s.metrics.CounterVec("wsd_config_reloads_total", "Attempts to reload the configuration.", []string{"result"}, func(emit metrics.Emit) {
		emit(float64(r.successes.Load()), "ok")
		emit(float64(r.errors.Load()), "error")
	})
}
