package redis

import (
	"fmt"
	"sync"

	"github.com/fe4bcecb/wsd/broker"
)

// redisCluster is a Broker's broker.Cluster: its nodes speak the adapter of the
// options.
type redisCluster struct{ b *Broker }

// Join implements broker.Cluster.
func (c redisCluster) Join(namespace string, r broker.ClusterReceiver) (broker.ClusterNode, error) {
	if c.b.isClosed() {
		return nil, broker.ErrClosed
	}
	node, err := c.join(namespace, r)
	if err != nil {
		return nil, err
	}
	c.b.survey.joined(namespace, node)
	return node, nil
}

func (c redisCluster) join(namespace string, r broker.ClusterReceiver) (broker.ClusterNode, error) {
	switch c.b.opts.Adapter {
	case Classic:
		return newClassicNode(c.b, namespace, r), nil
	case Sharded:
		return newShardedNode(c.b, namespace, r), nil
	case Streams:
		return newStreamsNode(c.b, namespace, r)
	}
	return nil, fmt.Errorf("redis: unknown adapter %d", c.b.opts.Adapter)
}

func (b *Broker) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// clusterState is what the nodes of a Broker share. The zero value is ready.
type clusterState struct {
	once sync.Once
	lane *lane // of all that they publish, in the order of their calls

	mu      sync.Mutex
	counted map[string]int // mu; nodes that others count, by their channel for that
}

// clusterLane is the lane that all nodes publish on: one publisher connection
// keeps what is published in order, whatever its namespace and kind.
func (b *Broker) clusterLane() *lane {
	b.cluster.once.Do(func() { b.cluster.lane = b.newLane("cluster") })
	return b.cluster.lane
}

// count adds to how many nodes of this process listen on a channel that others
// count.
func (s *clusterState) count(channel string, change int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counted == nil {
		s.counted = map[string]int{}
	}
	if s.counted[channel] += change; s.counted[channel] == 0 {
		delete(s.counted, channel)
	}
}

// here is how many nodes of this process listen on such a channel.
func (s *clusterState) here(channel string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counted[channel]
}
