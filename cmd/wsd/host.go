package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/fe4bcecb/wsd/cmd/wsd/systemd"
	"github.com/fe4bcecb/wsd/cmd/wsd/workers"
)

// host is what the process that runs a server was started with, and whom it tells
// how it is. The zero value is a process of its own.
type host struct {
	public   []net.Listener    // in place of --listen; nil: none
	admin    net.Listener      // in place of --admin-listen; nil: none
	notifier *systemd.Notifier // nil: systemd does not ask
	worker   *workers.Worker   // nil: this is none
	exit     func(code int)    // ends the process at once
}

// openHost takes over what the parent of a worker or systemd has passed on: of
// systemd's sockets those whose name has "admin" in it are the admin listener's, others
// the public one's.
func openHost() (h host, err error) {
	h.exit = os.Exit
	if h.worker, err = workers.Inherit(); err != nil {
		return h, err
	}
	if w := h.worker; w != nil {
		h.public, h.admin = w.Public, w.Admin
		return h, nil
	}
	if h.notifier, err = systemd.NewNotifier(); err != nil {
		return h, err
	}
	inherited, err := systemd.Listeners()
	if err != nil {
		return h, err
	}
	for _, l := range inherited {
		switch {
		case !strings.Contains(l.Name, "admin"):
			h.public = append(h.public, l.Listener)
		case h.admin == nil:
			h.admin = l.Listener
		default:
			h.close()
			return h, usageError(fmt.Errorf("two sockets of systemd's are named admin: want one"))
		}
	}
	return h, nil
}

// workers is how many processes share what the flags allow.
func (h *host) workers() int {
	if h.worker == nil {
		return 1
	}
	return h.worker.Count
}

// close gives back what was not used.
func (h *host) close() {
	closeAll(h.public)
	if h.admin != nil {
		_ = h.admin.Close()
	}
	_ = h.notifier.Close()
	if h.worker != nil {
		h.worker.Close()
	}
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close()
	}
}

// listen opens the public listeners.
func (s *server) listen(ctx context.Context) ([]net.Listener, error) {
	open := s.Anonymous || s.access != nil && s.identity.required()
	if err := checkInherited(s.host.public, open); err != nil {
		return nil, err
	}
	if len(s.host.public) > 0 {
		return s.host.public, nil
	}
	l, err := listen(ctx, s.config.listen, open, s.daemonFlags != nil && s.ReusePort)
	if err != nil {
		return nil, err
	}
	return []net.Listener{l}, nil
}

// checkInherited is checkListen for sockets that the process was started with.
func checkInherited(public []net.Listener, open bool) error {
	for _, l := range public {
		if address, ok := l.Addr().(*net.TCPAddr); ok && !open && !address.IP.IsLoopback() {
			return usageError(fmt.Errorf("the socket %s is reachable from other machines and anybody may connect: "+
				"say --anonymous if that is meant, or have wsd serve ask for tokens (--jwt-secret-file, --jwks-url)", address))
		}
	}
	return nil
}

// tellHost says that the server is up, and from then on that it is alive. It returns
// what ends that.
func (s *server) tellHost() (end func()) {
	if w := s.host.worker; w != nil {
		return w.Report(s.workerState, s.orphaned)
	}
	s.tellReady()
	every := s.host.notifier.Watchdog() / 2
	if every <= 0 {
		return func() {}
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		s.feed(every, stop)
	}()
	return func() {
		close(stop)
		<-done
	}
}

// tellReady says that the server is up, or has read its configuration again.
func (s *server) tellReady() {
	if err := s.host.notifier.Ready(s.statusText()); err != nil {
		s.log.Warn("systemd was not told that wsd is ready", "err", err)
	}
}

// tellReloading says that the server reads its configuration again.
func (s *server) tellReloading() {
	if err := s.host.notifier.Reloading(); err != nil {
		s.log.Warn("systemd was not told that wsd reloads", "err", err)
	}
}

// feed feeds the watchdog at most once in every, when all loops have answered since
// the last time.
func (s *server) feed(every time.Duration, stop <-chan struct{}) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if len(s.hungLoops(hungAfter)) == 0 {
			if err := s.host.notifier.Alive(); err != nil {
				s.log.Warn("systemd was not told that wsd is alive", "err", err)
			}
		}
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

// tellStopping says that the drain has begun, which ctx bounds.
func (s *server) tellStopping(ctx context.Context) {
	left := s.DrainTimeout
	if end, ok := ctx.Deadline(); ok {
		left = time.Until(end)
	}
	// Behind the time-out connections are closed without ceremony, and Redis left.
	if err := s.host.notifier.Stopping(left+stopReserve, fmt.Sprintf("draining %d connections", s.connections())); err != nil {
		s.log.Warn("systemd was not told that wsd stops", "err", err)
	}
}

// stopReserve is how long a stop may take beyond --drain-timeout.
const stopReserve = 5 * time.Second

// statusText describes the server for systemctl status.
func (s *server) statusText() string {
	return fmt.Sprintf("serving, at most %d connections", s.limit.Load())
}
