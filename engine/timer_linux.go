//go:build amd64 || arm64 || loong64

package engine

import (
	"encoding/binary"
	"syscall"

	"github.com/fe4bcecb/wsd/internal/poll"
	"golang.org/x/sys/unix"
)

// timer is a timerfd in the loop's own poller: no goroutine has to run for a
// loop's clock to go.
type timer struct {
	fd int
	op *poll.Operator
}

// startTimer makes advance be called each second.
func (l *Loop) startTimer() error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return err
	}
	second := unix.ItimerSpec{Interval: unix.Timespec{Sec: 1}, Value: unix.Timespec{Sec: 1}}
	if err := unix.TimerfdSettime(fd, 0, &second, nil); err != nil {
		_ = syscall.Close(fd)
		return err
	}
	op, err := l.poll.Register(fd, func(poll.Poller) error {
		var count [8]byte
		if n, err := syscall.Read(fd, count[:]); err == nil && n == len(count) {
			l.advance(uint32(binary.NativeEndian.Uint64(count[:])))
		}
		return nil
	})
	if err != nil {
		_ = syscall.Close(fd)
		return err
	}
	l.timer = timer{fd, op}
	return nil
}

// stopTimer ends the ticking. Call on the loop.
func (l *Loop) stopTimer() {
	_ = poll.Detach(l.timer.op)
	l.jobs = append(l.jobs, func() {
		l.poll.Free(l.timer.op)
		_ = syscall.Close(l.timer.fd)
	})
}
