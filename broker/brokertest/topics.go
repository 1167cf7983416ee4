package brokertest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// Topics runs the suite of broker.Topics. start begins a broker without nodes
// that ends with the test t, and returns a function that adds a process to it:
// one that joins everything in one process may return the same value each time.
// The topics that Durable tells keep history.
func Topics(t *testing.T, start func(t *testing.T) func() broker.Topics) {
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, process func() broker.Topics)
	}{
		{"a message reaches subscribed nodes and not its sender", topicReaches},
		{"each publisher's order is kept", topicOrder},
		{"payloads arrive whole", topicWhole},
		{"nothing is delivered after Leave", topicLeaves},
		{"topics are apart", topicsApart},
		{"subscriptions come and go", topicChurn},
		{"PublishWait returns when the message is taken", topicWaits},
		{"a plain topic keeps no history", topicForgets},
		{"messages of a durable topic carry their offset", topicOffsets},
		{"history after an offset", topicHistory},
		{"history that was trimmed", topicTrims},
		{"history is bounded in bytes", topicHistoryBytes},
		{"offsets of elsewhere", topicForeign},
		{"a node gets its own where it wants them", topicOwn},
		{"Ready returns when a subscription stands", topicReady},
		{"PublishThen tells the offsets in order", topicThen},
		{"everything at once", topicRace},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, start(t)) })
	}
}

// listener is a node of Topics that keeps what it is given.
type listener struct {
	node broker.Node

	mu   sync.Mutex
	got  []broker.Message
	gaps []string
}

func listen(t *testing.T, b broker.Topics) *listener {
	t.Helper()
	l := new(listener)
	l.join(t, b, broker.TopicsReceiver{Deliver: l.keep})
	return l
}

// join has the listener be a node, which keeps the gaps, and does with messages what r
// says.
func (l *listener) join(t *testing.T, b broker.Topics, r broker.TopicsReceiver) {
	t.Helper()
	r.Gap = l.keepGap
	node, err := b.Join(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = node.Leave()
		if len(l.gaps) > 0 {
			t.Errorf("told of gaps where nothing was lost: %q", l.gaps)
		}
	})
	l.node = node
}

func (l *listener) keep(m broker.Message) {
	m.Data = bytes.Clone(m.Data)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, m)
}

func (l *listener) keepGap(topic string, g broker.Gap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gaps = append(l.gaps, fmt.Sprintf("%s: %v, lost %d", topic, g.Reason, g.Lost))
}

// texts are the payloads of a topic that came so far.
func (l *listener) texts(topic string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var texts []string
	for _, m := range l.got {
		if m.Topic == topic && string(m.Data) != probe {
			texts = append(texts, string(m.Data))
		}
	}
	return texts
}

// probe is the payload of messages that only tell that a subscription stands.
const probe = "\x00probe"

// subscribe returns when what from publishes arrives, by this subscription.
func (l *listener) subscribe(t *testing.T, topic string, from *listener) {
	t.Helper()
	before := l.count(topic)
	l.node.Subscribe(topic)
	testkit.Eventually(t, func() bool {
		from.publish(t, topic, probe)
		return l.count(topic) > before
	}, patience)
}

// count is how many messages of a topic came so far.
func (l *listener) count(topic string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.got {
		if m.Topic == topic {
			n++
		}
	}
	return n
}

func (l *listener) publish(t *testing.T, topic, text string) {
	t.Helper()
	if err := l.node.Publish(broker.Message{Topic: topic, Data: []byte(text)}); err != nil {
		t.Fatal(err)
	}
}

// await waits until the payloads of a topic are these.
func (l *listener) await(t *testing.T, topic string, want ...string) {
	t.Helper()
	testkit.Eventually(t, func() bool { return len(l.texts(topic)) >= len(want) }, patience)
	if got := l.texts(topic); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func topicReaches(t *testing.T, process func() broker.Topics) {
	a, b, c := listen(t, process()), listen(t, process()), listen(t, process())
	a.subscribe(t, "t", b)
	b.subscribe(t, "t", a)
	c.subscribe(t, "other", a)
	b.node.Subscribe("t") // again
	a.publish(t, "t", "1")
	b.await(t, "t", "1")
	b.publish(t, "t", "2")
	a.await(t, "t", "2")
	a.publish(t, "other", "3")
	c.await(t, "other", "3")
	if got := slices.Concat(c.texts("t"), a.texts("other"), b.texts("other")); len(got) > 0 {
		t.Errorf("%q came where nobody subscribed", got)
	}
}

func topicOrder(t *testing.T, process func() broker.Topics) {
	const publishers, messages = 3, 300
	l := listen(t, process())
	var all []*listener
	for range publishers {
		all = append(all, listen(t, process()))
	}
	l.subscribe(t, "t", all[0])
	var wg sync.WaitGroup
	for p, from := range all {
		wg.Go(func() {
			for i := range messages {
				if err := from.node.Publish(broker.Message{Topic: "t", Data: fmt.Append(nil, p, " ", i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	testkit.Eventually(t, func() bool { return len(l.texts("t")) >= publishers*messages }, patience)
	next := map[int]int{}
	for _, line := range l.texts("t") {
		var p, i int
		if _, err := fmt.Sscanf(line, "%d %d", &p, &i); err != nil {
			t.Fatal(err)
		}
		if i != next[p] {
			t.Fatalf("publisher %d: %d in place of %d", p, i, next[p])
		}
		next[p]++
	}
}

func topicWhole(t *testing.T, process func() broker.Topics) {
	a, b := listen(t, process()), listen(t, process())
	const topic = "a/é {#} *"
	b.subscribe(t, topic, a)
	want := []broker.Message{
		{Topic: topic, Data: []byte("text é")},
		{Topic: topic, Data: []byte{}},
		{Topic: topic, Data: []byte{0, 0xff, '\n'}, Binary: true},
		{Topic: topic, Data: []byte{}, Binary: true},
		{Topic: topic, Data: []byte(strings.Repeat("x", 100_000))},
	}
	for _, m := range want {
		if err := a.node.Publish(m); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, func() bool { return len(b.texts(topic)) >= len(want) }, patience)
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, got := range b.got[len(b.got)-len(want):] {
		if got.Topic != topic || !bytes.Equal(got.Data, want[i].Data) || got.Binary != want[i].Binary {
			t.Errorf("message %d: %d bytes, binary %v", i, len(got.Data), got.Binary)
		}
	}
}

func topicLeaves(t *testing.T, process func() broker.Topics) {
	a, b, c := listen(t, process()), listen(t, process()), listen(t, process())
	a.subscribe(t, "t", b)
	b.subscribe(t, "t", a)
	c.subscribe(t, "t", a)
	testkit.Eventually(t, func() bool { return b.node.Health().Up }, patience)
	if err := b.node.Leave(); err != nil {
		t.Fatal(err)
	}
	before := b.texts("t")
	a.publish(t, "t", "late")
	c.await(t, "t", "late")
	c.publish(t, "t", "fence")
	a.await(t, "t", "fence")
	if got := b.texts("t"); !slices.Equal(got, before) {
		t.Errorf("a node that has left was given %q", got)
	}
	if err := b.node.Publish(broker.Message{Topic: "t"}); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("Publish after Leave: %v", err)
	}
	if h := b.node.Health(); h.Up || h.Reason == "" {
		t.Errorf("health after Leave: %+v", h)
	}
}
