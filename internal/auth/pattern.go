package auth

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxPattern is the longest pattern, in bytes.
const MaxPattern = 256

// placeholder stands for the user id in a pattern.
const placeholder = "{sub}"

// Pattern says which names of rooms or topics are allowed. A name's segments
// are separated by "/". In a pattern "*" stands for any characters, also none,
// within a segment, "**" for any across segments, and {sub} for the user id;
// all else stands for itself.
type Pattern struct {
	source string
	tokens []token
}

type token struct {
	kind tokenKind
	text string // of a literal
}

type tokenKind uint8

const (
	literal  tokenKind = iota
	wild               // "*"
	wildDeep           // "**"
	subject            // "{sub}"
)

// ParsePattern reads a pattern. Errors wrap ErrPattern: it is empty, longer
// than MaxPattern, no UTF-8, has three stars in a row, or a brace that does not
// belong to {sub}.
func ParsePattern(s string) (Pattern, error) {
	switch {
	case s == "":
		return Pattern{}, fmt.Errorf("%w: it is empty", ErrPattern)
	case len(s) > MaxPattern:
		return Pattern{}, fmt.Errorf("%w: %d bytes, at most %d", ErrPattern, len(s), MaxPattern)
	case !utf8.ValidString(s):
		return Pattern{}, fmt.Errorf("%w: not UTF-8", ErrPattern)
	case strings.Contains(s, "***"):
		return Pattern{}, fmt.Errorf("%w: %q has more than two stars in a row", ErrPattern, s)
	}
	p := Pattern{source: s}
	for rest := s; rest != ""; {
		var t token
		switch {
		case strings.HasPrefix(rest, "**"):
			t, rest = token{kind: wildDeep}, rest[2:]
		case rest[0] == '*':
			t, rest = token{kind: wild}, rest[1:]
		case strings.HasPrefix(rest, placeholder):
			t, rest = token{kind: subject}, rest[len(placeholder):]
		case rest[0] == '{' || rest[0] == '}':
			return Pattern{}, fmt.Errorf("%w: %q: the only braces are those of %s", ErrPattern, s, placeholder)
		default:
			end := strings.IndexAny(rest, "*{}")
			if end < 0 {
				end = len(rest)
			}
			t, rest = token{kind: literal, text: rest[:end]}, rest[end:]
		}
		p.tokens = append(p.tokens, t)
	}
	return p, nil
}

// String is what ParsePattern read.
func (p Pattern) String() string { return p.source }

// HasPrefix reports whether every name that matches begins with prefix
// because the pattern spells it out.
func (p Pattern) HasPrefix(prefix string) bool {
	return len(p.tokens) > 0 && strings.HasPrefix(p.tokens[0].text, prefix)
}

// Match reports whether the pattern allows name to the user sub. {sub} is one
// segment: for a user id that is empty or has a "/" in it, it matches nothing,
// so that nobody's id reaches into the names of another.
func (p Pattern) Match(name, sub string) bool {
	const none = -1
	var (
		at, next     int          // in name, in p.tokens
		starAt, star = none, none // what the last "*" has taken, and the token behind it
		deepAt, deep = none, none // the same of the last "**"
		noSubject    = sub == "" || strings.Contains(sub, "/")
	)
	for {
		matched := false
		switch {
		case next == len(p.tokens):
			if at == len(name) {
				return true
			}
		case p.tokens[next].kind == wildDeep:
			next++
			deepAt, deep, star = at, next, none
			matched = true
		case p.tokens[next].kind == wild:
			next++
			starAt, star = at, next
			matched = true
		default:
			text := p.tokens[next].text
			if p.tokens[next].kind == subject {
				if noSubject {
					return false
				}
				text = sub
			}
			if matched = strings.HasPrefix(name[at:], text); matched {
				at += len(text)
				next++
			}
		}
		switch {
		case matched:
		case star != none && starAt < len(name) && name[starAt] != '/':
			starAt++
			at, next = starAt, star
		case deep != none && deepAt < len(name):
			deepAt++
			at, next, star = deepAt, deep, none
		default:
			return false
		}
	}
}

// Patterns allow what one of them allows; none allow nothing.
type Patterns []Pattern

// ParsePatterns reads a list.
func ParsePatterns(list []string) (Patterns, error) {
	var ps Patterns
	for _, s := range list {
		p, err := ParsePattern(s)
		if err != nil {
			return nil, err
		}
		ps = append(ps, p)
	}
	return ps, nil
}

// Match reports whether one of the patterns matches; see Pattern.Match.
func (ps Patterns) Match(name, sub string) bool {
	for _, p := range ps {
		if p.Match(name, sub) {
			return true
		}
	}
	return false
}

// Spelling are the patterns that spell out prefix; see Pattern.HasPrefix.
func (ps Patterns) Spelling(prefix string) Patterns {
	var out Patterns
	for _, p := range ps {
		if p.HasPrefix(prefix) {
			out = append(out, p)
		}
	}
	return out
}
