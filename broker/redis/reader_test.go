package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// numbers are 0 to n-1 as names.
func numbers(n int) (names []string) {
	for i := range n {
		names = append(names, strconv.Itoa(i))
	}
	return names
}

// killReaders breaks the connections that read streams, and returns how many.
func killReaders(t *testing.T, server *testkit.Redis) (killed int) {
	t.Helper()
	list, _ := server.Do("CLIENT", "LIST").(string)
	for line := range strings.Lines(list) {
		if !strings.Contains(line, "cmd=xread") {
			continue
		}
		for _, field := range strings.Fields(line) {
			if id, ok := strings.CutPrefix(field, "id="); ok {
				server.Do("CLIENT", "KILL", "ID", id)
				killed++
			}
		}
	}
	return killed
}

// TestReaderStart has the reader's connection break before it has read anything,
// and messages come while it is away: a reader that began at "$" would skip them.
func TestReaderStart(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before int // entries that are in the stream already
	}{{"no stream", 0}, {"a stream", 3}} {
		t.Run(tt.name, func(t *testing.T) {
			server := testkit.StartRedis(t)
			for range tt.before {
				addEntry(server, "socket.io", "/", "before")
			}
			l := follow(t, openBroker(t, server.URL(), streamsOf), "/")
			testkit.Eventually(t, func() bool { return killReaders(t, server) == 1 }, patience)
			for _, name := range numbers(5) {
				addEntry(server, "socket.io", "/", name)
			}
			l.await(t, numbers(5)...)
			if len(l.gaps) > 0 {
				t.Errorf("gaps %v", l.gaps)
			}
		})
	}
}

// TestReaderKilled breaks all connections again and again: nothing that the log
// has is lost, and nothing comes twice.
func TestReaderKilled(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	from := follow(t, openBroker(t, server.URL(), streamsOf), "/")
	to := follow(t, openBroker(t, server.URL(), streamsOf), "/")
	var mu sync.Mutex
	taken, unknown := map[string]bool{}, map[string]bool{}
	const rounds, messages = 5, 40
	// mark is patient until the log has an event.
	mark := func(name string) {
		testkit.Eventually(t, func() bool {
			told := make(chan error, 1)
			err := from.Append(from.event(name), func(_ string, err error) { told <- err })
			return err == nil && <-told == nil
		}, patience)
	}
	for round := range rounds {
		mark("again")
		for i := range messages {
			name := fmt.Sprint(round*messages + i)
			// What the lane does not take while it is away was not sent.
			_ = from.Append(from.event(name), func(_ string, err error) {
				mu.Lock()
				defer mu.Unlock()
				taken[name], unknown[name] = err == nil, err != nil && !errors.Is(err, broker.ErrUnavailable)
			})
			if i == messages/2 {
				server.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
				server.Do("CLIENT", "KILL", "TYPE", "pubsub")
			}
		}
	}
	mark("end")
	testkit.Eventually(t, func() bool { return slices.Contains(to.names(), "end") }, patience)
	mu.Lock()
	defer mu.Unlock()
	seen, last, marks := map[string]bool{}, -1, 0
	for _, name := range to.names() {
		if name == "again" {
			marks++
		}
		if name == "again" || name == "end" {
			continue
		}
		n, _ := strconv.Atoi(name)
		if seen[name] || n < last {
			t.Errorf("%s came twice, or behind %d", name, last)
		}
		seen[name], last = true, n
	}
	for name, ok := range taken {
		switch {
		case ok && !seen[name]:
			t.Errorf("%s is in the log, and did not come", name)
		case !ok && seen[name] && !unknown[name]:
			t.Errorf("%s came, and was surely not taken", name)
		}
	}
	if marks < rounds {
		t.Errorf("%d of %d events that the log has taken came", marks, rounds)
	}
	if n, _ := to.lost(broker.Trimmed); n != 0 {
		t.Errorf("gaps %v", to.gaps)
	}
}

