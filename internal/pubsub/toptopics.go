package pubsub

import (
	"iter"
	"maps"

	"github.com/fe4bcecb/wsd/internal/topk"
)

// walkBatch is how many topics are looked at while loops wait that add or remove some.
const walkBatch = 256

// Subscribers is how many clients of this Server are subscribed to a topic.
func (s *Server) Subscribers(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.find(name); t != nil {
		return t.subscribers
	}
	return 0
}

// TopTopics are the topics with the most of this Server's subscribers, at most limit
// of them, the largest first. A topic that comes or goes meanwhile may be missing.
func (s *Server) TopTopics(limit int) []topk.Item {
	next, stop := iter.Pull(maps.Values(s.topics))
	defer stop()
	top := topk.List{Limit: limit}
	for s.addTo(&top, next) {
	}
	return top.Items()
}

// addTo adds the next topics. It reports whether there may be more.
func (s *Server) addTo(top *topk.List, next func() (*topic, bool)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index.RLock()
	defer s.index.RUnlock()
	for range walkBatch {
		t, ok := next()
		if !ok {
			return false
		}
		top.Add(t.name, t.subscribers)
	}
	return true
}

// NumTopics is how many topics the client is subscribed to. Call on the connection's
// loop.
func (c *Client) NumTopics() int { return len(c.subs) }
