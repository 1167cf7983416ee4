package main

import (
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/engine"
)

// hungAfter is how long a loop may take to answer.
const hungAfter = time.Second

// pulse asks loops whether they answer. Each is asked one question at a time,
// so that one that hangs gathers none. The zero value is ready for use, from any
// goroutine.
type pulse struct {
	mu   sync.Mutex
	open map[*engine.Loop]*question
}

// question is one that a loop has been asked.
type question struct {
	asked    time.Time
	answered chan struct{} // closed by the loop
}

// hung returns the numbers of the loops that have not answered for hungAfter. It
// waits as long as that for an answer, but no longer than wait: with 0 it tells
// of questions that were asked before.
func (p *pulse) hung(loops []*engine.Loop, wait time.Duration) []int {
	questions := make([]*question, len(loops))
	for i, l := range loops {
		questions[i] = p.ask(l)
	}
	deadline := time.Now().Add(wait)
	late := time.NewTimer(0)
	defer late.Stop()
	var hung []int
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
			if time.Since(q.asked) >= hungAfter {
				hung = append(hung, loops[i].ID())
			}
		}
	}
	return hung
}

// ask returns the open question of a loop, or a new one.
func (p *pulse) ask(l *engine.Loop) *question {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q := p.open[l]; q != nil {
		select {
		case <-q.answered:
		default:
			return q
		}
	}
	q := &question{asked: time.Now(), answered: make(chan struct{})}
	if !l.Post(func() { close(q.answered) }) {
		return nil
	}
	if p.open == nil {
		p.open = map[*engine.Loop]*question{}
	}
	p.open[l] = q
	return q
}
