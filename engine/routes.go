package engine

import (
	"fmt"
	"slices"
)

// routes are an App's WebSocket routes, the more specific first.
type routes []*entry

type entry struct {
	pattern pattern
	route   *route
}

func (r *routes) add(text string, b *route) error {
	p, err := parsePattern(text)
	if err != nil {
		return err
	}
	for _, e := range *r {
		if e.pattern.same(&p) {
			return fmt.Errorf("%w: %q matches the same paths as %q", ErrPattern, text, e.pattern.text)
		}
	}
	at := slices.IndexFunc(*r, func(e *entry) bool { return p.before(&e.pattern) })
	if at < 0 {
		at = len(*r)
	}
	*r = slices.Insert(*r, at, &entry{p, b})
	return nil
}

// match is the route of a path, or nil.
func (r routes) match(path string) *entry {
	for _, e := range r {
		if e.pattern.match(path) {
			return e
		}
	}
	return nil
}
