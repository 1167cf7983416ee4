package main

import (
	"sync"
	"time"
)

const (
	// fdsFresh is how long a count of descriptors is good for, or 100 times as long
	// as counting took: before Linux 6.2 it reads a directory with an entry for each.
	fdsFresh = time.Second
	// fdsLeft is the share of descriptors that must be left for the server to be
	// ready, and half as many more than clients may not have at all.
	fdsLeft = 0.05
)

// fdCount is the number of open descriptors. The zero value is ready for use,
// from any goroutine.
type fdCount struct {
	mu    sync.Mutex
	until time.Time // the count is good
	count int
}

// open is that number, -1 where it can't be known.
func (f *fdCount) open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if begun := time.Now(); begun.After(f.until) {
		f.count = countFDs()
		took := time.Since(begun)
		f.until = begun.Add(max(fdsFresh, 100*took))
	}
	return f.count
}

// scarce reports whether too few descriptors are left, with how many are in use.
func (f *fdCount) scarce() (open int, limit uint64, yes bool) {
	limit, ok := fdLimit()
	open = f.open()
	left := max(fdsLeft*float64(limit), 1.5*float64(keepFDs()))
	return open, limit, ok && open >= 0 && float64(open) > float64(limit)-left
}
