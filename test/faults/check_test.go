package faults

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// check holds what the subscribers got against the promises: each publisher's
// messages in order and none twice; all of those of the subscriber's own node;
// of others all that Redis kept, where it keeps them; and that whoever misses any
// was told so, unless the node that they came from knows that they did not get
// out. kept is what Redis has, by publisher.
func (c *cluster) check(t *testing.T, kept map[string]map[int]bool, after map[*server]stats) {
	t.Helper()
	unsent := map[*publisher]map[int]bool{} // nobody else has got them
	for _, s := range c.subs {
		for _, p := range c.pubs {
			x := compare(s, p, kept[p.name])
			for i, fault := range x.faults {
				if t.Error(s.name + ": " + fault); i == 10 {
					t.Errorf("%s: and %d more", s.name, len(x.faults)-i-1)
					break
				}
			}
			t.Logf("%s: of %s %d of %d arrived, %d missing, %d refused, silent for %v at most", s.name, p.name,
				x.arrived, p.count(), x.missing, len(p.refused), s.pause[p.name].Round(time.Millisecond))
			if s.node.killed || s.node.foreign || !c.mode.marks && c.grew(after, s.node).Gaps > 0 {
				continue // nobody is left to be told; or was told, though not where
			}
			for _, n := range x.silent {
				if unsent[p] == nil {
					unsent[p] = map[int]bool{}
				}
				unsent[p][n] = true
			}
		}
	}
	for p, missing := range unsent {
		if p.node.killed || p.node.foreign {
			continue
		}
		if lost := c.grew(after, p.node).Lost; uint64(len(missing)) > lost {
			t.Errorf("%d messages of %s are missing without a gap, and its node knows of %d only: %v", len(missing), p.name, lost, some(missing))
		}
	}
}

// grew is what a node's counters have gone up by.
func (c *cluster) grew(after map[*server]stats, s *server) stats {
	return stats{Gaps: after[s].Gaps - c.before[s].Gaps, Lost: after[s].Lost - c.before[s].Lost}
}

// compared is how a publisher's messages arrived at a subscriber.
type compared struct {
	arrived, missing int
	silent           []int    // missing without a gap in their place, and not refused
	faults           []string // against the promises
}

// compare looks at one publisher's messages, from the first that arrived. kept are
// those that must have. Of npm's servers the order does not count: they mix up what
// they send while they connect to Redis, for their own clients too.
func compare(s *subscriber, p *publisher, kept map[int]bool) (x compared) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	first, last, told := math.MaxInt, -1, false
	seen := map[int]bool{}
	for _, n := range s.notes {
		switch {
		case n.gap != "":
			told = true
			continue
		case n.from != p.name:
			continue
		case seen[n.number]:
			x.fault("%s's %d came twice", p.name, n.number)
			continue
		}
		seen[n.number] = true
		first = min(first, n.number)
		switch {
		case p.node.foreign:
		case n.number < last:
			x.fault("%s's %d came after its %d", p.name, n.number, last)
		default:
			for missing := max(first, last+1); missing < n.number; missing++ {
				x.miss(s, p, missing, told || kept[missing])
			}
			last, told = n.number, false
		}
	}
	for number := range kept {
		if number > first && !seen[number] && !s.node.killed && !s.node.foreign {
			x.fault("%s's %d is missing, which Redis has", p.name, number)
		}
	}
	if x.arrived = len(seen); x.arrived == 0 && !p.node.killed {
		x.fault("nothing of %s arrived", p.name)
	}
	return x
}

// miss notes that a message is missing; told: that is known, or shown elsewhere.
func (x *compared) miss(s *subscriber, p *publisher, number int, told bool) {
	x.missing++
	switch {
	case p.node == s.node && !s.moves:
		x.fault("%s's %d is missing, of the same node", p.name, number)
	case !told && !p.refused[number]:
		x.silent = append(x.silent, number)
	}
}

func (x *compared) fault(format string, args ...any) {
	x.faults = append(x.faults, fmt.Sprintf(format, args...))
}

// some are a few of a set, for messages.
func some(set map[int]bool) (few []int) {
	for n := range set {
		if few = append(few, n); len(few) == 10 {
			break
		}
	}
	return few
}

// What breaks a promise is seen.
func TestCompare(t *testing.T) {
	here, there := &server{}, &server{}
	p := func(n int) note { return note{from: "p", number: n} }
	gap, other := note{gap: "reconnected"}, note{from: "q", number: 7}
	for _, tt := range []struct {
		name                   string
		at                     *server // the publisher
		notes                  []note
		faults, silent, missed int
	}{
		{"all", there, []note{p(10), other, p(11), p(12)}, 0, 0, 0},
		{"all from when it began", there, []note{p(15), p(16)}, 0, 0, 0},
		{"twice", there, []note{p(10), p(11), p(11)}, 1, 0, 0},
		{"out of order", there, []note{p(10), gap, p(12), p(11), p(13)}, 1, 0, 1},
		{"missing without a gap", there, []note{p(10), p(13)}, 0, 2, 2},
		{"missing with a gap", there, []note{p(10), gap, other, p(13)}, 0, 0, 2},
		{"a gap that was before", there, []note{gap, p(10), p(12)}, 0, 1, 1},
		{"refused", there, []note{p(13), p(15)}, 0, 0, 1},
		{"Redis has it", there, []note{p(9), gap, p(11)}, 1, 0, 1},
		{"missing of the same node", here, []note{p(10), gap, p(12)}, 1, 0, 1},
		{"Redis has one more", there, []note{p(8), p(9)}, 1, 0, 0},
		{"nothing", there, []note{gap, other}, 1, 0, 0},
	} {
		x := compare(
			&subscriber{node: here, notes: tt.notes},
			&publisher{name: "p", node: tt.at, refused: map[int]bool{14: true}},
			map[int]bool{10: true},
		)
		if len(x.faults) != tt.faults || len(x.silent) != tt.silent || x.missing != tt.missed {
			t.Errorf("%s: %q, silent %v, %d missing", tt.name, x.faults, x.silent, x.missing)
		}
	}
}
