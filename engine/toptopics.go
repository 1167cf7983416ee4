package engine

import (
	"iter"
	"maps"

	"github.com/fe4bcecb/wsd/internal/topk"
)

// TopicCount is a topic with the number of its subscribers on this node.
type TopicCount = topk.Item

// TopTopics are the topics with the most subscribers on this node, at most limit of
// them, the largest first. It looks at every topic, some at a time: topics that come
// and go meanwhile may be left out. Safe from any goroutine.
func (a *App) TopTopics(limit int) []TopicCount {
	r := &a.topics
	next, stop := iter.Pull(maps.Values(r.topics))
	defer stop()
	top := topk.List{Limit: limit}
	for r.addTo(&top, next) {
	}
	return top.Items()
}

// addTo adds the next topics. It reports whether there may be more.
func (r *registry) addTo(top *topk.List, next func() (*interest, bool)) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for range walkBatch {
		in, ok := next()
		if !ok {
			return false
		}
		top.Add(in.name, int(in.subscribers.Load()))
	}
	return true
}
