package engine

import (
	"cmp"
	"slices"
)

// fanOutStep is how many topics FanOut looks at before it lets loops go on that
// want to add or remove some.
const fanOutStep = 4096

// TopicFanOut is what a topic has to do on this node.
type TopicFanOut struct {
	Name        string
	Subscribers int
	// Messages are those published since the call of FanOut before, each times the
	// subscribers that the topic had then, its publisher included.
	Messages uint64
}

// Compare puts the topic with most messages first; of equal ones that with most
// subscribers.
func (t TopicFanOut) Compare(u TopicFanOut) int {
	return cmp.Or(cmp.Compare(u.Messages, t.Messages), cmp.Compare(u.Subscribers, t.Subscribers), cmp.Compare(t.Name, u.Name))
}

// FanOut returns the topics with most fan-out since the call before, at most limit of
// them, in the order of Compare. It looks at every topic, but keeps no loop waiting:
// one that comes or goes meanwhile may be missing. It is meant for one caller, who
// knows when it called before. Safe from any goroutine.
func (a *App) FanOut(limit int) []TopicFanOut {
	r := &a.topics
	r.fanOutMu.Lock()
	defer r.fanOutMu.Unlock()
	var top []TopicFanOut
	for from, more := 0, true; more; from += fanOutStep {
		more = r.walk(from, from+fanOutStep, func(in *interest) {
			if top = append(top, in.fanOut()); len(top) >= 4*limit+64 {
				top = first(top, limit)
			}
		})
	}
	return first(top, limit)
}

// first sorts topics and returns the first of them.
func first(topics []TopicFanOut, limit int) []TopicFanOut {
	slices.SortFunc(topics, TopicFanOut.Compare)
	return topics[:min(len(topics), limit)]
}

// walk calls fn for the topics between two places in the list, and reports whether
// there are more behind.
func (r *registry) walk(from, to int, fn func(*interest)) (more bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, in := range r.list[min(from, len(r.list)):min(to, len(r.list))] {
		fn(in)
	}
	return to < len(r.list)
}

// fanOut tells what is new of a topic. Call with registry.mu and registry.fanOutMu.
func (in *interest) fanOut() TopicFanOut {
	all := in.past
	for _, t := range in.local {
		if t != nil {
			all += t.fannedOut.Load()
		}
	}
	x := TopicFanOut{in.name, int(in.subscribers.Load()), all - in.told}
	in.told = all
	return x
}
