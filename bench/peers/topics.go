package main

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// topicOf returns the topic that a request path subscribes to, and whether
// there is one.
func topicOf(path string) (string, bool) {
	return strings.CutPrefix(path, "/topics/")
}

// topic is the set of connections subscribed to one name. Joining and leaving
// copy the set, so that publishing takes no lock.
type topic[C comparable] struct {
	mu      sync.Mutex
	members atomic.Pointer[[]C]
}

// topics maps names to subscribers. Safe from any goroutine.
type topics[C comparable] struct {
	mu     sync.Mutex
	byName map[string]*topic[C]
}

// join subscribes c to name.
func (ts *topics[C]) join(name string, c C) *topic[C] {
	ts.mu.Lock()
	if ts.byName == nil {
		ts.byName = map[string]*topic[C]{}
	}
	t := ts.byName[name]
	if t == nil {
		t = &topic[C]{}
		ts.byName[name] = t
	}
	ts.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	next := append(slices.Clip(t.all()), c)
	t.members.Store(&next)
	return t
}

// leave unsubscribes c.
func (t *topic[C]) leave(c C) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.all(), c)
	if i < 0 {
		return
	}
	next := slices.Concat(t.all()[:i], t.all()[i+1:])
	t.members.Store(&next)
}

// all is a snapshot of the subscribers. The caller must not change it.
func (t *topic[C]) all() []C {
	if p := t.members.Load(); p != nil {
		return *p
	}
	return nil
}
