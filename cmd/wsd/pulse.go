package main

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/fe4bcecb/wsd/engine"
)

// hungAfter is how long a loop may take to answer.
const hungAfter = time.Second

// stackLimit is how much of the stack of a loop that hangs is logged, in bytes.
const stackLimit = 8 << 10

// pulse asks loops whether they answer. Each is asked one question at a time,
// so that one that hangs gathers none. The zero value is ready for use, from any
// goroutine.
type pulse struct {
	mu   sync.Mutex
	open map[*engine.Loop]*question

	hangs atomic.Uint64 // loops that did not answer in time, each as often as it did
}

// question is one that a loop has been asked.
type question struct {
	asked    time.Time
	answered chan struct{} // closed by the loop
	took     time.Duration // until it was answered; valid then
	late     bool          // it was told of as one that is not answered; pulse.mu
}

// hangs are what has changed since hung was called before.
type hangs struct {
	began []*engine.Loop // these don't answer any more
	ended []int          // these do again
	took  time.Duration  // the longest of those
}

// hungLoops is pulse.hung of the server's loops; it logs and counts those that begin
// or cease to hang. The monitor calls it each second.
func (s *server) hungLoops(wait time.Duration) []int {
	hung, change := s.pulse.hung(s.app.Loops(), wait)
	if len(change.ended) > 0 {
		s.log.Warn("loops that hung turn again", "loops", change.ended, "longest", change.took.Round(time.Millisecond).String())
	}
	if len(change.began) > 0 {
		ids := make([]int, len(change.began))
		for i, l := range change.began {
			ids[i] = l.ID()
		}
		// One stack: of loops that hang at once the others wait for the same, as a rule.
		s.log.Error("loops hang", "loops", ids, "for_at_least", hungAfter.String(), "stack", change.began[0].Stack(stackLimit))
	}
	return hung
}

// hung returns the numbers of the loops that have not answered for hungAfter, and
// what has changed: each change is told once, whoever asks. It
// waits as long as that for an answer, but no longer than wait: with 0 it tells
// of questions that were asked before.
func (p *pulse) hung(loops []*engine.Loop, wait time.Duration) (hung []int, change hangs) {
	questions := make([]*question, len(loops))
	for i, l := range loops {
		questions[i] = p.ask(l, &change)
	}
	deadline := time.Now().Add(wait)
	late := time.NewTimer(0)
	defer late.Stop()
	for i, q := range questions {
		if q == nil {
			continue // the loop has ended, as it was told to
		}
		end := q.asked.Add(hungAfter)
		if end.After(deadline) {
			end = deadline
		}
		late.Reset(time.Until(end))
		select {
		case <-q.answered:
		case <-late.C:
			if time.Since(q.asked) >= hungAfter && p.isLate(q, loops[i], &change) {
				hung = append(hung, loops[i].ID())
			}
		}
	}
	return hung, change
}

// isLate reports whether a question has no answer yet, and notes the hang.
func (p *pulse) isLate(q *question, l *engine.Loop, change *hangs) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-q.answered: // just now
		return false
	default:
	}
	if !q.late {
		q.late = true
		p.hangs.Add(1)
		change.began = append(change.began, l)
	}
	return true
}

// ask returns the open question of a loop, or a new one; nil when the loop has ended.
func (p *pulse) ask(l *engine.Loop, change *hangs) *question {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q := p.open[l]; q != nil {
		select {
		case <-q.answered:
		default:
			return q
		}
		if q.late {
			q.late = false
			change.ended = append(change.ended, l.ID())
			change.took = max(change.took, q.took)
		}
	}
	q := &question{asked: time.Now(), answered: make(chan struct{})}
	answer := func() {
		q.took = time.Since(q.asked)
		close(q.answered)
	}
	if !l.Post(answer) {
		return nil
	}
	if p.open == nil {
		p.open = map[*engine.Loop]*question{}
	}
	p.open[l] = q
	return q
}
