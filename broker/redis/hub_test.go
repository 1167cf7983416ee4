package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// ear is a listener that keeps what it hears.
type ear struct {
	mu  sync.Mutex
	got []string
}

func (e *ear) message(channel, payload string) { e.note(channel + ":" + payload) }
func (e *ear) gap(g broker.Gap)                { e.note(fmt.Sprint("gap:", g.Reason, g.Lost)) }

func (e *ear) note(s string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got = append(e.got, s)
}

func (e *ear) heard() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.got)
}

func (e *ear) gaps() (n int) {
	for _, s := range e.heard() {
		if strings.HasPrefix(s, "gap:") {
			n++
		}
	}
	return n
}

// has reports whether it has heard something.
func (e *ear) has(s string) bool { return slices.Contains(e.heard(), s) }

// stands waits until a subscription does.
func stands(t *testing.T, s *subscription) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.wait(ctx); err != nil {
		t.Fatalf("a subscription does not stand: %v", err)
	}
}

func listen(t *testing.T, b *Broker, kind channelKind, name string) (*ear, *subscription) {
	t.Helper()
	e := new(ear)
	s := b.hub.subscribe(kind, name, e)
	stands(t, s)
	return e, s
}

func publishCmd(channel, text string) func(rueidis.Builder) rueidis.Completed {
	return func(b rueidis.Builder) rueidis.Completed {
		return b.Publish().Channel(channel).Message(text).Build()
	}
}

func TestHubDelivers(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), steady)
	atPlain, _ := listen(t, b, plain, "a")
	atPattern, _ := listen(t, b, pattern, "a*")
	atSharded, _ := listen(t, b, sharded, "a")
	l := b.newLane("test")
	for i := range 1000 {
		if err := l.push(10, publishCmd("a", fmt.Sprint(i)), nil); err != nil {
			t.Fatal(err)
		}
	}
	r.Do("SPUBLISH", "a", "s")
	var want []string
	for i := range 1000 {
		want = append(want, fmt.Sprint("a:", i))
	}
	for name, e := range map[string]*ear{"plain": atPlain, "pattern": atPattern} {
		testkit.Eventually(t, func() bool { return len(e.heard()) >= len(want) }, patience)
		if got := e.heard(); !slices.Equal(got, want) {
			t.Errorf("%s: got %d messages, or another order", name, len(got))
		}
	}
	testkit.Eventually(t, func() bool { return slices.Equal(atSharded.heard(), []string{"a:s"}) }, patience)
	if h := b.Health(); !h.Up || h.Lag <= 0 || h.Lost != 0 {
		t.Errorf("health %+v", h)
	}
}

func TestHubAfterKill(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), steady)
	e, s := listen(t, b, plain, "a")
	r.Kill()
	testkit.Eventually(t, func() bool { return !b.Health().Up }, patience)
	r.Start()
	testkit.Eventually(t, func() bool { return b.Health().Up }, patience)
	stands(t, s)
	r.Do("PUBLISH", "a", "1")
	want := []string{"gap:reconnected -1", "a:1"}
	testkit.Eventually(t, func() bool { return len(e.heard()) >= len(want) }, patience)
	if got := e.heard(); !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
}
