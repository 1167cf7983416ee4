package redis

import (
	"container/list"
	"sync"
	"time"
)

// aged is a map that forgets: what was put longer ago than life, and the oldest
// beyond max. It is safe from any goroutine.
type aged[V any] struct {
	max  int
	life time.Duration

	mu      sync.Mutex
	entries map[string]*list.Element
	order   list.List // of *agedEntry[V], the oldest first
}

type agedEntry[V any] struct {
	key   string
	value V
	end   time.Time
}

func newAged[V any](most int, life time.Duration) *aged[V] {
	return &aged[V]{max: most, life: life, entries: map[string]*list.Element{}}
}

// put stores a value, young again if it was there. It reports whether another
// had to go before its time.
func (a *aged[V]) put(key string, value V) (displaced bool) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if el := a.entries[key]; el != nil {
		x := el.Value.(*agedEntry[V])
		x.value, x.end = value, now.Add(a.life)
		a.order.MoveToBack(el)
		return false
	}
	a.expireLocked(now)
	if len(a.entries) >= a.max {
		a.dropLocked(a.order.Front())
		displaced = true
	}
	a.entries[key] = a.order.PushBack(&agedEntry[V]{key, value, now.Add(a.life)})
	return displaced
}

// get is the value of a key.
func (a *aged[V]) get(key string) (value V, ok bool) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expireLocked(now)
	if el := a.entries[key]; el != nil {
		return el.Value.(*agedEntry[V]).value, true
	}
	return value, false
}

// has reports whether there is a key.
func (a *aged[V]) has(key string) bool {
	_, ok := a.get(key)
	return ok
}

// take is get that removes what it returns.
func (a *aged[V]) take(key string) (value V, ok bool) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expireLocked(now)
	if el := a.entries[key]; el != nil {
		a.dropLocked(el)
		return el.Value.(*agedEntry[V]).value, true
	}
	return value, false
}

// keys are all of them, the youngest first.
func (a *aged[V]) keys() []string {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expireLocked(now)
	keys := make([]string, 0, len(a.entries))
	for el := a.order.Back(); el != nil; el = el.Prev() {
		keys = append(keys, el.Value.(*agedEntry[V]).key)
	}
	return keys
}

// empty reports whether nothing is kept.
func (a *aged[V]) empty() bool {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expireLocked(now)
	return len(a.entries) == 0
}

func (a *aged[V]) expireLocked(now time.Time) {
	for el := a.order.Front(); el != nil && now.After(el.Value.(*agedEntry[V]).end); el = a.order.Front() {
		a.dropLocked(el)
	}
}

func (a *aged[V]) dropLocked(el *list.Element) {
	delete(a.entries, el.Value.(*agedEntry[V]).key)
	a.order.Remove(el)
}
