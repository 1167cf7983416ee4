package brokertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// durableMessages is how many messages a durable topic of the suite keeps.
const durableMessages = 100

// raceTopic is a durable topic that nothing is trimmed from.
const raceTopic = "durable/race"

// Durable says which topics of the suite keep history: those below "durable/".
func Durable(topic string) (broker.Retention, bool) {
	if topic == raceTopic {
		return broker.Retention{Messages: 100 * durableMessages}, true
	}
	return broker.Retention{Messages: durableMessages}, strings.HasPrefix(topic, "durable/")
}

// patient is a context that lasts as long as the suite waits.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// wait publishes and returns the offset.
func (l *listener) wait(t *testing.T, topic, text string) (offset string) {
	t.Helper()
	offset, err := l.node.PublishWait(patient(t), broker.Message{Topic: topic, Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return offset
}

// history asks for a part of a topic's log and returns it with the payloads,
// without probes.
func (l *listener) history(t *testing.T, topic, since string, limit int) (broker.History, []string) {
	t.Helper()
	h, err := l.node.History(patient(t), topic, since, limit)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, m := range h.Messages {
		if m.Topic != topic || m.Offset == "" {
			t.Errorf("history of %q: a message of %q with offset %q", topic, m.Topic, m.Offset)
		}
		if string(m.Data) != probe {
			texts = append(texts, string(m.Data))
		}
	}
	return h, texts
}

func topicsApart(t *testing.T, process func() broker.Topics) {
	a, b := listen(t, process()), listen(t, process())
	topics := []string{"t", "t2", "durable/t", "durable/t2"}
	for _, topic := range topics {
		a.subscribe(t, topic, b)
		b.subscribe(t, topic, a)
	}
	for i, topic := range topics {
		for range 2 {
			a.publish(t, topic, fmt.Sprint("a", i))
		}
		b.publish(t, topic, fmt.Sprint("b", i))
	}
	for i, topic := range topics {
		b.await(t, topic, fmt.Sprint("a", i), fmt.Sprint("a", i))
		a.await(t, topic, fmt.Sprint("b", i)) // and none of its own
	}
}

func topicChurn(t *testing.T, process func() broker.Topics) {
	a, b := listen(t, process()), listen(t, process())
	for _, topic := range []string{"t", "durable/t"} {
		a.node.Unsubscribe(topic) // was never subscribed
		for range 50 {
			a.node.Subscribe(topic)
			a.node.Unsubscribe(topic)
			a.node.Subscribe(topic)
		}
		a.subscribe(t, topic, b)
		b.publish(t, topic, "1")
		a.await(t, topic, "1")
		a.node.Unsubscribe(topic)
		a.subscribe(t, topic, b)
		b.publish(t, topic, "2")
		a.await(t, topic, "1", "2")
	}
}

func topicWaits(t *testing.T, process func() broker.Topics) {
	a, b := listen(t, process()), listen(t, process())
	b.subscribe(t, "t", a)
	if offset := a.wait(t, "t", "1"); offset != "" {
		t.Errorf("offset %q of a topic without history", offset)
	}
	a.publish(t, "t", "2")
	a.wait(t, "t", "3")
	b.await(t, "t", "1", "2", "3")
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := a.node.PublishWait(ended, broker.Message{Topic: "t"}); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("PublishWait with an ended context: %v", err)
	}
	if err := a.node.Leave(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.node.PublishWait(patient(t), broker.Message{Topic: "t"}); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("PublishWait after Leave: %v", err)
	}
	if _, err := a.node.History(patient(t), "durable/t", "", 1); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("History after Leave: %v", err)
	}
}

func topicForgets(t *testing.T, process func() broker.Topics) {
	a := listen(t, process())
	a.wait(t, "t", "1")
	if _, err := a.node.History(patient(t), "t", "", 10); !errors.Is(err, broker.ErrNoHistory) {
		t.Errorf("history of a plain topic: %v", err)
	}
	if h, texts := a.history(t, "durable/empty", "", 10); len(texts) > 0 || h.Last != "" || h.More || !h.Complete {
		t.Errorf("history of an unused topic: %+v", h)
	}
}

