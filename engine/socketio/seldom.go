package socketio

import (
	"sync"
	"time"
)

// logPause is the least time between two log lines of one kind.
const logPause = 10 * time.Second

// seldom limits how often something is logged. The zero value is ready. Its
// method is safe from any goroutine.
type seldom struct {
	mu   sync.Mutex
	last time.Time
	kept int
}

// due reports whether a line may be written now, and how many were not since the
// last one.
func (s *seldom) due() (skipped int, ok bool) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.last.IsZero() && now.Sub(s.last) < logPause {
		s.kept++
		return 0, false
	}
	skipped, s.last, s.kept = s.kept, now, 0
	return skipped, true
}
