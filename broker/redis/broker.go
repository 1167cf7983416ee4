package redis

import (
	"context"
	"log/slog"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
)

// Broker is one process's connections to Redis. Its methods are safe from any
// goroutine.
type Broker struct {
	opts   Options
	log    *slog.Logger
	client rueidis.Client // for commands whose order does not matter
	hub    *hub

	cluster clusterState // what the nodes of Cluster share
}

// Open connects to Redis. The error is a mistake in opts, or that no server could
// be reached.
func Open(ctx context.Context, opts Options) (*Broker, error) {
	panic("H2")
}

// Topics carries raw topics.
func (b *Broker) Topics() broker.Topics { panic("H3") }

// Cluster carries Socket.IO messages by the adapter of the options.
func (b *Broker) Cluster() broker.Cluster { return redisCluster{b} }

// Presence knows users and nodes.
func (b *Broker) Presence() broker.Presence { panic("H6") }

// Health tells whether messages really pass: by probes on every connection.
func (b *Broker) Health() broker.Health { panic("H2") }

// Close ends the connections when what waits was sent, or ctx has ended.
func (b *Broker) Close(ctx context.Context) error { panic("H2") }
