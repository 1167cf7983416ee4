package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

const (
	// openTimeout is how long Redis may take at the start.
	openTimeout = 15 * time.Second
	// gapPause is the least time between two log lines about gaps.
	gapPause = 10 * time.Second
)

// openRedis connects to the cluster, if there is to be one.
func (s *server) openRedis(ctx context.Context) error {
	if s.daemonFlags == nil || !s.redisFlags.enabled() {
		return nil
	}
	opts, err := s.redisFlags.options(s.sioFlags.ServerID, s.log)
	if err != nil {
		return usageError(err)
	}
	at, err := redis.ParseURLs(opts.URLs)
	if err != nil {
		return usageError(fmt.Errorf("--redis-url: %w", err))
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if s.redis, err = redis.Open(ctx, opts); err != nil {
		return exitError{exitBroker, fmt.Errorf("--adapter %s needs Redis, which can't be used: %w", s.redisFlags.Adapter, err)}
	}
	s.log.Info("Redis", "servers", at.String(), "adapter", s.redisFlags.Adapter, "server_id", opts.Server)
	return nil
}

// closeRedis ends the connections when what waits is out, or ctx has ended.
func (s *server) closeRedis(ctx context.Context) {
	if s.redis == nil {
		return
	}
	if err := s.redis.Close(ctx); err != nil {
		s.log.Warn("Redis did not take all that was to be sent", "err", err)
	}
}

// abandonRedis is closeRedis without patience, for a start that failed. Behind
// closeRedis it does nothing.
func (s *server) abandonRedis() {
	if s.redis == nil {
		return
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.redis.Close(gone)
}

// topicsBroker carries topics to other servers, or keeps their history in memory;
// nil where there is nothing to do.
func (s *server) topicsBroker() broker.Topics {
	if s.redis != nil {
		return s.redis.Topics()
	}
	if s.daemonFlags == nil || len(s.Durable) == 0 {
		return nil
	}
	durable, _ := parseDurables(s.Durable) // check has read it
	return &broker.Memory{Durable: durable.find()}
}

// cluster joins the Socket.IO server with those of other servers, and of other workers.
func (s *server) cluster() func(*socketio.Options) {
	return func(opts *socketio.Options) {
		opts.RequestTimeout = s.redisFlags.RequestTimeout
		if s.host.worker != nil {
			opts.Engine.Elsewhere = s.elsewhere
		}
		if s.redis != nil {
			opts.Cluster, opts.Presence, opts.ServerID = s.redis.Cluster(), s.redis.Presence(), s.sioFlags.ServerID
		}
	}
}

// brokerHealth is what /health tells of the cluster.
type brokerHealth struct {
	Up     bool    `json:"up"`
	Reason string  `json:"reason,omitempty"` // why not
	LagMS  float64 `json:"lag_ms"`           // of the last message that was sent out and came back
	losses         // all, of what went out as well: publications that Redis did not take
	Topics losses  `json:"topics"`   // of /topics/...
	SIO    losses  `json:"socketio"` // of Socket.IO's namespaces
}

// losses are what did not get through between servers, since the start.
type losses struct {
	Gaps uint64 `json:"gaps"` // times that messages of other servers were lost, or may have been
	Lost uint64 `json:"lost"` // messages that are known to be
}

// brokerHealth is nil for a server that is alone.
func (s *server) brokerHealth() *brokerHealth {
	if s.redis == nil {
		return nil
	}
	h, all := s.app.Health(), s.redis.Health()
	b := &brokerHealth{
		Up: h.Up, Reason: h.Reason, LagMS: float64(h.Lag.Microseconds()) / 1000,
		losses: losses{all.Gaps, all.Lost},
		Topics: losses{h.Gaps, h.Lost},
	}
	if s.sio != nil {
		st := s.sio.io.Stats()
		b.SIO = losses{st.ClusterGaps, st.ClusterGapLost}
	}
	return b
}

// gapLog logs that messages of topics were lost, now and then.
type gapLog struct {
	mu     sync.Mutex
	last   time.Time
	before int // since the last line
}

// topicGap notes that messages of a topic were lost, or of all ("").
func (s *server) topicGap(topic string, g broker.Gap) {
	if s.pubsub != nil {
		s.pubsub.Gap(topic, g)
	}
	l := &s.gaps
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.last.IsZero() && now.Sub(l.last) < gapPause {
		l.before++
		return
	}
	s.log.Warn("messages of other servers were lost", "topic", topic, "reason", g.Reason.String(), "lost", g.Lost, "gaps_not_logged", l.before)
	l.last, l.before = now, 0
}
