package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
)

// aged is a Memory whose topics keep a minute, and its clock.
func aged(t *testing.T) (*broker.Memory, broker.Node, func(time.Duration)) {
	t.Helper()
	m := &broker.Memory{Durable: func(string) (broker.Retention, bool) {
		return broker.Retention{Age: time.Minute}, true
	}}
	var passed atomic.Int64
	begin := time.Now()
	m.SetClock(func() time.Time { return begin.Add(time.Duration(passed.Load())) })
	n, _ := join(t, m)
	return m, n, func(d time.Duration) { passed.Add(int64(d)) }
}

func history(t *testing.T, n broker.Node, topic, since string) broker.History {
	t.Helper()
	h, err := n.History(context.Background(), topic, since, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestMemoryHistoryAges(t *testing.T) {
	_, n, pass := aged(t)
	publish(t, n, "t", "1")
	first := history(t, n, "t", "").Last
	pass(40 * time.Second)
	publish(t, n, "t", "2")
	second := history(t, n, "t", "").Last
	pass(40 * time.Second)
	if h := history(t, n, "t", ""); len(h.Messages) != 1 || string(h.Messages[0].Data) != "2" || h.Complete {
		t.Errorf("after 80 s: %+v", h)
	}
	if h := history(t, n, "t", first); len(h.Messages) != 1 || !h.Complete {
		t.Errorf("after the aged first, which was seen: %+v", h)
	}
	pass(40 * time.Second)
	if h := history(t, n, "t", second); len(h.Messages) != 0 || !h.Complete || h.Last != second {
		t.Errorf("after the last, when all have aged: %+v", h)
	}
	if h := history(t, n, "t", first); h.Complete {
		t.Errorf("the second was missed and aged, but: %+v", h)
	}
	publish(t, n, "t", "3")
	if h := history(t, n, "t", second); len(h.Messages) != 1 || !h.Complete {
		t.Errorf("after the last that aged: %+v", h)
	}
}

func TestMemoryForgetsTopicsThatAged(t *testing.T) {
	m, n, pass := aged(t)
	for i := range 500 {
		publish(t, n, fmt.Sprint("topic ", i), "x")
		pass(10 * time.Second)
	}
	if logs := m.Logs(); logs > 50 {
		t.Errorf("%d logs", logs)
	}
}

func TestMemoryKeepsItsOwnCopies(t *testing.T) {
	_, n, _ := aged(t)
	data := []byte("before")
	if err := n.Publish(broker.Message{Topic: "t", Data: data}); err != nil {
		t.Fatal(err)
	}
	copy(data, "after!")
	h := history(t, n, "t", "")
	copy(h.Messages[0].Data, "spoilt")
	if got := string(history(t, n, "t", "").Messages[0].Data); got != "before" {
		t.Errorf("history is %q", got)
	}
}

// TestMemoryHistoryIsBounded publishes to more topics than fit: those not used for
// longest lose messages, and who asks for them is told.
func TestMemoryHistoryIsBounded(t *testing.T) {
	m := &broker.Memory{
		MaxHistory: 64 << 10,
		Durable:    func(string) (broker.Retention, bool) { return broker.Retention{Messages: 1000}, true },
	}
	n, err := m.Join(broker.TopicsReceiver{Deliver: func(broker.Message) {}})
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 1<<10)
	kept := func() (bytes int) {
		for i := range 100 {
			h, err := n.History(t.Context(), fmt.Sprint("t", i), "", 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range h.Messages {
				bytes += len(m.Data)
			}
		}
		return bytes
	}
	for i := range 100 {
		for range 4 {
			if err := n.Publish(broker.Message{Topic: fmt.Sprint("t", i), Data: data}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := kept(); got > 64<<10 || got < 16<<10 {
		t.Errorf("%d bytes are kept", got)
	}
	for range 400 { // one topic alone is bounded as well
		if err := n.Publish(broker.Message{Topic: "t0", Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	if got := kept(); got > 64<<10 || got < 16<<10 {
		t.Errorf("%d bytes are kept", got)
	}
	if h, err := n.History(t.Context(), "t0", "0-0", 1); err != nil || h.Complete {
		t.Errorf("%+v, %v: the first message is gone", h, err)
	}
}

// TestMemoryKeepsNoLogOfWhoOnlyAsks asks for the history of topics that nobody
// publishes to.
func TestMemoryKeepsNoLogOfWhoOnlyAsks(t *testing.T) {
	m, n, _ := aged(t)
	for i := range 100 {
		for _, since := range []string{"", "0-0", "1-1"} {
			if h := history(t, n, fmt.Sprint("topic ", i), since); len(h.Messages) > 0 || h.Last != "" || h.Complete != (since != "1-1") {
				t.Errorf("after %q: %+v", since, h)
			}
		}
	}
	if _, err := n.History(t.Context(), "topic", "x", 1); !errors.Is(err, broker.ErrOffset) {
		t.Errorf("a malformed offset: %v", err)
	}
	if logs := m.Logs(); logs > 0 {
		t.Errorf("%d logs", logs)
	}
}

// TestMemoryCountsNames publishes next to nothing to topics with long names.
func TestMemoryCountsNames(t *testing.T) {
	m := &broker.Memory{
		MaxHistory: 64 << 10,
		Durable:    func(string) (broker.Retention, bool) { return broker.Retention{Messages: 1}, true },
	}
	begin, passed := time.Now(), 0
	m.SetClock(func() time.Time { passed++; return begin.Add(time.Duration(passed) * time.Millisecond) })
	n, _ := join(t, m)
	name := strings.Repeat("n", 1<<10)
	for i := range 1000 {
		publish(t, n, fmt.Sprint(name, i), "")
	}
	if logs := m.Logs(); logs > 64 || logs < 16 {
		t.Errorf("%d logs", logs)
	}
}
