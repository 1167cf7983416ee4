package redis

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
)

// members counts the other nodes, by the subscribers of the counted channel.
// Those whose names are known are told if a node of that name still listens:
// own is the channel that only the node itself subscribes to.
func (m *member) members(ctx context.Context, kind channelKind, own func(uid string) string) (broker.Members, error) {
	if err := m.stand(ctx); err != nil {
		return broker.Members{}, err
	}
	names := m.names.keys()
	channels := []string{m.counted}
	for _, uid := range names {
		channels = append(channels, own(uid))
	}
	subscribers, err := m.b.subscribers(ctx, kind, channels)
	switch {
	case m.ctx.Err() != nil:
		return broker.Members{}, broker.ErrClosed
	case err != nil:
		return broker.Members{}, err
	}
	// The nodes of this process share one subscription.
	here := m.b.cluster.here(m.counted)
	others := broker.Members{Others: max(int(subscribers[0])-1, 0) + max(here-1, 0)}
	for i, uid := range names {
		if subscribers[i+1] > 0 && len(others.UIDs) < others.Others {
			others.UIDs = append(others.UIDs, uid)
		}
	}
	return others, nil
}

const (
	// Counting is tried again where a connection has just broken: the next one is
	// mostly there at once.
	countTries = 3
	countPause = 50 * time.Millisecond
)

// subscribers are how many connections subscribe to each of some channels. The
// error wraps broker.ErrUnavailable, or is ctx's.
func (b *Broker) subscribers(ctx context.Context, kind channelKind, channels []string) (sums []int64, err error) {
	bounded, cancel := context.WithTimeout(ctx, b.opts.CommandTimeout)
	defer cancel()
	for try := 1; ; try++ {
		if sums, err = b.countSubscribers(bounded, kind, channels); err == nil {
			return sums, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if try == countTries {
			break
		}
		select {
		case <-bounded.Done():
		case <-time.After(countPause):
		}
	}
	return nil, fmt.Errorf("%w: counting nodes: %w", broker.ErrUnavailable, err)
}

// countSubscribers asks every server: each knows its own subscribers. All but
// replicas of a Cluster have to answer.
func (b *Broker) countSubscribers(ctx context.Context, kind channelKind, channels []string) ([]int64, error) {
	servers, masters := map[string]rueidis.Client{"": b.client}, []string{""}
	if b.clustered() {
		servers, masters = b.client.Nodes(), b.hub.slots.allMasters()
	}
	question := "NUMSUB"
	if kind == sharded {
		question = "SHARDNUMSUB"
	}
	type answer struct {
		addr   string
		counts map[string]int64
		err    error
	}
	answers := make(chan answer, len(servers))
	for addr, server := range servers {
		go func() {
			// Not by the builder's own commands: these take channels for keys, which
			// must be in one slot.
			cmd := server.B().Arbitrary("PUBSUB", question).Args(channels...).Build()
			counts, err := server.Do(ctx, cmd).AsIntMap()
			answers <- answer{addr, counts, err}
		}()
	}
	sums, heard := make([]int64, len(channels)), map[string]bool{}
	for range servers {
		a := <-answers
		switch {
		case a.err == nil:
			heard[a.addr] = true
			for i, name := range channels {
				sums[i] += a.counts[name]
			}
		case slices.Contains(masters, a.addr):
			return nil, a.err
		}
	}
	for _, addr := range masters {
		if !heard[addr] {
			return nil, fmt.Errorf("no connection to %s", addr)
		}
	}
	return sums, nil
}

// allMasters are the addresses of a Cluster's masters.
func (s *slots) allMasters() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.masters
}
