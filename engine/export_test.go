package engine

import "fmt"

// Leftovers names what the loops of an App without connections still hold, ""
// when it is nothing. It asks each loop itself.
func (a *App) Leftovers() string {
	left := ""
	for _, l := range a.loops {
		answer := make(chan string, 1)
		if !l.post(func() { answer <- l.leftovers() }) {
			return fmt.Sprintf("loop %d has ended", l.id)
		}
		left += <-answer
	}
	if n := a.guests.Load(); n != 0 {
		left += fmt.Sprintf(" %d guests", n)
	}
	return left
}

func (l *Loop) leftovers() string {
	left := ""
	for _, x := range []struct {
		what string
		n    int
	}{
		{"connections", len(l.conns)},
		{"due times", len(l.due)},
		{"closing", len(l.closing)},
		{"topics", len(l.topics)},
		{"logged", len(l.log)},
		{"specials", len(l.specials)},
		{"dirty", len(l.dirty)},
		{"dead", len(l.dead)},
		{"leaving", len(l.leave)},
		{"operators beyond the timer's and the listeners'", l.poll.Operators() - 1 - len(l.acceptors)},
	} {
		if x.n != 0 {
			left += fmt.Sprintf(" loop %d: %d %s;", l.id, x.n, x.what)
		}
	}
	for _, q := range l.queues {
		if q.bytes != 0 || len(q.items) != 0 || cap(q.arena) > keepArena || cap(q.items) > keepItems {
			left += fmt.Sprintf(" loop %d: a spare queue holds %d bytes, arena %d, items %d;", l.id, q.bytes, cap(q.arena), cap(q.items))
		}
	}
	return left
}

// Mail is how many functions and publications wait for a loop.
func (l *Loop) Mail() int {
	l.mail.mu.Lock()
	defer l.mail.mu.Unlock()
	return len(l.mail.items)
}

// CheckTopics holds a loop's topic lists against each other. Call on the loop.
func (l *Loop) CheckTopics() error {
	for name, t := range l.topics {
		if t.name != name || l.app.topics.find(name) != t.app || t.app.local[l.id] != t {
			return fmt.Errorf("topic %q is registered wrongly", name)
		}
		for pos, m := range t.members {
			if s := m.c.ext.subs[m.slot]; s.topic != t || int(s.pos) != pos {
				return fmt.Errorf("topic %q: member %d does not point back", name, pos)
			}
		}
	}
	for _, c := range l.conns {
		if c.ext == nil {
			continue
		}
		for slot, s := range c.ext.subs {
			if m := s.topic.members[s.pos]; m.c != c || int(m.slot) != slot {
				return fmt.Errorf("subscription %d does not point back", slot)
			}
		}
	}
	return nil
}
