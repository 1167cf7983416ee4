package redis

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// press stands in for a lane: it keeps what is pushed until the test answers.
type press struct {
	mu      sync.Mutex
	refuse  error
	pending []pressed
}

type pressed struct {
	build func(rueidis.Builder) rueidis.Completed
	done  func(rueidis.RedisResult)
}

func (p *press) push(_ int, build func(rueidis.Builder) rueidis.Completed, done func(rueidis.RedisResult)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		return p.refuse
	}
	p.pending = append(p.pending, pressed{build, done})
	return nil
}

// next takes the first command that was pushed.
func (p *press) next(t *testing.T) (command []string, done func(rueidis.RedisResult)) {
	t.Helper()
	p.mu.Lock()
	if len(p.pending) == 0 {
		p.mu.Unlock()
		t.Fatal("nothing was pushed")
	}
	first := p.pending[0]
	p.pending = p.pending[1:]
	p.mu.Unlock()
	c := first.build(rueidis.Builder{})
	return c.Commands(), first.done
}

func (p *press) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.pending)
}

var (
	taken  = rueidis.RedisResult{}
	broken = rueidis.NewErrorResult(errors.New("connection lost"))
)

func queueOver(p *press, durable bool, messages, bytes int) *topicQueue {
	keep := func(string) (broker.Retention, bool) { return broker.Retention{Messages: 10}, durable }
	return newTopicQueue(p.push, newTopicCommands(false, keep, 7), 7, messages, bytes)
}

func put(t *testing.T, q *topicQueue, topic, text string) {
	t.Helper()
	if err := q.publish(broker.Message{Topic: topic, Data: []byte(text)}, nil); err != nil {
		t.Fatal(err)
	}
}

// envelope reads a PUBLISH.
func envelope(t *testing.T, command []string) (e plainEnvelope, texts []string) {
	t.Helper()
	if len(command) != 3 || command[0] != "PUBLISH" {
		t.Fatalf("%q", command)
	}
	e, err := parsePlain(command[2])
	if err != nil {
		t.Fatal(err)
	}
	for body := e.body; body != ""; {
		data, _, rest, _ := nextMessage(body)
		texts = append(texts, data)
		body = rest
	}
	return e, texts
}

func TestTopicQueueGathersWhileACommandIsUnderWay(t *testing.T) {
	p := new(press)
	q := queueOver(p, false, 1000, 1<<20)
	put(t, q, "a", "1")
	put(t, q, "a", "2") // the command is not made yet: it goes along
	put(t, q, "b", "other")
	first, done := p.next(t)
	put(t, q, "a", "3")
	put(t, q, "a", "4")
	if _, texts := envelope(t, first); !slices.Equal(texts, []string{"1", "2"}) || first[1] != "wsd:t:a" {
		t.Errorf("%q: %q", first[1], texts)
	}
	other, doneOther := p.next(t)
	if _, texts := envelope(t, other); !slices.Equal(texts, []string{"other"}) || other[1] != "wsd:t:b" {
		t.Errorf("%q: %q", other[1], texts)
	}
	if n := p.count(); n != 0 {
		t.Fatalf("%d commands more before the first is done", n)
	}
	done(taken)
	second, done := p.next(t)
	if e, texts := envelope(t, second); !slices.Equal(texts, []string{"3", "4"}) || e.first != 2 || e.why != 0 {
		t.Errorf("number %d, why %v: %q", e.first, e.why, texts)
	}
	done(taken)
	doneOther(taken)
	q.close()
	if err := q.publish(broker.Message{Topic: "a"}, nil); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("publish after close: %v", err)
	}
}