// TestReaderTrimmed has the log drop what a node that stands still has not read:
// what it is given and what it is told of are all that was sent.
func TestReaderTrimmed(t *testing.T) {
	server := testkit.StartRedis(t)
	hold := make(chan struct{})
	l := followHeld(t, openBroker(t, server.URL(), func(o *Options) {
		streamsOf(o)
		o.QueueMessages, o.StreamReadCount = 10, 5
	}), "/", hold)
	const messages, kept = 300, 50
	for _, name := range numbers(messages) {
		addEntry(server, "socket.io", "/", name)
	}
	server.Do("XTRIM", "socket.io", "MAXLEN", strconv.Itoa(kept))
	close(hold)
	accounted := func() int64 {
		trimmed, _ := l.lost(broker.Trimmed)
		overflow, _ := l.lost(broker.Overflow)
		return int64(len(l.names())) + trimmed + overflow
	}
	testkit.Eventually(t, func() bool { return accounted() >= messages }, patience)
	if n := accounted(); n != messages {
		t.Errorf("%d messages came or are known to be lost, of %d: %v", n, messages, l.gaps)
	}
	trimmed, gaps := l.lost(broker.Trimmed)
	if got := l.names(); trimmed == 0 || gaps != 1 || got[len(got)-1] != strconv.Itoa(messages-1) {
		t.Errorf("gaps %v, last %q", l.gaps, got[len(got)-1])
	}
	if s := l.b.Stats(); s.Lost.Trimmed != uint64(trimmed) || s.Gaps.Trimmed != 1 {
		t.Errorf("counted %+v, %+v", s.Lost, s.Gaps)
	}
}

// TestReaderBackPressure has a node that stands still for a while, and a log that
// keeps everything: nothing is lost.
func TestReaderBackPressure(t *testing.T) {
	server := testkit.StartRedis(t)
	hold := make(chan struct{})
	b := openBroker(t, server.URL(), func(o *Options) {
		streamsOf(o)
		o.QueueMessages = 10
	})
	l := followHeld(t, b, "/", hold)
	for _, name := range numbers(200) {
		addEntry(server, "socket.io", "/", name)
	}
	close(hold)
	l.await(t, numbers(200)...)
	if len(l.gaps) > 0 {
		t.Errorf("gaps %v", l.gaps)
	}
}

// TestReaderStarves has a node that never takes anything: those of other
// namespaces get theirs, and it is told of what it lost.
func TestReaderStarves(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	hold := make(chan struct{})
	b := openBroker(t, server.URL(), func(o *Options) {
		streamsOf(o)
		o.QueueMessages = 10
	})
	stuck, other := followHeld(t, b, "/stuck", hold), follow(t, b, "/other")
	const messages = 60
	for i, name := range numbers(messages) {
		addEntry(server, "socket.io", "/stuck", name)
		if i%6 == 0 {
			addEntry(server, "socket.io", "/other", strconv.Itoa(i/6))
		}
	}
	other.await(t, numbers(messages/6)...)
	close(hold)
	testkit.Eventually(t, func() bool {
		lost, _ := stuck.lost(broker.Overflow)
		return int64(len(stuck.names()))+lost == messages
	}, patience)
	if h := stuck.Health(); h.Lost == 0 || h.Gaps == 0 {
		t.Errorf("health %+v", h)
	}
}

