package brokertest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// topicReady has every message come that is published after Ready has returned, first
// and when the topic was released in between.
func topicReady(t *testing.T, process func() broker.Topics) {
	a, b := listen(t, process()), listen(t, process())
	for _, topic := range []string{"t", "durable/t"} {
		if err := a.node.Ready(patient(t), topic); !errors.Is(err, broker.ErrClosed) {
			t.Errorf("Ready of %s, which is not subscribed to: %v", topic, err)
		}
		var want []string
		for i := range 10 {
			a.node.Subscribe(topic)
			if err := a.node.Ready(patient(t), topic); err != nil {
				t.Fatal(err)
			}
			text := fmt.Sprint(i)
			b.wait(t, topic, text)
			want = append(want, text)
			a.await(t, topic, want...)
			a.node.Unsubscribe(topic)
		}
		if err := a.node.Ready(patient(t), topic); !errors.Is(err, broker.ErrClosed) {
			t.Errorf("Ready of %s, which is no longer subscribed to: %v", topic, err)
		}
	}
	a.node.Subscribe("t")
	if err := a.node.Leave(); err != nil {
		t.Fatal(err)
	}
	if err := a.node.Ready(patient(t), "t"); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("Ready after Leave: %v", err)
	}
}

// topicThen has PublishThen tell each message's offset once, in order.
func topicThen(t *testing.T, process func() broker.Topics) {
	const messages = 20
	a := listen(t, process())
	for _, topic := range []string{"t", "durable/t"} {
		var mu sync.Mutex
		var offsets []string
		for i := range messages {
			m := broker.Message{Topic: topic, Data: fmt.Append(nil, i)}
			err := a.node.PublishThen(m, func(offset string, err error) {
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				offsets = append(offsets, offset)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		told := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(offsets)
		}
		testkit.Eventually(t, func() bool { return len(told()) >= messages }, patience)
		want := make([]string, messages) // a plain topic has no offsets
		if a.node.Keeps(topic) {
			h, _ := a.history(t, topic, "0-0", 2*messages)
			want = want[:0]
			for _, m := range h.Messages {
				want = append(want, m.Offset)
			}
		}
		if got := told(); !slices.Equal(got, want) {
			t.Errorf("%s: told %q, want %q", topic, got, want)
		}
	}
	if err := a.node.Leave(); err != nil {
		t.Fatal(err)
	}
	err := a.node.PublishThen(broker.Message{Topic: "t"}, func(string, error) { t.Error("done was called in spite of the error") })
	if !errors.Is(err, broker.ErrClosed) {
		t.Errorf("PublishThen after Leave: %v", err)
	}
}
