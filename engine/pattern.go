package engine

import (
	"fmt"
	"strings"
)

// A pattern is a path with wildcards: {name} stands for one segment, {name...}
// at the end for the rest, and * at the end for the rest without a name.
type pattern struct {
	text     string
	segments []segment
	// open is true when the last segment takes the rest of the path.
	open bool
}

type segment struct {
	text string // literal, or the wildcard's name
	wild bool
}

func parsePattern(text string) (pattern, error) {
	p := pattern{text: text}
	if !strings.HasPrefix(text, "/") {
		return p, fmt.Errorf("%w: %q does not begin with a slash", ErrPattern, text)
	}
	parts := strings.Split(text[1:], "/")
	names := map[string]bool{}
	for i, part := range parts {
		last := i == len(parts)-1
		name, wild := strings.CutPrefix(part, "{")
		switch {
		case part == "*" && last:
			p.open = true
			p.segments = append(p.segments, segment{wild: true})
			continue
		case !wild:
			if strings.ContainsAny(part, "{}*") {
				return p, fmt.Errorf("%w: %q", ErrPattern, text)
			}
			p.segments = append(p.segments, segment{text: part})
			continue
		}
		name, closed := strings.CutSuffix(name, "}")
		name, rest := strings.CutSuffix(name, "...")
		if !closed || name == "" || strings.ContainsAny(name, "{}.*") || rest && !last || names[name] {
			return p, fmt.Errorf("%w: %q", ErrPattern, text)
		}
		names[name] = true
		p.open = p.open || rest
		p.segments = append(p.segments, segment{text: name, wild: true})
	}
	return p, nil
}

// match reports whether path is of the pattern. A {name} takes a segment that
// is not empty; the open end takes anything, nothing included.
func (p *pattern) match(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	path = path[1:]
	for i, s := range p.segments {
		if p.open && i == len(p.segments)-1 {
			return true
		}
		part, rest, more := strings.Cut(path, "/")
		if s.wild && part == "" || !s.wild && part != s.text {
			return false
		}
		if more == (i == len(p.segments)-1) {
			return false
		}
		path = rest
	}
	return true
}

// param is the part of a matching path that the named wildcard stands for.
func (p *pattern) param(path, name string) string {
	path = path[1:]
	for i, s := range p.segments {
		if p.open && i == len(p.segments)-1 {
			if s.text == name {
				return path
			}
			return ""
		}
		part, rest, _ := strings.Cut(path, "/")
		if s.wild && s.text == name {
			return part
		}
		path = rest
	}
	return ""
}

// before orders patterns so that the more specific one is tried first: at the
// first segment that differs a literal precedes a name, a name the open end.
func (p *pattern) before(q *pattern) bool {
	for i := 0; i < len(p.segments) && i < len(q.segments); i++ {
		a, b := p.rank(i), q.rank(i)
		if a != b {
			return a < b
		}
	}
	return len(p.segments) > len(q.segments)
}

func (p *pattern) rank(i int) int {
	switch {
	case !p.segments[i].wild:
		return 0
	case p.open && i == len(p.segments)-1:
		return 2
	}
	return 1
}

// same reports whether the two patterns match the same paths.
func (p *pattern) same(q *pattern) bool {
	if len(p.segments) != len(q.segments) || p.open != q.open {
		return false
	}
	for i, s := range p.segments {
		t := q.segments[i]
		if s.wild != t.wild || !s.wild && s.text != t.text {
			return false
		}
	}
	return true
}
