package broker

import "time"

// SetClock replaces the clock that a Memory's history is aged by.
func (m *Memory) SetClock(now func() time.Time) { m.logs.now = now }

// Logs is how many topics have a log.
func (m *Memory) Logs() int {
	m.logs.mu.Lock()
	defer m.logs.mu.Unlock()
	return len(m.logs.topics)
}