func topicOffsets(t *testing.T, process func() broker.Topics) {
	a, b := listen(t, process()), listen(t, process())
	const topic = "durable/t"
	b.subscribe(t, topic, a)
	first := a.wait(t, topic, "1")
	a.publish(t, topic, "2")
	third := a.wait(t, topic, "3")
	b.await(t, topic, "1", "2", "3")
	b.mu.Lock()
	got := b.got[len(b.got)-3:]
	b.mu.Unlock()
	if got[0].Offset != first || got[2].Offset != third || got[1].Offset == "" || first == third {
		t.Errorf("offsets %q, %q and %q, published at %q and %q", got[0].Offset, got[1].Offset, got[2].Offset, first, third)
	}
	h, _ := b.history(t, topic, first, 10)
	if len(h.Messages) != 2 || h.Messages[0].Offset != got[1].Offset || h.Messages[1].Offset != third {
		t.Errorf("history after %q: %+v", first, h.Messages)
	}
}

func topicHistory(t *testing.T, process func() broker.Topics) {
	a, b := listen(t, process()), listen(t, process())
	const topic = "durable/t"
	var offsets []string
	for i := range 5 {
		from := a
		if i%2 == 1 {
			from = b
		}
		offsets = append(offsets, from.wait(t, topic, fmt.Sprint(i)))
	}
	for _, tt := range []struct {
		name           string
		since          string
		limit          int
		want           string
		complete, more bool
	}{
		{"all", "", 10, "[0 1 2 3 4]", true, false},
		{"exactly all", "", 5, "[0 1 2 3 4]", true, false},
		{"the newest", "", 2, "[3 4]", false, false},
		{"after the second", offsets[1], 10, "[2 3 4]", true, false},
		{"the oldest two after the first", offsets[0], 2, "[1 2]", true, true},
		{"after the last", offsets[4], 10, "[]", true, false},
		{"none of some", offsets[2], 0, "[]", true, true},
	} {
		h, texts := a.history(t, topic, tt.since, tt.limit)
		if fmt.Sprint(texts) != tt.want || h.Complete != tt.complete || h.More != tt.more || h.Last != offsets[4] {
			t.Errorf("%s: %v, complete %v, more %v, last %q of %q", tt.name, texts, h.Complete, h.More, h.Last, offsets)
		}
	}
	binary := broker.Message{Topic: topic, Data: []byte{0, 0xff}, Binary: true}
	if _, err := a.node.PublishWait(patient(t), binary); err != nil {
		t.Fatal(err)
	}
	h, _ := b.history(t, topic, offsets[4], 10)
	if len(h.Messages) != 1 || !h.Messages[0].Binary || string(h.Messages[0].Data) != "\x00\xff" {
		t.Errorf("a binary message came back as %+v", h.Messages)
	}
}

func topicHistoryBytes(t *testing.T, process func() broker.Topics) {
	const topic, limit = "durable/t", 100
	a := listen(t, process())
	var want []string
	for i := range 20 {
		size := broker.HistoryBytes / 7
		switch {
		case i < 5:
			size = 10
		case i == 10:
			size = broker.HistoryBytes + 1
		}
		text := strings.Repeat(string(rune('a'+i)), size)
		a.wait(t, topic, text)
		want = append(want, text)
	}
	var got []string
	for since, more := "0-0", true; more; {
		h, texts := a.history(t, topic, since, limit)
		if n := len(strings.Join(texts, "")); len(texts) == 0 || len(texts) > 1 && n > broker.HistoryBytes || !h.Complete {
			t.Fatalf("after %s: %d messages, %d bytes, complete %v", since, len(texts), n, h.Complete)
		}
		got = append(got, texts...)
		since, more = h.Messages[len(h.Messages)-1].Offset, h.More
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %.40q", got)
	}
	h, texts := a.history(t, topic, "", limit)
	if len(texts) < 2 || !slices.Equal(texts, want[20-len(texts):]) || len(strings.Join(texts, "")) > broker.HistoryBytes || h.Complete || h.More {
		t.Errorf("the newest: %d, complete %v, more %v", len(texts), h.Complete, h.More)
	}
	a.wait(t, topic, want[10])
	if _, texts := a.history(t, topic, "", limit); len(texts) != 1 || texts[0] != want[10] {
		t.Errorf("the newest, which is too long: %d messages", len(texts))
	}
}

