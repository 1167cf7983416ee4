package bench

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// sleeper waits for short times. Timers of the runtime are rounded up to a
// millisecond when a process idles; a timerfd is not, and its reader waits in
// the runtime's poller like that of any socket.
type sleeper struct {
	file *os.File
	fd   int
}

func newSleeper() (*sleeper, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("bench: timerfd: %w", err)
	}
	return &sleeper{file: os.NewFile(uintptr(fd), "timerfd"), fd: fd}, nil
}

// sleep waits for d; nothing for d <= 0.
func (s *sleeper) sleep(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(d.Nanoseconds())}
	if err := unix.TimerfdSettime(s.fd, 0, &spec, nil); err != nil {
		return fmt.Errorf("bench: timerfd: %w", err)
	}
	var expirations [8]byte
	if _, err := s.file.Read(expirations[:]); err != nil {
		return fmt.Errorf("bench: timerfd: %w", err)
	}
	if binary.NativeEndian.Uint64(expirations[:]) == 0 {
		return fmt.Errorf("bench: timerfd did not expire")
	}
	return nil
}

func (s *sleeper) close() { s.file.Close() }