func TestTopicQueueBoundsBatches(t *testing.T) {
	for _, tt := range []struct {
		name        string
		size, count int
		want        []int // messages of the commands
	}{
		{"small messages", 1, 600, []int{256, 256, 88}},
		{"messages of 20 KiB", 20 << 10, 7, []int{3, 3, 1}},
		{"messages above the bound", 100 << 10, 2, []int{1, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := new(press)
			q := queueOver(p, false, 1000, 1<<20)
			for range tt.count {
				put(t, q, "t", strings.Repeat("x", tt.size))
			}
			var got []int
			for p.count() > 0 {
				command, done := p.next(t)
				e, _ := envelope(t, command)
				got = append(got, e.count)
				done(taken)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
			q.close()
		})
	}
}

func TestTopicQueueOverflows(t *testing.T) {
	for name, q := range map[string]*topicQueue{
		"messages": queueOver(new(press), false, 3, 1<<20),
		"bytes":    queueOver(new(press), false, 1000, 3*(10+messageHeader)),
	} {
		for range 3 {
			put(t, q, "t", "0123456789")
		}
		for range 2 {
			if err := q.publish(broker.Message{Topic: "t", Data: make([]byte, 10)}, nil); !errors.Is(err, broker.ErrOverflow) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := q.lost.Load(); n != 2 {
			t.Errorf("%s: %d lost", name, n)
		}
	}
}

// Subscribers learn from the numbers, and why, what did not reach them.
func TestTopicQueueTellsWhatItLost(t *testing.T) {
	p := new(press)
	q := queueOver(p, false, 4, 1<<20)
	put(t, q, "t", "0")
	_, done := p.next(t)
	done(broken)
	put(t, q, "t", "1")
	command, done := p.next(t)
	if e, _ := envelope(t, command); e.first != 1 || e.why != broker.Reconnected {
		t.Errorf("after a failure: number %d, why %v", e.first, e.why)
	}
	put(t, q, "t", "2")
	done(broken) // "2" was numbered already, and goes next
	command, done = p.next(t)
	if e, texts := envelope(t, command); e.first != 2 || texts[0] != "2" {
		t.Errorf("behind a failure: number %d, %q", e.first, texts)
	}
	for range 3 {
		put(t, q, "u", "x")
	}
	if err := q.publish(broker.Message{Topic: "t"}, nil); !errors.Is(err, broker.ErrOverflow) {
		t.Errorf("publish to a full queue: %v", err)
	}
	done(taken)
	p.next(t) // of u
	p.mu.Lock()
	p.refuse = fmt.Errorf("%w: away", broker.ErrUnavailable)
	p.mu.Unlock()
	if err := q.publish(broker.Message{Topic: "t"}, nil); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("publish without a connection: %v", err)
	}
	p.mu.Lock()
	p.refuse = nil
	p.mu.Unlock()
	put(t, q, "t", "5")
	command, _ = p.next(t)
	if e, _ := envelope(t, command); e.first != 5 || e.why != broker.Overflow {
		t.Errorf("after refusals: number %d, why %v", e.first, e.why)
	}
	if n := q.lost.Load(); n != 4 {
		t.Errorf("%d lost, want 4", n)
	}
}

// A message that was refused in between leaves a hole in the numbers, though the
// command before it is not made yet.
func TestTopicQueueNumbersWhatItRefused(t *testing.T) {
	p := new(press)
	q := queueOver(p, false, 1000, 1<<20)
	put(t, q, "t", "0")
	put(t, q, "t", "1")
	if err := q.refuse(broker.Message{Topic: "t"}, broker.ErrUnavailable); !errors.Is(err, broker.ErrUnavailable) {
		t.Error(err)
	}
	put(t, q, "t", "3")
	var got []string
	for p.count() > 0 {
		command, done := p.next(t)
		e, texts := envelope(t, command)
		got = append(got, fmt.Sprint(e.first, e.why, texts))
		done(taken)
	}
	if want := "[0 unknown [0 1] 3 reconnected [3]]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	q.close()
	if err := q.refuse(broker.Message{Topic: "t"}, broker.ErrUnavailable); !errors.Is(err, broker.ErrClosed) {
		t.Error(err)
	}
}

// What waits behind a command that fails, while the connection is away, fails as
// well: each waiter gets its answer.
func TestTopicQueueAnswersEachWaiter(t *testing.T) {
	p := new(press)
	q := queueOver(p, false, 1000, 1<<20)
	errs := make(chan error, 3)
	for i := range 3 {
		go func() {
			_, err := q.publishWait(context.Background(), broker.Message{Topic: "t", Data: make([]byte, topicBatchBytes)})
			errs <- err
		}()
		testkit.Eventually(t, func() bool {
			q.mu.Lock()
			defer q.mu.Unlock()
			return q.messages == i+1
		}, patience)
	}
	box := q.boxes["t"]
	testkit.Eventually(t, func() bool {
		box.mu.Lock()
		defer box.mu.Unlock()
		return len(box.queue) == 3
	}, patience)
	_, done := p.next(t)
	p.mu.Lock()
	p.refuse = broker.ErrUnavailable
	p.mu.Unlock()
	done(broken)
	unavailable := 0
	for range 3 {
		err := <-errs
		if err == nil {
			t.Error("a lost message was acknowledged")
		}
		if errors.Is(err, broker.ErrUnavailable) {
			unavailable++
		}
	}
	if unavailable != 2 {
		t.Errorf("%d were surely not taken, want 2", unavailable)
	}
	q.close()
	if n := q.lost.Load(); n != 3 {
		t.Errorf("%d lost", n)
	}
}

// A command can fail before it was made, while messages still gather for it.
func TestTopicQueueWhoseCommandsFailEarly(t *testing.T) {
	const n = 500
	p := new(press)
	q := queueOver(p, false, 1000, 1<<20)
	answered := make(chan int)
	for range 2 {
		go func() {
			failed := 0
			for range n {
				if _, err := q.publishWait(t.Context(), broker.Message{Topic: "t"}); err != nil && t.Context().Err() == nil {
					failed++
				}
			}
			answered <- failed
		}()
	}
	failed, senders := 0, 2
	for senders > 0 {
		p.mu.Lock()
		pending := p.pending
		p.pending = nil
		p.mu.Unlock()
		for _, c := range pending {
			c.done(broken)
		}
		select {
		case f := <-answered:
			failed += f
			senders--
		default:
			runtime.Gosched()
		}
	}
	if failed != 2*n || q.lost.Load() != 2*n {
		t.Errorf("%d of %d failed, %d counted", failed, 2*n, q.lost.Load())
	}
	q.close()
}

func TestPublishWaitEndsWithItsContext(t *testing.T) {
	p := new(press)
	q := queueOver(p, false, 1000, 1<<20)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := q.publishWait(ctx, broker.Message{Topic: "t"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	_, done := p.next(t)
	done(taken)
	q.close()
}

func TestIdleTopicsAreForgotten(t *testing.T) {
	p := new(press)
	q := queueOver(p, false, 1000, 1<<20)
	for i := range 2 * idleOutboxes {
		put(t, q, fmt.Sprint("topic ", 2*idleOutboxes-i), "x")
		_, done := p.next(t)
		done(taken)
	}
	if n := len(q.boxes); n > idleOutboxes {
		t.Errorf("%d topics are remembered", n)
	}
	put(t, q, "topic 1", "x")
	command, done := p.next(t)
	if e, _ := envelope(t, command); e.first/outboxNumbers == 0 || e.first%outboxNumbers != 0 {
		t.Errorf("number %d of a topic that was forgotten", e.first)
	}
	done(taken)
	for i := range 4 * idleOutboxes {
		put(t, q, fmt.Sprint("failing ", i), "x")
		_, done := p.next(t)
		done(broken)
	}
	if n := len(q.boxes); n > 2*idleOutboxes {
		t.Errorf("%d topics are remembered", n)
	}
}

// A publication costs next to nothing on the loop that makes it.
func TestPublishAllocates(t *testing.T) {
	data := make([]byte, 100)
	for _, tt := range []struct {
		name   string
		answer bool // each command is answered before the next message
		most   float64
	}{
		{"gathering", false, 0.2},
		{"one by one", true, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := new(press)
			q := queueOver(p, false, 1<<20, 1<<30)
			m := broker.Message{Topic: "t", Data: data}
			n := testing.AllocsPerRun(10_000, func() {
				if err := q.publish(m, nil); err != nil {
					t.Fatal(err)
				}
				if tt.answer {
					first := p.pending[0]
					p.pending = p.pending[:0]
					first.build(rueidis.Builder{})
					first.done(taken)
				}
			})
			if n > tt.most {
				t.Errorf("%.2f allocations a message, at most %.1f", n, tt.most)
			}
		})
	}
}
