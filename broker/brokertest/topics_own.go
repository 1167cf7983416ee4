package brokertest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// ownListener is a listener that wants its own messages, too: they are among those
// that it was given, and in own.
type ownListener struct {
	listener
	own map[place]bool // mu
}

// place is a message's. Offsets alone name none: two topics may have the same.
type place struct{ topic, offset string }

func listenOwn(t *testing.T, b broker.Topics) *ownListener {
	t.Helper()
	l := &ownListener{own: map[place]bool{}}
	l.join(t, b, broker.TopicsReceiver{Deliver: l.keep, Own: l.keepOwn})
	return l
}

func (l *ownListener) keepOwn(m broker.Message) {
	l.mu.Lock()
	l.own[place{m.Topic, m.Offset}] = true
	l.mu.Unlock()
	l.keep(m)
}

// subscribeReady subscribes to topics and waits until that stands, without probes: a
// log keeps only so many messages.
func (l *listener) subscribeReady(t *testing.T, topics ...string) {
	t.Helper()
	for _, topic := range topics {
		l.node.Subscribe(topic)
		if err := l.node.Ready(patient(t), topic); err != nil {
			t.Fatal(err)
		}
	}
}

// offsets are those of a topic's messages that came so far.
func (l *ownListener) offsets(topic string) (all, own []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.got {
		if m.Topic != topic {
			continue
		}
		all = append(all, m.Offset)
		if l.own[place{topic, m.Offset}] {
			own = append(own, m.Offset)
		}
	}
	return all, own
}

// topicOwn has nodes publish at once to topics that keep history, of many slots: each
// gets everything in the order of the log, its own as such and none of another's.
func topicOwn(t *testing.T, process func() broker.Topics) {
	const nodes, each = 3, 30 // all together fewer than are kept
	topics := []string{"durable/0", "durable/1", "durable/2", "durable/3", "durable/4"}
	var all []*ownListener
	for range nodes {
		l := listenOwn(t, process())
		l.subscribeReady(t, append(topics, "t")...)
		all = append(all, l)
	}
	bystander := listen(t, process()) // wants none of its own, and is given none
	bystander.subscribeReady(t, topics...)
	for _, topic := range topics {
		bystander.wait(t, topic, "bystander's")
	}
	published := make([]map[string][]string, nodes) // offsets, by topic
	var wg sync.WaitGroup
	for i, l := range all {
		wg.Go(func() {
			published[i] = publishOwn(t, l, topics, each)
		})
	}
	wg.Wait()
	for _, topic := range topics {
		h, texts := all[0].history(t, topic, "0-0", 10*nodes*each)
		var log []string
		for _, m := range h.Messages {
			log = append(log, m.Offset)
		}
		for i, l := range all {
			testkit.Eventually(t, func() bool {
				got, _ := l.offsets(topic)
				return len(got) >= len(log)
			}, patience)
			got, own := l.offsets(topic)
			if !slices.Equal(got, log) {
				t.Errorf("node %d got of %s\n%q, and the log has\n%q", i, topic, got, log)
			}
			if !slices.Equal(own, published[i][topic]) {
				t.Errorf("node %d: own of %s\n%q, published\n%q", i, topic, own, published[i][topic])
			}
		}
		testkit.Eventually(t, func() bool { return slices.Equal(bystander.texts(topic), without(texts, "bystander's")) }, patience)
	}
	for i, l := range all {
		testkit.Eventually(t, func() bool { return l.count("t") >= (nodes-1)*each }, patience)
		if got, own := l.offsets("t"); len(own) > 0 || len(got) != (nodes-1)*each {
			t.Errorf("node %d was given %d messages of its own of a topic that keeps no history, %d in all", i, len(own), len(got))
		}
	}
}

// publishOwn publishes to topics in turn, and returns the offsets.
func publishOwn(t *testing.T, l *ownListener, topics []string, each int) (published map[string][]string) {
	var mu sync.Mutex
	published = map[string][]string{}
	var answers sync.WaitGroup
	for k := range each {
		for _, topic := range topics {
			answers.Add(1)
			if err := l.node.PublishThen(broker.Message{Topic: topic, Data: fmt.Append(nil, k)}, func(offset string, err error) {
				defer answers.Done()
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				published[topic] = append(published[topic], offset)
			}); err != nil {
				t.Error(err)
				answers.Done()
			}
		}
		if err := l.node.Publish(broker.Message{Topic: "t", Data: fmt.Append(nil, k)}); err != nil {
			t.Error(err)
		}
	}
	answers.Wait()
	mu.Lock()
	defer mu.Unlock()
	return published
}

func without(texts []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return s == one })
}
