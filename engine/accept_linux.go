//go:build amd64 || arm64 || loong64

package engine

import (
	"context"
	"math"
	"net"
	"syscall"

	"github.com/fe4bcecb/wsd/internal/poll"
)

const (
	// acceptBatch is how many connections one event may accept.
	acceptBatch = 64
	// acceptPause is how long accepting stops when descriptors run out, in
	// ticks.
	acceptPause = 1
	// closeAccepts bounds how many waiting connections are taken when listening
	// ends: more than any backlog holds.
	closeAccepts = 1 << 16
	// turnedAway is accept's result for a client that was refused: none of poll's.
	turnedAway = math.MinInt
)

// acceptor accepts the connections of one listening socket on a loop.
type acceptor struct {
	app     *App
	loop    *Loop
	fd      int
	op      *poll.Operator
	reserve reserve
	paused  bool
	closed  bool
}

// serveOnLoops accepts a listener's connections on loops. The listener itself
// stays open, and the caller's.
func (a *App) serveOnLoops(l net.Listener) (*acceptor, error) {
	fd, err := descriptor(l)
	if err != nil {
		return nil, err
	}
	if err := prepareListener(fd); err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	acc := &acceptor{app: a, loop: a.loops[int(a.nextAcceptor.Add(1)-1)%len(a.loops)], fd: fd}
	result := make(chan error, 1)
	if !acc.loop.post(func() { result <- acc.start() }) {
		result <- ErrShutdown
	}
	select {
	case err = <-result:
	case <-acc.loop.done:
		select {
		case err = <-result: // it had begun, and the loop has closed it
		default:
			err = ErrShutdown
		}
	}
	if err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	return acc, nil
}

func (acc *acceptor) start() error {
	op, err := acc.loop.poll.Register(acc.fd, acc.onRead)
	if err == nil {
		acc.op = op
		acc.reserve.hold()
		acc.loop.acceptors = append(acc.loop.acceptors, acc)
	}
	return err
}

// stop ends accepting. The connections that wait to be accepted are served, until
// ctx ends.
func (acc *acceptor) stop(ctx context.Context) {
	done := make(chan struct{})
	if !acc.loop.post(func() { acc.close(); close(done) }) {
		return
	}
	select {
	case <-done:
	case <-acc.loop.done:
	case <-ctx.Done():
	}
}

// close is stop on the loop, which calls it for every acceptor when it ends. The
// kernel resets what it has accepted until the socket is closed: so the last look
// comes right before. What comes between is lost, unless another process listens on
// the address, and net.ipv4.tcp_migrate_req is set.
func (acc *acceptor) close() {
	if acc.closed {
		return
	}
	acc.closed = true
	acc.detach()
	acc.reserve.release()
	var rest []int
	for len(rest) < closeAccepts {
		fd := poll.Accept(acc.fd)
		if fd == poll.WouldBlock || fd == poll.NoDescriptors {
			break
		}
		if fd != poll.Failed {
			rest = append(rest, fd)
		}
	}
	_ = syscall.Close(acc.fd)
	for _, fd := range rest {
		acc.app.place(fd, acc.loop)
	}
}

// detach takes the listener out of the poller until start.
func (acc *acceptor) detach() {
	l := acc.loop
	for i, other := range l.acceptors {
		if other == acc {
			l.acceptors = append(l.acceptors[:i], l.acceptors[i+1:]...)
			break
		}
	}
	if op := acc.op; op != nil {
		acc.op = nil
		_ = poll.Detach(op)
		l.jobs = append(l.jobs, func() { l.poll.Free(op) })
	}
}

func (acc *acceptor) onRead(poll.Poller) error {
	failures := 0
	for range acceptBatch {
		if acc.closed || acc.paused {
			return nil
		}
		fd := acc.accept()
		switch fd {
		case poll.WouldBlock:
			return nil
		case poll.Failed:
			failures++
			continue
		case turnedAway:
			continue
		case poll.NoDescriptors:
			acc.pause("out of file descriptors")
			return nil
		}
		acc.app.place(fd, acc.loop)
	}
	if failures == acceptBatch {
		acc.pause("accept fails")
	}
	return nil
}

// accept is poll.Accept, but a client that descriptors are too short for is refused:
// one in a call.
func (acc *acceptor) accept() int {
	fd := poll.Accept(acc.fd)
	byReserve := fd == poll.NoDescriptors && acc.reserve.release()
	if byReserve {
		// Accepting fails in this way whether or not somebody waits.
		fd = poll.Accept(acc.fd)
	}
	if fd >= 0 && (byReserve || acc.app.takesKept(fd)) {
		acc.app.refuseSocket(fd)
		fd = turnedAway
	}
	if byReserve {
		acc.reserve.hold()
	}
	return fd
}

// pause stops accepting until the next tick: a backlog that can't be accepted
// would make the poller spin.
func (acc *acceptor) pause(why string) {
	l := acc.loop
	l.stats.AcceptPauses++
	if acc.app.warnings.allow() {
		acc.app.opts.Logger.Warn("accepting pauses", "why", why, "loop", l.id)
	}
	acc.paused = true
	acc.detach()
	l.resumeAt = append(l.resumeAt, resumption{l.tick + acceptPause, func() {
		acc.paused = false
		if acc.closed {
			return
		}
		if err := acc.start(); err != nil {
			acc.pause("listening failed")
		}
	}})
}

// place gives a socket to the loop with the fewest connections.
func (a *App) place(fd int, here *Loop) {
	target := here
	for _, l := range a.loops {
		if l.load.Load() < target.load.Load() {
			target = l
		}
	}
	if target == here {
		here.accepted(fd)
		return
	}
	// Counted at once, so that a burst is spread evenly.
	target.load.Add(1)
	if !target.post(func() {
		target.load.Add(-1)
		target.accepted(fd)
	}) {
		closeSocket(fd)
	}
}

// accepted begins a connection.
func (l *Loop) accepted(fd int) {
	l.stats.Accepted++
	c := &Conn{fd: int32(fd), flags: notOpen | l.app.newcomer, since: l.micros()}
	if err := l.attach(c); err != nil {
		l.stats.Closed[CauseHandshake]++
		closeSocket(fd)
		return
	}
	l.due[c.idx] = l.after(l.app.handshakeTicks)
	l.refuseWhenDraining(c)
}
