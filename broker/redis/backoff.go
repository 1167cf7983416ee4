package redis

import (
	"context"
	"math/rand/v2"
	"time"
)

// Bounds of the wait before something is tried again.
const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = 2 * time.Second
)

// backoff is the wait before the attempt that follows n failed ones: it doubles,
// and is drawn from the upper half, so that nodes which lost a server together do
// not come back together.
func backoff(n int) time.Duration {
	d := maxBackoff
	if n < 6 {
		d = min(minBackoff<<max(n, 0), maxBackoff)
	}
	return d/2 + rand.N(d/2+1)
}

// pause waits, and returns false if ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
