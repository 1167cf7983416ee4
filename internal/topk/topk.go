// Package topk keeps the largest of many counted things, in bounded memory.
package topk

import (
	"cmp"
	"slices"
)

// Item is a thing and how many of it there are.
type Item struct {
	Name  string
	Count int
}

// compare puts the larger count first, and equal ones in the order of their names.
func compare(a, b Item) int {
	return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
}

// List holds the Limit largest items of those that were added.
type List struct {
	Limit int
	items []Item
}

// Add offers an item. Names are not added twice.
func (l *List) Add(name string, count int) {
	x := Item{name, count}
	full := len(l.items) >= l.Limit
	if full && (l.Limit <= 0 || compare(x, l.items[len(l.items)-1]) >= 0) {
		return
	}
	at, _ := slices.BinarySearchFunc(l.items, x, compare)
	if full {
		l.items = l.items[:len(l.items)-1]
	}
	l.items = slices.Insert(l.items, at, x)
}

// Items are those that are kept, the largest first. They are the list's.
func (l *List) Items() []Item { return l.items }
