package redis

import (
	"context"
	"fmt"

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

// subscribers are how many connections subscribe to each of some channels. The
// error wraps broker.ErrUnavailable, or is ctx's.
func (b *Broker) subscribers(ctx context.Context, kind channelKind, channels []string) ([]int64, error) {
	bounded, cancel := context.WithTimeout(ctx, b.opts.CommandTimeout)
	defer cancel()
	servers := b.client.Nodes()
	answers := make(chan rueidis.RedisResult, len(servers))
	for _, server := range servers {
		go func() {
			if kind == sharded {
				answers <- server.Do(bounded, server.B().PubsubShardnumsub().Channel(channels...).Build())
			} else {
				answers <- server.Do(bounded, server.B().PubsubNumsub().Channel(channels...).Build())
			}
		}()
	}
	sums := make([]int64, len(channels))
	for range servers {
		counts, err := (<-answers).AsIntMap()
		if err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, fmt.Errorf("%w: counting nodes: %w", broker.ErrUnavailable, err)
		}
		for i, name := range channels {
			sums[i] += counts[name]
		}
	}
	return sums, nil
}
