package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/broker/redis"
)

const (
	// tellEvery is how often a node tells the others of itself, and tellFor how long
	// they may believe it.
	tellEvery = 2 * time.Second
	tellFor   = 10 * time.Second
	// othersFresh is how old what is known of others may be.
	othersFresh = 2 * time.Second
	// othersPatience bounds a question to Redis.
	othersPatience = 2 * time.Second
	// shownNodes are how many nodes are told of.
	shownNodes = 128
)

// others knows the other nodes of the cluster, by what they tell of themselves in
// Redis.
type others struct {
	mu    sync.Mutex // held while Redis is asked: who asks meanwhile waits for the same
	asked time.Time
	nodes []nodeSummary
	view  clusterView
}

// tellAll tells the others of this node until ctx ends.
func (o *others) tellAll(ctx context.Context, m *monitor) {
	for {
		// Not all nodes at once, nor before the first sample.
		wait := time.NewTimer(tellEvery/2 + rand.N(tellEvery))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
			o.tell(ctx, m)
		}
	}
}

// tell tells them now. That it fails, who looks sees by the broker's state.
func (o *others) tell(ctx context.Context, m *monitor) {
	m.mu.Lock()
	text, err := json.Marshal(m.summary)
	id := m.summary.ID
	m.mu.Unlock()
	if err != nil || id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, othersPatience)
	defer cancel()
	_ = m.s.redis.PutSummary(ctx, id, text, tellFor)
}

// get returns the other nodes, by id, and what is known of the cluster.
func (o *others) get(ctx context.Context, m *monitor) ([]nodeSummary, clusterView) {
	if m.s.redis == nil {
		return nil, clusterView{}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.asked) < othersFresh {
		return o.nodes, o.view
	}
	ctx, cancel := context.WithTimeout(ctx, othersPatience)
	defer cancel()
	all, err := m.s.redis.Summaries(ctx)
	o.asked, o.view = time.Now(), clusterView{Enabled: true}
	if err != nil {
		// Those that were there are silent until Redis tells more.
		o.view.Error = "Redis does not tell of the other nodes: " + err.Error()
		for i := range o.nodes {
			o.nodes[i] = nodeSummary{ID: o.nodes[i].ID, State: stateSilent}
		}
		return o.nodes, o.view
	}
	nodes := []nodeSummary{}
	for _, s := range all {
		switch {
		case s.Server == m.s.sioFlags.ServerID:
		case len(nodes) == shownNodes:
			o.view.Hidden++
		default:
			nodes = append(nodes, readSummary(s))
		}
	}
	o.nodes = nodes
	return slices.Clone(nodes), o.view
}

// readSummary is what another node told of itself. Redis is no place to trust
// blindly: what makes no sense is silence.
func readSummary(s redis.Summary) nodeSummary {
	var n nodeSummary
	if json.Unmarshal(s.Text, &n) != nil || n.ID != s.Server || !slices.Contains([]string{stateOK, stateFull, stateUnready, stateDraining}, n.State) {
		return nodeSummary{ID: shown(s.Server), State: stateSilent}
	}
	n.ID, n.Version = shown(n.ID), shown(n.Version)
	n.Unready = n.Unready[:min(len(n.Unready), 8)]
	for i := range n.Unready {
		n.Unready[i] = shown(n.Unready[i])
	}
	if n.Broker != nil {
		n.Broker.Reason = shown(n.Broker.Reason)
	}
	return n
}
