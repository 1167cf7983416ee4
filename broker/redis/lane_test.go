package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// results collects what done was given.
type results struct {
	mu   sync.Mutex
	errs []error
}

func (r *results) done(res rueidis.RedisResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, res.Error())
}

func (r *results) all() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.errs)
}

func rpush(key, value string) func(rueidis.Builder) rueidis.Completed {
	return func(b rueidis.Builder) rueidis.Completed { return b.Rpush().Key(key).Element(value).Build() }
}

func TestLaneKeepsOrder(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), steady)
	l := b.newLane("test")
	const n = 5000
	var mu sync.Mutex
	var order []int64
	for i := range n {
		err := l.push(10, rpush("list", fmt.Sprint(i)), func(r rueidis.RedisResult) {
			length, _ := r.AsInt64()
			mu.Lock()
			defer mu.Unlock()
			order = append(order, length)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	l.close(t.Context())
	for i, v := range r.Do("LRANGE", "list", "0", "-1").([]any) {
		if v != fmt.Sprint(i) {
			t.Fatalf("element %d is %v", i, v)
		}
	}
	if len(order) != n || !slices.IsSorted(order) {
		t.Errorf("%d calls of done, in order: %v", len(order), slices.IsSorted(order))
	}
	if err := l.push(1, rpush("list", "late"), nil); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("push after close: %v", err)
	}
}

func TestLaneBounds(t *testing.T) {
	for _, tt := range []struct {
		name            string
		messages, bytes int
		size, want      int
	}{
		{"messages", 10, 1 << 20, 1, 10},
		{"bytes", 1000, 100, 30, 3},
		{"one above the limit goes alone", 1000, 100, 500, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := testkit.StartRedis(t)
			b := openBroker(t, r.URL(), func(o *Options) { o.QueueMessages, o.QueueBytes = tt.messages, tt.bytes })
			l := b.newLane("test")
			entered, leave := make(chan struct{}), make(chan struct{})
			hold := func(b rueidis.Builder) rueidis.Completed { // keeps the lane from sending
				close(entered)
				<-leave
				return b.Ping().Build()
			}
			if err := l.push(0, hold, nil); err != nil {
				t.Fatal(err)
			}
			<-entered
			taken := 1 // that one still has its place
			if tt.bytes < 1000 {
				taken = 0
			}
			for ; taken < 100; taken++ {
				if err := l.push(tt.size, rpush("list", "x"), nil); err != nil {
					if !errors.Is(err, broker.ErrOverflow) {
						t.Fatal(err)
					}
					break
				}
			}
			close(leave)
			if tt.size == 500 {
				tt.want = 0 // not while another one waits
			}
			if taken != tt.want {
				t.Errorf("%d were taken, want %d", taken, tt.want)
			}
			if s := b.Stats(); s.SendErrors.Overflow != 1 || b.Health().Lost != 1 {
				t.Errorf("stats %+v", s.SendErrors)
			}
			testkit.Eventually(t, func() bool { return l.stats().Messages == 0 && l.stats().Bytes == 0 }, patience)
			if err := l.push(tt.size, rpush("list", "y"), nil); err != nil {
				t.Errorf("after the queue was emptied: %v", err)
			}
		})
	}
}

// TestLaneTellsWhatIsKnown stops the server while a batch is under way: of that
// nothing is known, but what waits behind it was surely not taken.
func TestLaneTellsWhatIsKnown(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), fast)
	l := b.newLane("test")
	r.Stop()
	var got results
	entered, leave := make(chan struct{}), make(chan struct{})
	push := func(build func(rueidis.Builder) rueidis.Completed) {
		t.Helper()
		if err := l.push(1, build, got.done); err != nil {
			t.Fatal(err)
		}
	}
	push(func(b rueidis.Builder) rueidis.Completed {
		close(entered)
		<-leave
		return b.Rpush().Key("list").Element("0").Build()
	})
	<-entered
	push(rpush("list", "1"))
	push(rpush("list", "2"))
	close(leave)
	testkit.Eventually(t, func() bool { return len(got.all()) == 3 }, patience)
	errs := got.all()
	if errs[0] == nil || errors.Is(errs[0], broker.ErrUnavailable) {
		t.Errorf("the one under way: %v, want one that leaves open whether it was taken", errs[0])
	}
	for i := 1; i < 3; i++ {
		if !errors.Is(errs[i], broker.ErrUnavailable) {
			t.Errorf("the one that waited: %v, want %v", errs[i], broker.ErrUnavailable)
		}
	}
	if err := l.push(1, rpush("list", "3"), got.done); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("push while the server is away: %v", err)
	}
	if s := b.Stats(); s.SendErrors.Unknown != 1 || s.SendErrors.Unavailable != 3 {
		t.Errorf("stats %+v", s.SendErrors)
	}
	r.Cont()
	testkit.Eventually(t, func() bool { return l.push(1, rpush("list", "4"), nil) == nil }, patience)
	l.close(t.Context())
	for _, v := range r.Do("LRANGE", "list", "0", "-1").([]any) {
		if v != "0" && v != "4" {
			t.Errorf("taken in spite of the error: %v", v)
		}
	}
}

func TestLaneAfterRefusal(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), nil)
	r.Do("SET", "string", "x")
	l := b.newLane("test")
	var got results
	if err := l.push(1, rpush("string", "1"), got.done); err != nil {
		t.Fatal(err)
	}
	if err := l.push(1, rpush("list", "1"), got.done); err != nil {
		t.Fatal(err)
	}
	l.close(t.Context())
	var refused *rueidis.RedisError
	if errs := got.all(); len(errs) != 2 || !errors.As(errs[0], &refused) || errs[1] != nil {
		t.Errorf("got %v, want the server's error and none", errs)
	}
	if s := b.Stats(); s.SendErrors.Refused != 1 {
		t.Errorf("stats %+v", s.SendErrors)
	}
}

// TestLaneCloseIsBounded closes a lane whose server does not answer.
func TestLaneCloseIsBounded(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), nil)
	l := b.newLane("test")
	r.Stop()
	defer r.Cont()
	var got results
	for range 3 {
		if err := l.push(1, rpush("list", "1"), got.done); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	l.close(ctx)
	if errs := got.all(); len(errs) != 3 || slices.Contains(errs, nil) {
		t.Errorf("got %v, want three errors", errs)
	}
}

// TestLaneAllocations bounds what a push costs beyond the closures of the caller.
func TestLaneAllocations(t *testing.T) {
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), nil)
	l := b.newLane("test")
	const batch = 1000
	build := publishCmd("channel", "a message that nobody hears")
	var wg sync.WaitGroup
	done := func(rueidis.RedisResult) { wg.Done() }
	round := func() {
		wg.Add(batch)
		for range batch {
			if err := l.push(30, build, done); err != nil {
				t.Error(err)
				wg.Done()
			}
		}
		wg.Wait()
	}
	round()
	if perPush := testing.AllocsPerRun(20, round) / batch; perPush > 2 {
		t.Errorf("%.2f allocations for a command, its result and all between", perPush)
	} else {
		t.Logf("%.2f allocations for a command", perPush)
	}
}
