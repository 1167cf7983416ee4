package faults

import (
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// cluster are nodes of one mode, with a publisher and a subscriber at each.
type cluster struct {
	mode  *mode
	nodes []*server
	pubs  []*publisher
	subs  []*subscriber

	before map[*server]stats // when all was well
	health map[*server]*healthWatch
}

// world are clusters of several modes over one Redis.
type world struct {
	t        *testing.T
	url      string
	clusters []*cluster
	watch    chan struct{} // closed to end the watches
	wg       sync.WaitGroup
}

// newWorld starts so many nodes of each mode and returns when all hear all. url is
// where Redis is. places are those of the nodes, by their index; beyond the list:
// onLoopback.
func newWorld(t *testing.T, url string, modes []*mode, nodes int, places ...place) *world {
	t.Helper()
	w := &world{t: t, url: url, watch: make(chan struct{})}
	for _, m := range modes {
		c := &cluster{mode: m, before: map[*server]stats{}, health: map[*server]*healthWatch{}}
		w.clusters = append(w.clusters, c)
		for i := range nodes {
			at := onLoopback
			if i < len(places) {
				at = places[i]
			}
			c.nodes = append(c.nodes, m.node(t, fmt.Sprintf("%s-%d", m.name, i), url, at))
		}
	}
	for _, c := range w.clusters {
		for _, s := range c.nodes {
			s.ready(t)
		}
		for _, s := range c.nodes {
			c.subscribe(t, s)
		}
		for _, s := range c.nodes {
			c.publish(t, s)
		}
	}
	t.Cleanup(w.unwatch)
	w.settle("at first")
	for _, c := range w.clusters {
		for _, s := range c.nodes {
			c.before[s] = w.stats(s)
			h := &healthWatch{}
			c.health[s] = h
			w.wg.Go(func() { h.run(s, w.watch) })
		}
	}
	return w
}

// unwatch ends what looks at the nodes. It may be called twice.
func (w *world) unwatch() {
	select {
	case <-w.watch:
	default:
		close(w.watch)
	}
	w.wg.Wait()
	for _, c := range w.clusters {
		for _, s := range c.nodes {
			s.hangUp()
		}
	}
}

// each calls f for every node that has not been ended.
func (w *world) each(f func(c *cluster, s *server)) {
	for _, c := range w.clusters {
		for _, s := range c.nodes {
			if !s.killed {
				f(c, s)
			}
		}
	}
}

// stats are a node's.
func (w *world) stats(s *server) (st stats) {
	w.t.Helper()
	testkit.Eventually(w.t, func() bool {
		var err error
		st, err = s.stats()
		return err == nil
	}, patience)
	return st
}

// goal is a number that a subscriber is to hear.
type goal struct {
	sub    *subscriber
	from   string
	number int
}

// settle waits until messages that are sent from now on arrive everywhere, and
// logs how long that took.
func (w *world) settle(when string) {
	w.t.Helper()
	w.settleIf(when, func(*server, *server) bool { return true })
}

// settleIf is settle for what goes from one node to another if that counts.
func (w *world) settleIf(when string, counts func(from, to *server) bool) {
	w.t.Helper()
	w.await(when, counts, (*publisher).count)
}

// flow waits until every publisher has sent as much as it does in a time.
func (w *world) flow(d time.Duration) {
	w.t.Helper()
	target := map[*publisher]int{}
	for _, c := range w.clusters {
		for _, p := range c.pubs {
			target[p] = p.count() + int(d/beat)
		}
	}
	for p, number := range target {
		testkit.Eventually(w.t, func() bool { return p.node.killed || p.count() >= number }, d+patience)
	}
}

// await waits until subscribers have heard a number of each publisher that counts
// for them; nodes that were ended never do.
func (w *world) await(when string, counts func(from, to *server) bool, number func(*publisher) int) {
	w.t.Helper()
	begin := time.Now()
	open := map[*cluster][]goal{}
	for _, c := range w.clusters {
		for _, p := range c.pubs {
			for _, s := range c.subs {
				if !s.node.killed && !p.node.killed && counts(p.node, s.node) {
					open[c] = append(open[c], goal{s, p.name, number(p)})
				}
			}
		}
	}
	took := ""
	testkit.Eventually(w.t, func() bool {
		for c, goals := range open {
			for len(goals) > 0 && goals[0].sub.heard(goals[0].from) >= goals[0].number {
				goals = goals[1:]
			}
			if open[c] = goals; len(goals) == 0 {
				delete(open, c)
				took += fmt.Sprintf(", %s %v", c.mode.name, time.Since(begin).Round(time.Millisecond))
			}
		}
		if len(open) > 0 && time.Since(begin) > patience {
			for _, goals := range open {
				g := goals[0]
				w.t.Errorf("%s: %s has not heard %d of %s, but %d", when, g.sub.name, g.number, g.from, g.sub.heard(g.from))
			}
			w.t.FailNow()
		}
		return len(open) == 0
	}, 2*patience)
	w.t.Logf("%s: all hear all%s", when, took)
}

// quiet has the publishers end, and waits for their last messages.
func (w *world) quiet() {
	w.t.Helper()
	for _, c := range w.clusters {
		for _, p := range c.pubs {
			p.end()
			if p.broken != nil && !p.node.killed {
				w.t.Errorf("%s: %v", p.name, p.broken)
			}
		}
	}
	w.await("at the end", func(*server, *server) bool { return true }, func(p *publisher) int { return p.count() - 1 })
}

// finish waits until all nodes say that they are well, checks what arrived, and
// ends the nodes. redis is the server that has a key.
func (w *world) finish(redis func(key string) *testkit.Redis) {
	w.t.Helper()
	w.each(func(_ *cluster, s *server) {
		testkit.Eventually(w.t, func() bool { return w.stats(s).Up }, patience)
	})
	w.quiet()
	w.unwatch()
	for _, c := range w.clusters {
		w.t.Run(c.mode.name, func(t *testing.T) {
			var kept map[string]map[int]bool
			if c.mode.log != "" {
				kept = c.mode.kept(redis(c.mode.log))
			}
			c.check(t, kept, w.after(c))
		})
	}
	for _, c := range w.clusters {
		for _, s := range c.subs {
			s.line.close()
		}
	}
	w.each(func(_ *cluster, s *server) { s.stop(w.t, syscall.SIGTERM) })
}

// after are the nodes' stats at the end, when they have no more goroutines than
// before, about.
func (w *world) after(c *cluster) map[*server]stats {
	w.t.Helper()
	after := map[*server]stats{}
	for _, s := range c.nodes {
		if s.killed {
			continue
		}
		testkit.Eventually(w.t, func() bool {
			after[s] = w.stats(s)
			return after[s].Goroutines <= c.before[s].Goroutines+20
		}, patience)
		s.hangUp()
		grew := c.grew(after, s)
		w.t.Logf("%s: %d gaps, %d lost, %d goroutines, before %d", s.name, grew.Gaps, grew.Lost, after[s].Goroutines, c.before[s].Goroutines)
	}
	return after
}

// healthWatch looks at a node's health again and again.
type healthWatch struct {
	mu      sync.Mutex
	down    int    // times that it was not up
	reason  string // the last one
	silence int    // times that it did not answer
}

func (h *healthWatch) run(s *server, end chan struct{}) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-end:
			return
		case <-tick.C:
		}
		st, err := s.stats()
		h.mu.Lock()
		switch {
		case err != nil:
			h.silence++
		case !st.Up:
			h.down++
			h.reason = st.Reason
		}
		h.mu.Unlock()
	}
}

