package engine

import "github.com/fe4bcecb/wsd/internal/topk"

// TopicCount is a topic with the number of its subscribers on this node.
type TopicCount = topk.Item

// TopTopics are the topics with the most subscribers on this node, at most limit of
// them, the largest first. Unlike FanOut it may have any number of callers. Like that
// it keeps no loop waiting: a topic that comes or goes meanwhile may be missing. Safe
// from any goroutine.
func (a *App) TopTopics(limit int) []TopicCount {
	top := topk.List{Limit: limit}
	for from, more := 0, true; more; from += fanOutStep {
		more = a.topics.walk(from, from+fanOutStep, func(in *interest) {
			top.Add(in.name, int(in.subscribers.Load()))
		})
	}
	return top.Items()
}
