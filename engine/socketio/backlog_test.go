package socketio

import (
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// Those who wait must not keep each other waiting: together they may ask for far
// more than there is room for.
func TestBacklogOfManyWaiters(t *testing.T) {
	srv, b := &Server{}, newBacklog()
	const size = 8 << 20
	if err := b.enter(maxBacklog-postCost, srv); err != nil { // it is full
		t.Fatal(err)
	}
	const emitters = 40 // 320 MiB
	var entered sync.WaitGroup
	for range emitters {
		entered.Go(func() {
			if err := b.enter(size, srv); err != nil {
				t.Error(err)
			}
			b.leave(size)
		})
	}
	testkit.Eventually(t, func() bool { return b.waiters.Load() == emitters }, 10*time.Second)
	b.leave(maxBacklog - postCost)
	done := make(chan struct{})
	go func() { entered.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%d emitters wait for ever, with %d bytes counted", b.waiters.Load(), b.bytes.Load())
	}
	if n := b.bytes.Load(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}

// What is larger than the limit gets through when nothing else waits.
func TestBacklogOfOneLarge(t *testing.T) {
	srv, b := &Server{}, newBacklog()
	if err := b.enter(2*maxBacklog, srv); err != nil {
		t.Fatal(err)
	}
	b.leave(2 * maxBacklog)
	if n := b.bytes.Load(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}
