package redis

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
)

// Broker is one process's connections to Redis. Its methods are safe from any
// goroutine.
type Broker struct {
	opts     Options
	location Location
	log      *slog.Logger
	count    counters

	client       rueidis.Client // for commands whose order does not matter; see do
	mode         rueidis.ClientMode
	redisVersion string
	link         *link
	hub          *hub

	cluster  clusterState  // what the nodes of Cluster share
	streams  streamsState  // what those of the streams adapter share
	topics   topicsState   // what the nodes of Topics share
	presence presenceState // what the nodes of Presence share
	members  membersState  // what those of Members share
	survey   survey        // what the cluster looks like, for Stats

	ctx    context.Context // ends with Close: no connection is made any more
	cancel context.CancelFunc
	wg     sync.WaitGroup // what ends by itself when connections do

	mu     sync.Mutex
	lanes  []*lane
	closed bool
}

// Open connects to Redis, and returns when a message has gone out by the
// publishing connection and come back by the subscribing one. The error is a
// mistake in opts, or names the server that could not be reached.
func Open(ctx context.Context, opts Options) (*Broker, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	location, err := ParseURLs(opts.URLs)
	if err != nil {
		return nil, err
	}
	b := &Broker{opts: opts, location: location, log: opts.Logger}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.link = newLink(b)
	b.survey.init()
	if err := b.open(ctx); err != nil {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		_ = b.Close(gone)
		return nil, err
	}
	return b, nil
}

func (b *Broker) open(ctx context.Context) error {
	if err := b.connect(ctx); err != nil {
		return err
	}
	client, err := b.newClient(ctx, b.linkOption())
	if err != nil {
		return err
	}
	b.link.install(client)
	b.hub = newHub(b)
	if err := b.hub.start(ctx); err != nil {
		return fmt.Errorf("redis: %v: %w", b.location, err)
	}
	b.wg.Go(b.surveyAll)
	return nil
}

// Topics carries raw topics.
func (b *Broker) Topics() broker.Topics { return redisTopics{b} }

// Cluster carries Socket.IO messages by the adapter of the options.
func (b *Broker) Cluster() broker.Cluster { return redisCluster{b} }

// Presence knows users and nodes.
func (b *Broker) Presence() broker.Presence { return redisPresence{b} }

// Health tells whether messages really pass: by probes on every connection.
func (b *Broker) Health() broker.Health {
	h := broker.Health{Lost: b.count.lost(), Gaps: b.count.allGaps()}
	h.Reason, h.Lag = b.hub.health(time.Now())
	if h.Reason == "" {
		for _, l := range b.allLanes() {
			if err := l.state(); err != nil {
				h.Reason = "publishing fails: " + err.Error()
				break
			}
		}
	}
	h.Up = h.Reason == ""
	return h
}

// allLanes returns the lanes that were made.
func (b *Broker) allLanes() []*lane {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lanes[:len(b.lanes):len(b.lanes)]
}

// Close ends the connections when what waits was sent, or ctx has ended: its
// error is returned then. It may be called twice.
func (b *Broker) Close(ctx context.Context) error {
	b.mu.Lock()
	closed := b.closed
	b.closed = true
	b.mu.Unlock()
	if closed {
		return nil
	}
	for _, l := range b.allLanes() {
		l.close(ctx)
	}
	err := ctx.Err()
	if b.hub != nil {
		b.hub.close()
	}
	b.cancel()
	b.streams.close()
	b.link.close()
	if b.client != nil {
		b.client.Close()
	}
	b.wg.Wait()
	return err
}
