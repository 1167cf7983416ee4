package redis

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// spublish is a command for a sharded channel.
func spublish(channel, text string) func(rueidis.Builder) rueidis.Completed {
	return func(b rueidis.Builder) rueidis.Completed {
		return b.Spublish().Channel(channel).Message(text).Build()
	}
}

// TestDeployments opens a Broker in each form of deployment, and has a message go
// through.
func TestDeployments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		url  func(t *testing.T) string
	}{
		{"TLS", func(t *testing.T) string { return testkit.StartRedisTLS(t).URL() }},
		{"TLS with a user", func(t *testing.T) string {
			r := testkit.StartRedisTLS(t)
			r.Do("ACL", "SETUSER", "u", "on", ">s3cret/@", "~*", "&*", "+@all")
			return strings.Replace(r.URL(), "rediss://", "rediss://u:s3cret%2F%40@", 1)
		}},
		{"password", func(t *testing.T) string {
			return "redis://:secret@" + testkit.StartRedis(t, "--requirepass", "secret").As("", "secret").Addr
		}},
		{"unix socket and database", func(t *testing.T) string {
			_, path := testkit.StartRedisUnix(t)
			return "unix://" + path + "?db=3"
		}},
		{"without client-side caching", func(t *testing.T) string {
			r := testkit.StartRedis(t)
			r.Do("ACL", "SETUSER", "u", "on", ">p", "~*", "&*", "+@all", "-client|tracking")
			return "redis://u:p@" + r.Addr
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := tt.url(t)
			b := openBroker(t, url, steady)
			e, _ := listen(t, b, plain, "a")
			l := b.newLane("test")
			if err := l.push(1, publishCmd("a", "1"), nil); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, func() bool { return e.has("a:1") }, patience)
			if v := b.version(); !strings.Contains(v, ".") || b.clustered() {
				t.Errorf("version %q, clustered %v", v, b.clustered())
			}
		})
	}
}

// publisher pushes numbered messages to a channel until it is stopped, and knows
// which of them the server took.
type publisher struct {
	stop  chan struct{}
	gone  chan struct{}
	mu    sync.Mutex
	sent  int
	taken map[int]bool
}

// publishNumbers starts one. It is stopped by the test, or by the end of it.
func publishNumbers(t *testing.T, b *Broker, build func(channel, text string) func(rueidis.Builder) rueidis.Completed, channel string) *publisher {
	p := &publisher{stop: make(chan struct{}), gone: make(chan struct{}), taken: map[int]bool{}}
	l := b.newLane("numbers")
	go func() {
		defer close(p.gone)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-p.stop:
				return
			case <-tick.C:
			}
			_ = l.push(10, build(channel, fmt.Sprint(n)), func(r rueidis.RedisResult) {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.taken[n] = r.Error() == nil
			})
			p.mu.Lock()
			p.sent = n + 1
			p.mu.Unlock()
		}
	}()
	t.Cleanup(p.end)
	return p
}

func (p *publisher) end() {
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	<-p.gone
}

func (p *publisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

// checkNumbers fails the test if what was heard is out of order or twice, or if
// something that was taken is missing where no gap was told of between what was
// heard before and after.
func (p *publisher) checkNumbers(t *testing.T, heard []string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	last, gap := -1, true // what came before the first one is no matter
	for _, s := range heard {
		if strings.HasPrefix(s, "gap:") {
			gap = true
			continue
		}
		var n int
		if _, err := fmt.Sscan(s[strings.LastIndexByte(s, ':')+1:], &n); err != nil {
			t.Fatalf("heard %q", s)
		}
		if n <= last {
			t.Errorf("%d after %d", n, last)
		}
		for i := last + 1; i < n && !gap; i++ {
			if p.taken[i] {
				t.Errorf("%d was taken, but is missing without a gap", i)
			}
		}
		last, gap = n, false
	}
}

// TestSentinelFailover: the old master stays up, as a replica, and then another one
// is killed.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	group := testkit.StartSentinels(t, 2, 3)
	b := openBroker(t, group.URL(), fast)
	e, s := listen(t, b, plain, "a")
	p := publishNumbers(t, b, publishCmd, "a")
	testkit.Eventually(t, func() bool { return len(e.heard()) > 10 }, patience)

	master := group.Failover()
	testkit.Eventually(t, func() bool { return subscribers(master, "a") == 1 }, time.Minute)
	testkit.Eventually(t, func() bool { return b.Health().Up }, patience)
	mark := p.count()
	testkit.Eventually(t, func() bool { return heardAfter(e, mark) }, patience)

	master.Kill()
	testkit.Eventually(t, func() bool { return !b.Health().Up }, patience)
	next := group.AwaitMaster(master)
	testkit.Eventually(t, func() bool { return subscribers(next, "a") == 1 && b.Health().Up }, time.Minute)
	stands(t, s)
	mark = p.count()
	testkit.Eventually(t, func() bool { return heardAfter(e, mark) }, patience)
	p.end()
	p.checkNumbers(t, e.heard())
	if e.gaps() < 2 {
		t.Errorf("%d gaps, want one for each failover", e.gaps())
	}
}

