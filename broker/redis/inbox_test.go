package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// drawer keeps what an inbox hands over. With a gate it takes one for each value
// that is sent there.
type drawer struct {
	gate chan struct{}

	mu    sync.Mutex
	lines []string
}

func (d *drawer) receiver() broker.ClusterReceiver {
	return broker.ClusterReceiver{
		Deliver: func(m *cluster.Message) { d.add(m.RequestID) },
		Gap:     func(g broker.Gap) { d.add(fmt.Sprint(g.Reason, " ", g.Lost)) },
	}
}

func (d *drawer) add(line string) {
	if d.gate != nil {
		<-d.gate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *drawer) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

// echo opens a payload as a message that names it; "bad" is none.
func echo(_, payload string) *cluster.Message {
	if payload == "bad" {
		return nil
	}
	return &cluster.Message{RequestID: payload}
}

func TestInbox(t *testing.T) {
	const room = redis.ParcelSize + 1
	lost := func(n int64) broker.Gap { return broker.Gap{Reason: broker.Reconnected, Lost: n} }
	for _, tt := range []struct {
		name            string
		messages, bytes int
		fill            func(redis.Inbox) // after one message was taken off and waits for Deliver
		want            []string
		lost, gaps      uint64
	}{
		{"in order, and what is nothing left out", 10, 10_000, func(in redis.Inbox) {
			in.Message("", "a")
			in.Message("", "bad")
			in.Put(&cluster.Message{RequestID: "b"})
			in.Message("", "c")
		}, []string{"a", "b", "c"}, 0, 0},
		{"too many", 2, 10_000, func(in redis.Inbox) {
			for _, p := range []string{"a", "b", "c", "d"} {
				in.Message("", p)
			}
		}, []string{"a", "b", "overflow 2"}, 2, 1},
		{"too large together", 10, 2 * room, func(in redis.Inbox) {
			for _, p := range []string{"a", "b", "c"} {
				in.Message("", p)
			}
		}, []string{"a", "b", "overflow 1"}, 1, 1},
		{"a small one fits where a large one did not", 10, 3 * room, func(in redis.Inbox) {
			in.Message("", "a")
			in.Message("", strings.Repeat("x", 3*room))
			in.Message("", "b")
		}, []string{"a", "overflow 1", "b"}, 1, 1},
		{"one alone may be larger than all", 10, 10, func(in redis.Inbox) {
			in.Message("", strings.Repeat("x", 100))
		}, []string{strings.Repeat("x", 100)}, 0, 0},
		{"gaps stay in place", 10, 10_000, func(in redis.Inbox) {
			in.Gap(lost(-1))
			in.Message("", "a")
			in.Gap(lost(2))
			in.Gap(lost(3))
			in.Message("", "b")
			in.Gap(lost(2))
			in.Gap(lost(-1))
		}, []string{"reconnected -1", "a", "reconnected 5", "b", "reconnected -1"}, 0, 3},
		{"gaps of two reasons are two", 1, 10_000, func(in redis.Inbox) {
			in.Message("", "a")
			in.Message("", "b")
			in.Gap(lost(1))
			in.Message("", "c")
			in.Gap(lost(1))
		}, []string{"a", "overflow 2", "reconnected 2"}, 2, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &drawer{}
			opened, hold := make(chan struct{}), make(chan struct{})
			in := redis.NewInbox(tt.messages, tt.bytes, d.receiver(), func(channel, payload string) *cluster.Message {
				if payload == "first" {
					close(opened)
					<-hold
				}
				return echo(channel, payload)
			})
			in.Message("", "first")
			<-opened
			tt.fill(in)
			close(hold)
			want := append([]string{"first"}, tt.want...)
			testkit.Eventually(t, func() bool { return len(d.all()) >= len(want) && in.Idle() }, 5*time.Second)
			if got := d.all(); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			if lost, gaps := in.Counts(); lost != tt.lost || gaps != tt.gaps {
				t.Errorf("%d lost, %d gaps; want %d, %d", lost, gaps, tt.lost, tt.gaps)
			}
		})
	}
}

func TestInboxClose(t *testing.T) {
	d := &drawer{gate: make(chan struct{})}
	in := redis.NewInbox(10, 10_000, d.receiver(), echo)
	in.Message("", "a")
	in.Message("", "b")
	d.gate <- struct{}{} // Deliver of a is under way
	in.Close()
	in.Close()
	if in.Put(&cluster.Message{}) {
		t.Error("a closed inbox took a message")
	}
	in.Gap(broker.Gap{Reason: broker.Trimmed})
	close(d.gate)
	testkit.Eventually(t, in.Idle, 5*time.Second)
	if got := d.all(); !slices.Equal(got, []string{"a"}) && !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %q", got)
	}
}

// TestInboxAtOnce is for the race detector: nothing is lost unless it is told.
func TestInboxAtOnce(t *testing.T) {
	const senders, messages = 4, 500
	var got, lost int64 // of the inbox's goroutine
	in := redis.NewInbox(50, 1<<20, broker.ClusterReceiver{
		Deliver: func(*cluster.Message) { got++ },
		Gap:     func(g broker.Gap) { lost += g.Lost },
	}, echo)
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for range messages {
				in.Message("c", "x")
			}
		})
	}
	wg.Wait()
	testkit.Eventually(t, in.Idle, 5*time.Second)
	if got+lost != senders*messages {
		t.Errorf("%d delivered and %d lost, of %d", got, lost, senders*messages)
	}
}