func topicTrims(t *testing.T, process func() broker.Topics) {
	a := listen(t, process())
	const topic, published = "durable/t", 5 * durableMessages
	first := a.wait(t, topic, "first")
	for i := range published - 2 {
		a.publish(t, topic, fmt.Sprint(i))
	}
	last := a.wait(t, topic, "last")
	h, _ := a.history(t, topic, first, 2*published)
	n := len(h.Messages)
	if h.Complete || h.More || h.Last != last || n < durableMessages || n > published/2 || string(h.Messages[n-1].Data) != "last" {
		t.Fatalf("%d messages, complete %v, more %v, last %q, want %q", n, h.Complete, h.More, h.Last, last)
	}
	if h, _ := a.history(t, topic, "", 2*published); h.Complete || len(h.Messages) != n {
		t.Errorf("from the beginning: %d messages, complete %v", len(h.Messages), h.Complete)
	}
	if h, _ := a.history(t, topic, h.Messages[0].Offset, 2*published); !h.Complete || len(h.Messages) != n-1 {
		t.Errorf("after the first that is kept: %d messages of %d, complete %v", len(h.Messages), n, h.Complete)
	}
}

func topicForeign(t *testing.T, process func() broker.Topics) {
	a := listen(t, process())
	const topic = "durable/t"
	a.wait(t, topic, "1")
	a.wait(t, topic, "2")
	for _, since := range []string{"x", "1", "-", "1-", "-1", "1-2-3", "1-x", " 1-1", "-1-1", "99999999999999999999999-0", strings.Repeat("1", 1000)} {
		if _, err := a.node.History(patient(t), topic, since, 10); !errors.Is(err, broker.ErrOffset) {
			t.Errorf("history after %.20q: %v", since, err)
		}
	}
	for _, since := range []string{"1-1", "9999999999999-1"} {
		if h, texts := a.history(t, topic, since, 10); h.Complete || !slices.Equal(texts, []string{"1", "2"}) {
			t.Errorf("after an offset of elsewhere, %s: %q, complete %v", since, texts, h.Complete)
		}
	}
}

func topicRace(t *testing.T, process func() broker.Topics) {
	const workers, rounds = 4, 50
	b := process()
	sink := listen(t, process())
	sink.subscribe(t, raceTopic, listen(t, process()))
	var wg sync.WaitGroup
	for w := range workers {
		l := listen(t, b)
		wg.Go(func() {
			for i := range rounds {
				for _, topic := range []string{"t", raceTopic} {
					l.node.Subscribe(topic)
					if err := l.node.Publish(broker.Message{Topic: topic, Data: fmt.Append(nil, w, " ", i)}); err != nil {
						t.Error(err)
					}
					if i%10 == 0 {
						if _, err := l.node.PublishWait(patient(t), broker.Message{Topic: topic, Data: []byte(probe)}); err != nil {
							t.Error(err)
						}
						if _, err := l.node.History(patient(t), raceTopic, "", 10); err != nil {
							t.Error(err)
						}
						l.node.Health()
					}
					l.node.Unsubscribe(topic)
				}
			}
			if err := l.node.Leave(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	testkit.Eventually(t, func() bool { return len(sink.texts(raceTopic)) >= workers*rounds }, patience)
}
