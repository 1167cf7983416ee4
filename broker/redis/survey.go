package redis

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
)

const (
	// surveyEvery is how often the cluster is asked what it looks like, for operators
	// only: neither a scrape nor a message waits for the answer.
	surveyEvery = 10 * time.Second
	// surveyed is the namespace whose nodes are counted. Every Socket.IO server has
	// it, Node's as well.
	surveyed = "/"
)

// survey is what Redis told last about the cluster as a whole.
type survey struct {
	wake   chan struct{} // has something when Redis is to be asked now
	nodes  atomic.Int64  // 0: not known
	window atomic.Int64  // nanoseconds; -1: not known
	at     atomic.Int64  // Unix nanoseconds, when all of it was known last; 0: never

	mu   sync.Mutex
	node broker.ClusterNode // mu; this process's in the surveyed namespace, the newest
}

func (s *survey) init() {
	s.wake = make(chan struct{}, 1)
	s.window.Store(-1)
}

// joined has the nodes of a namespace counted, if it is the surveyed one.
func (s *survey) joined(namespace string, node broker.ClusterNode) {
	if namespace != surveyed {
		return
	}
	s.mu.Lock()
	s.node = node
	s.mu.Unlock()
	s.look()
}

// look has the cluster asked now.
func (s *survey) look() {
	select {
	case s.wake <- struct{}{}:
	default: // that is about to be done
	}
}

func (s *survey) asked() broker.ClusterNode {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.node
}

// surveyAll asks until the Broker closes.
func (b *Broker) surveyAll() {
	ticks := time.NewTicker(surveyEvery)
	defer ticks.Stop()
	for {
		select {
		case <-b.ctx.Done():
			return
		case <-b.survey.wake:
		case <-ticks.C:
		}
		now := time.Now()
		nodes := b.countNodes()
		window, err := b.streamWindow(now)
		b.survey.nodes.Store(nodes)
		b.survey.window.Store(int64(window))
		if nodes > 0 && err == nil {
			b.survey.at.Store(now.UnixNano())
		}
	}
}

// countNodes is how many servers the cluster has, this one included, as the adapter
// counts those that it puts questions to; 0 while that is not known.
func (b *Broker) countNodes() int64 {
	node := b.survey.asked()
	if node == nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(b.ctx, b.opts.CommandTimeout)
	defer cancel()
	members, err := node.Members(ctx)
	if err != nil {
		return 0 // Health tells why
	}
	return int64(members.Others) + 1
}

// streamWindow is the age of the oldest entry that is kept, in the stream where that
// is youngest; -1 without entries, or while that is not known. An error says that Redis
// could not be asked.
func (b *Broker) streamWindow(now time.Time) (time.Duration, error) {
	if b.opts.Adapter != Streams || b.survey.asked() == nil {
		return -1, nil
	}
	window := time.Duration(-1)
	for _, stream := range cluster.StreamNames(b.opts.StreamName, b.opts.StreamCount) {
		t, err := b.tip(b.ctx, stream)
		if err != nil {
			return -1, err // Health tells why
		}
		if age, ok := t.window(now); ok && (window < 0 || age < window) {
			window = age
		}
	}
	return window, nil
}

// window is how old the oldest entry is, false if there is none. The ids have the
// time of Redis's clock: where that is ahead of this server's, the newest entry
// stands for now.
func (t tip) window(now time.Time) (time.Duration, bool) {
	if t.length == 0 {
		return 0, false
	}
	newest := max(now.UnixMilli(), int64(t.last.Ms))
	return max(0, time.Duration(newest-int64(t.first.Ms))*time.Millisecond), true
}
