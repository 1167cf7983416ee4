package testkit

import (
	"testing"
	"time"
)

// pollEvery is how often a condition is looked at.
const pollEvery = 2 * time.Millisecond

// Eventually waits until cond is true and fails the test when it is not
// within timeout. cond runs on the test's goroutine, at least twice unless it
// is true at once.
func Eventually(t testing.TB, cond func() bool, timeout time.Duration) {
	t.Helper()
	if !poll(timeout, cond) {
		t.Fatalf("condition not met within %v", timeout)
	}
}

// poll looks at cond every few milliseconds until it is true or timeout has
// passed, and reports which.
func poll(timeout time.Duration, cond func() bool) bool {
	if cond() {
		return true
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for end := time.Now().Add(timeout); time.Now().Before(end); {
		<-tick.C
		if cond() {
			return true
		}
	}
	return cond()
}