// downs is how often the node has said that it does not reach others.
func (h *healthWatch) downs() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.down
}

func (h *healthWatch) wasDown() bool { return h.downs() > 0 }

// toldDown waits until all nodes have said that they do not reach others.
func (w *world) toldDown() {
	w.t.Helper()
	w.toldDownIf(func(*server) bool { return true })
}

// toldDownIf is toldDown for nodes that count.
func (w *world) toldDownIf(counts func(*server) bool) {
	w.t.Helper()
	begin := time.Now()
	w.each(func(c *cluster, s *server) {
		if counts(s) && !s.foreign {
			before := c.health[s].downs()
			testkit.Eventually(w.t, func() bool { return c.health[s].downs() > before }, patience)
		}
	})
	w.t.Logf("the nodes say that they are cut off after %v", time.Since(begin).Round(time.Millisecond))
}

// hasGaps fails the test unless every node of the modes was told of one.
func (w *world) hasGaps(modes ...*mode) {
	w.t.Helper()
	w.hasGapsIf(func(*server) bool { return true }, modes...)
}

// hasGapsIf is hasGaps for nodes that count.
func (w *world) hasGapsIf(counts func(*server) bool, modes ...*mode) {
	w.t.Helper()
	w.each(func(c *cluster, s *server) {
		if counts(s) && !s.foreign && slices.Contains(modes, c.mode) && w.stats(s).Gaps == c.before[s].Gaps {
			w.t.Errorf("%s was told of no gap", s.name)
		}
	})
}
