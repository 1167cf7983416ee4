package redis

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
)

// inboxPatience is how long a reader waits for a node that does not take its
// messages. What it has not taken then is dropped, so that other namespaces get
// theirs.
const inboxPatience = 2 * time.Second

// streamsState is what the nodes of the streams adapter share: the readers of the
// streams, which begin with the first node and end with the Broker. The zero value
// is ready.
type streamsState struct {
	mu      sync.RWMutex
	closed  bool                      // mu
	end     context.CancelFunc        // mu; nil before the first node
	readers map[string]*reader        // mu; by stream
	nodes   map[string][]*streamsNode // mu; by namespace; the slices are never changed

	running sync.WaitGroup
}

// join has a node get the entries of its namespace.
func (s *streamsState) join(n *streamsNode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return broker.ErrClosed
	}
	if s.end == nil {
		s.startLocked(n.b)
	}
	s.nodes[n.namespace] = append(slices.Clip(s.nodes[n.namespace]), n)
	for _, stream := range n.streams {
		n.readers = append(n.readers, s.readers[stream])
	}
	return nil
}

func (s *streamsState) startLocked(b *Broker) {
	ctx, cancel := context.WithCancel(context.Background())
	s.end = cancel
	s.nodes, s.readers = map[string][]*streamsNode{}, map[string]*reader{}
	for _, stream := range cluster.StreamNames(b.opts.StreamName, b.opts.StreamCount) {
		r := newReader(b, stream)
		r.deliver = s.deliver
		r.gap = func(g broker.Gap) { s.gap(r, g) }
		s.readers[stream] = r
		s.running.Go(func() { r.run(ctx) })
	}
	s.running.Go(func() { s.beat(ctx) })
}

// leave takes a node out.
func (s *streamsState) leave(n *streamsNode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	nodes := slices.DeleteFunc(slices.Clone(s.nodes[n.namespace]), func(x *streamsNode) bool { return x == n })
	if len(nodes) == 0 {
		delete(s.nodes, n.namespace)
	} else {
		s.nodes[n.namespace] = nodes
	}
}

// close ends the readers.
func (s *streamsState) close() {
	s.mu.Lock()
	s.closed = true
	if s.end != nil {
		s.end()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// in are the nodes of a namespace.
func (s *streamsState) in(namespace string) []*streamsNode {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.nodes[namespace]
}

// all are the nodes of all namespaces.
func (s *streamsState) all() (nodes []*streamsNode) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, in := range s.nodes {
		nodes = append(nodes, in...)
	}
	return nodes
}

// deliver hands an entry to the nodes of its namespace. Those that nobody here
// has are nobody's business, and nodes are only told where their own are.
func (s *streamsState) deliver(ctx context.Context, id string, e cluster.Entry) {
	nodes := s.in(e.Namespace)
	if len(nodes) == 0 {
		return
	}
	if len(nodes) == 1 && nodes[0].uid == e.UID {
		nodes[0].own.read(id, e)
		return
	}
	m, err := e.Message(id)
	if err != nil {
		nodes[0].skip(err)
	}
	for _, n := range nodes {
		switch {
		case n.uid == e.UID:
			n.own.read(id, e)
		case err == nil:
			n.arrive(ctx, m, e)
		}
	}
}

// gap tells the nodes of a stream what was lost of it.
func (s *streamsState) gap(r *reader, g broker.Gap) {
	b := r.b
	b.count.gap(g.Reason)
	if g.Reason == broker.Trimmed && g.Lost > 0 {
		b.count.lostTrimmed.Add(uint64(g.Lost))
	}
	b.log.Warn("entries of a stream were lost", "stream", r.stream, "reason", g.Reason.String(), "lost", g.Lost)
	for _, n := range s.all() {
		if slices.Contains(n.readers, r) {
			n.inbox.gap(g)
		}
	}
}

// beat has the nodes do what has to be done in time.
func (s *streamsState) beat(ctx context.Context) {
	for pause(ctx, time.Second) {
		now := time.Now()
		for _, n := range s.all() {
			n.bridge.beat(now)
			n.own.overdue(now)
		}
	}
}