// subscribers is how many connections a server has that listen on a channel.
func subscribers(r *testkit.Redis, channel string) int64 {
	v, err := r.Try("PUBSUB", "NUMSUB", channel)
	if err != nil {
		return -1
	}
	return v.([]any)[1].(int64)
}

// heardAfter reports whether a number that was sent after the mark has come.
func heardAfter(e *ear, mark int) bool {
	heard := e.heard()
	if len(heard) == 0 {
		return false
	}
	last, n := heard[len(heard)-1], 0
	_, err := fmt.Sscan(last[strings.LastIndexByte(last, ':')+1:], &n)
	return err == nil && !strings.HasPrefix(last, "gap:") && n >= mark
}

func TestCluster(t *testing.T) {
	t.Parallel()
	group := testkit.StartRedisCluster(t, 3, 1)
	b := openBroker(t, group.URL(), fast)
	if !b.clustered() {
		t.Fatal("not known as a Cluster")
	}
	t.Run("one address is enough", func(t *testing.T) {
		if b := openBroker(t, group.Masters[0].URL(), fast); !b.clustered() {
			t.Error("not known as a Cluster")
		}
	})
	t.Run("slots", func(t *testing.T) {
		for _, key := range []string{"", "a", "{a}b", "x{a}b", "{}a", "{{a}}", "a{", "wsd:t:topic", "socket.io#/#room#"} {
			if got, want := slotOf(key), group.Slot(key); int(got) != want {
				t.Errorf("slot of %q is %d, want %d", key, got, want)
			}
		}
	})
	t.Run("plain, pattern and sharded channels", func(t *testing.T) {
		atPlain, _ := listen(t, b, plain, "p")
		atPattern, _ := listen(t, b, pattern, "p*")
		var shards []*ear
		l := b.newLane("test")
		const n = 30
		for i := range n {
			e, _ := listen(t, b, sharded, fmt.Sprint("s", i))
			shards = append(shards, e)
		}
		for i := range n {
			for range 10 {
				if err := l.push(1, spublish(fmt.Sprint("s", i), "x"), nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.push(1, publishCmd("p", fmt.Sprint(i)), nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, e := range shards {
			testkit.Eventually(t, func() bool { return len(e.heard()) == 10 }, patience)
		}
		for _, e := range []*ear{atPlain, atPattern} {
			testkit.Eventually(t, func() bool { return len(e.heard()) == n }, patience)
			for i, s := range e.heard() {
				if s != fmt.Sprint("p:", i) {
					t.Fatalf("%d: %q", i, s)
				}
			}
		}
		if c := b.Stats().Connections; c != 4 {
			t.Errorf("%d connections, want one and one for each master", c)
		}
		testkit.Eventually(t, func() bool { return b.Health().Up }, patience)
	})
	t.Run("migration of a slot", func(t *testing.T) {
		slot := group.Slot("m")
		e, s := listen(t, b, sharded, "m")
		p := publishNumbers(t, b, spublish, "m")
		testkit.Eventually(t, func() bool { return len(e.heard()) > 10 }, patience)
		for range 2 {
			from := group.Owner(slot)
			to := group.Masters[0]
			if to == from {
				to = group.Masters[1]
			}
			group.MigrateSlot(slot, to)
			testkit.Eventually(t, func() bool { return shardSubscribers(to, "m") == 1 }, patience)
			stands(t, s)
			mark := p.count()
			testkit.Eventually(t, func() bool { return heardAfter(e, mark) }, patience)
		}
		p.end()
		p.checkNumbers(t, e.heard())
		testkit.Eventually(t, func() bool { return b.Health().Up }, patience)
	})
	t.Run("a master is killed", func(t *testing.T) {
		name := "k"
		master := group.Owner(group.Slot(name))
		e, s := listen(t, b, sharded, name)
		atPlain, sp := listen(t, b, plain, "plain")
		p := publishNumbers(t, b, spublish, name)
		pp := publishNumbers(t, b, publishCmd, "plain")
		testkit.Eventually(t, func() bool { return len(e.heard()) > 10 && len(atPlain.heard()) > 10 }, patience)
		master.Kill()
		testkit.Eventually(t, func() bool { return !b.Health().Up }, patience)
		testkit.Eventually(t, func() bool { return b.Health().Up }, time.Minute)
		stands(t, s)
		stands(t, sp)
		mark, markPlain := p.count(), pp.count()
		testkit.Eventually(t, func() bool { return heardAfter(e, mark) && heardAfter(atPlain, markPlain) }, time.Minute)
		p.end()
		pp.end()
		p.checkNumbers(t, e.heard())
		pp.checkNumbers(t, atPlain.heard())
		if e.gaps() == 0 {
			t.Error("no gap was told of")
		}
	})
}

func shardSubscribers(r *testkit.Redis, channel string) int64 {
	v, err := r.Try("PUBSUB", "SHARDNUMSUB", channel)
	if err != nil {
		return -1
	}
	return v.([]any)[1].(int64)
}
