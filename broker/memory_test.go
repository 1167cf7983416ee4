package broker_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
)

// inbox collects what a node is given.
type inbox struct {
	mu  sync.Mutex
	got []string
}

func (b *inbox) deliver(m broker.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, m.Topic+":"+string(m.Data))
}

func (b *inbox) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.got
	b.got = nil
	return got
}

func join(t *testing.T, m *broker.Memory) (broker.Node, *inbox) {
	t.Helper()
	b := new(inbox)
	n, err := m.Join(broker.TopicsReceiver{Deliver: b.deliver})
	if err != nil {
		t.Fatal(err)
	}
	return n, b
}

func publish(t *testing.T, n broker.Node, topic, text string) {
	t.Helper()
	if err := n.Publish(broker.Message{Topic: topic, Data: []byte(text)}); err != nil {
		t.Fatal(err)
	}
}

func TestMemoryDeliversToSubscribedNodesOnly(t *testing.T) {
	var m broker.Memory
	a, atA := join(t, &m)
	b, atB := join(t, &m)
	_, atC := join(t, &m)
	a.Subscribe("t")
	b.Subscribe("t")
	b.Subscribe("t")
	publish(t, a, "t", "1")
	publish(t, b, "t", "2")
	publish(t, a, "other", "3")
	b.Unsubscribe("t")
	publish(t, a, "t", "4")
	for _, tt := range []struct {
		name string
		got  []string
		want []string
	}{
		{"the publisher is not given its own", atA.take(), []string{"t:2"}},
		{"a subscriber until it unsubscribes", atB.take(), []string{"t:1"}},
		{"a node without subscriptions", atC.take(), nil},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

func TestMemoryKeepsEachPublishersOrder(t *testing.T) {
	const publishers, messages = 4, 500
	var m broker.Memory
	sub, at := join(t, &m)
	sub.Subscribe("t")
	var wg sync.WaitGroup
	for p := range publishers {
		n, _ := join(t, &m)
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range messages {
				_ = n.Publish(broker.Message{Topic: "t", Data: fmt.Append(nil, p, " ", i)})
			}
		}()
	}
	wg.Wait()
	next := map[int]int{}
	for _, line := range at.take() {
		var p, i int
		if _, err := fmt.Sscanf(line, "t:%d %d", &p, &i); err != nil {
			t.Fatal(err)
		}
		if i != next[p] {
			t.Fatalf("publisher %d: %d after %d", p, i, next[p]-1)
		}
		next[p]++
	}
	for p := range publishers {
		if next[p] != messages {
			t.Errorf("publisher %d: %d of %d messages", p, next[p], messages)
		}
	}
}

func TestMemoryAfterLeaveAndClose(t *testing.T) {
	var m broker.Memory
	a, _ := join(t, &m)
	b, atB := join(t, &m)
	b.Subscribe("t")
	if !b.Health().Up {
		t.Error("a member is not healthy")
	}
	if err := b.Leave(); err != nil {
		t.Fatal(err)
	}
	b.Subscribe("t")
	publish(t, a, "t", "late")
	if got := atB.take(); got != nil {
		t.Errorf("a node that has left was given %v", got)
	}
	if h := b.Health(); h.Up || h.Reason == "" {
		t.Errorf("health after Leave: %+v", h)
	}
	if err := b.Publish(broker.Message{Topic: "t"}); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("Publish after Leave: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Join(broker.TopicsReceiver{Deliver: func(broker.Message) {}}); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("Join after Close: %v", err)
	}
	if err := a.Publish(broker.Message{Topic: "t"}); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("Publish after Close: %v", err)
	}
}