// TestReaderRestarts has the server lose what it had.
func TestReaderRestarts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		lose func(r *testkit.Redis)
		gap  bool
	}{
		{"the stream is deleted", nil, func(r *testkit.Redis) { r.Do("DEL", "socket.io") }, true},
		{"everything is deleted", nil, func(r *testkit.Redis) { r.Do("FLUSHALL") }, true},
		{"the server is killed, and empty then", nil, func(r *testkit.Redis) { r.Restart() }, true},
		{"the server is killed, and has its log", []string{"--appendonly", "yes", "--appendfsync", "always"}, func(r *testkit.Redis) { r.Restart() }, false},
		{"the server comes back with an old copy", nil, func(r *testkit.Redis) {
			r.Do("CONFIG", "SET", "save", "3600 1000000") // so that it loads what was saved
			r.Do("SAVE")
			addEntry(r, "socket.io", "/", "lost")
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := testkit.StartRedis(t, tt.args...)
			l := follow(t, openBroker(t, server.URL(), streamsOf), "/")
			for _, name := range numbers(20) {
				addEntry(server, "socket.io", "/", name)
			}
			l.await(t, numbers(20)...)
			tt.lose(server)
			if tt.name == "the server comes back with an old copy" {
				l.await(t, append(numbers(20), "lost")...)
				server.Restart()
				tt.gap = true
			}
			if tt.gap {
				testkit.Eventually(t, func() bool { _, n := l.lost(broker.Restarted); return n > 0 }, patience)
			}
			for _, name := range numbers(5) {
				addEntry(server, "socket.io", "/", "new "+name)
			}
			testkit.Eventually(t, func() bool { return slices.Contains(l.names(), "new 4") }, patience)
			got := slices.DeleteFunc(l.names(), func(name string) bool { return name == "lost" })
			want := numbers(20)
			for _, name := range numbers(5) {
				want = append(want, "new "+name)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q", got)
			}
			testkit.Eventually(t, func() bool { return l.Health().Up }, patience)
			if _, n := l.lost(broker.Restarted); n > 1 || n == 1 != tt.gap {
				t.Errorf("gaps %v", l.gaps)
			}
		})
	}
}

// TestReaderNewestIsGone has somebody remove the newest entry before it was read:
// that is a gap, and the stream is read on.
func TestReaderNewestIsGone(t *testing.T) {
	server := testkit.StartRedis(t)
	l := follow(t, openBroker(t, server.URL(), streamsOf), "/")
	addEntry(server, "socket.io", "/", "seen")
	l.await(t, "seen")
	server.Do("EVAL", `redis.call("XADD", KEYS[1], "*", "uid", "x", "nsp", "/", "type", "3", "data", "{}") redis.call("XTRIM", KEYS[1], "MAXLEN", "0")`, "1", "socket.io")
	testkit.Eventually(t, func() bool { n, gaps := l.lost(broker.Trimmed); return n == 1 && gaps == 1 }, patience)
	last, err := l.b.tip(t.Context(), "socket.io")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := l.readers[0].reach(ctx, last.last); err != nil {
		t.Errorf("what waits for the stream's end: %v", err)
	}
	if err := l.readers[0].state(); err != nil {
		t.Errorf("the stream is not read: %v", err)
	}
	addEntry(server, "socket.io", "/", "next")
	l.await(t, "seen", "next")
}

// TestReaderStopped has a server that stands still: that is noticed, and nothing
// of what it took is lost.
func TestReaderStopped(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	l := follow(t, openBroker(t, server.URL(), func(o *Options) { fast(o); o.Adapter = Streams }), "/")
	addEntry(server, "socket.io", "/", "before")
	l.await(t, "before")
	server.Stop()
	testkit.Eventually(t, func() bool { return l.readers[0].state() != nil }, patience)
	if h := l.Health(); h.Up {
		t.Errorf("health %+v", h)
	}
	server.Cont()
	for _, name := range numbers(5) {
		addEntry(server, "socket.io", "/", name)
	}
	l.await(t, append([]string{"before"}, numbers(5)...)...)
	testkit.Eventually(t, func() bool { return l.Health().Up }, patience)
}

// TestReaderWrongType has something else under the stream's name.
func TestReaderWrongType(t *testing.T) {
	server := testkit.StartRedis(t)
	l := follow(t, openBroker(t, server.URL(), streamsOf), "/")
	server.Do("SET", "socket.io", "x")
	testkit.Eventually(t, func() bool { return strings.Contains(l.Health().Reason, "WRONGTYPE") }, patience)
	told := make(chan error, 1)
	if err := l.Append(l.event("x"), func(_ string, err error) { told <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-told; !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("Append: %v", err)
	}
	if _, _, err := l.RestoreSession(context.Background(), "p", "1-1"); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("RestoreSession: %v", err)
	}
	server.Do("DEL", "socket.io")
	testkit.Eventually(t, func() bool { return l.Health().Up }, patience)
	addEntry(server, "socket.io", "/", "good")
	l.await(t, "good")
}
