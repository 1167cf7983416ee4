package redis

import "time"

// Aged is a map of numbers that forgets.
type Aged struct{ a *aged[int] }

func NewAged(most int, life time.Duration) Aged { return Aged{newAged[int](most, life)} }

func (x Aged) Put(key string, v int) bool  { return x.a.put(key, v) }
func (x Aged) Get(key string) (int, bool)  { return x.a.get(key) }
func (x Aged) Take(key string) (int, bool) { return x.a.take(key) }
func (x Aged) Keys() []string              { return x.a.keys() }
func (x Aged) Empty() bool                 { return x.a.empty() }
