//go:build !linux

package bench

import "time"

// sleeper waits with the runtime's timers.
type sleeper struct{ timer *time.Timer }

func newSleeper() (*sleeper, error) { return &sleeper{}, nil }

// sleep waits for d; nothing for d <= 0.
func (s *sleeper) sleep(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	if s.timer == nil {
		s.timer = time.NewTimer(d)
	} else {
		s.timer.Reset(d)
	}
	<-s.timer.C
	return nil
}

func (s *sleeper) close() {}
