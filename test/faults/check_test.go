package faults

import "testing"

// check holds what the subscribers got against the promises: each publisher's
// messages in order and none twice; all of those of the subscriber's own node;
// of others all that Redis kept, where it keeps them; and that whoever misses any
// was told so, unless the node that they came from knows that they did not get
// out. kept is what Redis has, by publisher.
func (c *cluster) check(t *testing.T, kept map[string]map[int]bool, after map[*server]stats) {
	t.Helper()
	unsent := map[*publisher]map[int]bool{} // nobody else has got them
	for _, s := range c.subs {
		gaps := after[s.node].Gaps - c.before[s.node].Gaps
		for _, p := range c.pubs {
			x := c.compare(t, s, p, kept[p.name])
			if x.silent != nil && !c.mode.marks && gaps > 0 {
				x.silent = nil // told, though not where
			}
			if unsent[p] == nil {
				unsent[p] = map[int]bool{}
			}
			for _, n := range x.silent {
				unsent[p][n] = true
			}
			t.Logf("%s: of %s %d of %d arrived, %d missing", s.name, p.name, x.arrived, p.count(), x.missing)
		}
	}
	for _, p := range c.pubs {
		lost := after[p.node].Lost - c.before[p.node].Lost
		if n := uint64(len(unsent[p])); n > lost {
			t.Errorf("%d messages of %s are missing without a gap, and its node knows of %d only: %v", n, p.name, lost, some(unsent[p]))
		}
	}
}

// compared is how a publisher's messages arrived at a subscriber.
type compared struct {
	arrived, missing int
	silent           []int // missing without a gap in their place, and not refused
}

// compare looks at one publisher's messages, from the first that arrived. kept are
// those that must have; nil: none.
func (c *cluster) compare(t *testing.T, s *subscriber, p *publisher, kept map[int]bool) (x compared) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	last, told := -1, false
	for _, n := range s.notes {
		switch {
		case n.gap != "":
			told = true
			continue
		case n.from != p.name:
			continue
		case n.number <= last:
			t.Errorf("%s: %s's %d came after its %d", s.name, p.name, n.number, last)
			continue
		}
		if last >= 0 {
			for missing := last + 1; missing < n.number; missing++ {
				x.missing++
				switch {
				case p.node == s.node:
					t.Errorf("%s: %d is missing, of %s at the same node", s.name, missing, p.name)
				case kept[missing]:
					t.Errorf("%s: %s's %d is missing, which Redis has", s.name, p.name, missing)
				case !told && !p.refused[missing]:
					x.silent = append(x.silent, missing)
				}
			}
		}
		last, told = n.number, false
		x.arrived++
	}
	if x.arrived == 0 {
		t.Errorf("%s: nothing of %s arrived", s.name, p.name)
	}
	if len(p.refused) > 0 && p.node == s.node {
		t.Logf("%s: %d of %d were refused", p.name, len(p.refused), p.sent)
	}
	return x
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
