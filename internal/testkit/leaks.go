package testkit

import (
	"fmt"
	"maps"
	"net"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// leakGrace is how long CheckLeaks waits for the last goroutines and
// descriptors to go: some end a moment after the call that ended them.
const leakGrace = 5 * time.Second

// CheckLeaks runs the package's tests and then reports goroutines and, on
// Linux, file descriptors that the tests left open. It returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(testkit.CheckLeaks(m)) }
//
// What was there before the first test does not count.
func CheckLeaks(m *testing.M) int {
	primeRuntime()
	known := goleak.IgnoreCurrent()
	before := openFDs()

	code := m.Run()
	if code != 0 {
		return code // a failed test may leave anything behind
	}
	if err := findLeaks(known, before); err != nil {
		fmt.Fprintf(os.Stderr, "testkit: %v\n", err)
		return 1
	}
	return 0
}

// findLeaks returns an error that names what is open beyond known and before.
func findLeaks(known goleak.Option, before map[string]string) error {
	deadline := time.Now().Add(leakGrace)
	var err error
	poll(leakGrace, func() bool {
		err = goleak.Find(known)
		return err == nil
	})
	if err != nil {
		return fmt.Errorf("the tests left goroutines: %w", err)
	}
	var fds []string
	poll(max(time.Until(deadline), time.Second), func() bool {
		runtime.GC() // closes what only a finalizer holds
		fds = newFDs(before, openFDs())
		return len(fds) == 0
	})
	if len(fds) > 0 {
		return fmt.Errorf("the tests left %d file descriptors: %v", len(fds), fds)
	}
	return nil
}

// GoroutinesAndFDs returns how many goroutines and open file descriptors the
// process has now; the second is 0 where the system does not tell.
func GoroutinesAndFDs() (goroutines, fds int) {
	return runtime.NumGoroutine(), len(openFDs())
}

// primeRuntime makes the Go runtime open what it opens at the first use of
// the network and keeps for good (its own epoll and event descriptors).
func primeRuntime() {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
	}
}

// newFDs returns what is in after and not in before, as "number -> target".
func newFDs(before, after map[string]string) []string {
	var out []string
	for _, fd := range slices.Sorted(maps.Keys(after)) {
		if before[fd] != after[fd] {
			out = append(out, fd+" -> "+after[fd])
		}
	}
	return out
}
