package redis

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// TestFaults does something to a server, or to the way there, and expects that
// Health tells of it, that all is well again afterwards, and that the listener was
// told of the gap before it heard what was published later.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		args   []string
		fault  func(r *testkit.Redis, p *testkit.Proxy)
		mend   func(r *testkit.Redis, p *testkit.Proxy)
		brief  bool // Health may not notice
		silent bool // nothing is lost unless it lasts until the connection is given up
	}{
		{
			name:  "kill -9 and restart, empty",
			fault: func(r *testkit.Redis, _ *testkit.Proxy) { r.Kill() },
			mend:  func(r *testkit.Redis, _ *testkit.Proxy) { r.Start() },
		},
		{
			name:  "every subscriber killed",
			fault: func(r *testkit.Redis, _ *testkit.Proxy) { r.Do("CLIENT", "KILL", "TYPE", "pubsub") },
			brief: true,
		},
		{
			name: "every connection killed",
			fault: func(r *testkit.Redis, _ *testkit.Proxy) {
				r.Do("CLIENT", "KILL", "TYPE", "pubsub")
				r.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			},
			brief: true,
		},
		{
			name: "silence from the server", silent: true,
			fault: func(_ *testkit.Redis, p *testkit.Proxy) { p.Stall(false, true) },
			mend:  func(_ *testkit.Redis, p *testkit.Proxy) { p.Stall(false, false) },
		},
		{
			name: "silence to the server", silent: true,
			fault: func(_ *testkit.Redis, p *testkit.Proxy) { p.Stall(true, false) },
			mend:  func(_ *testkit.Redis, p *testkit.Proxy) { p.Stall(false, false) },
		},
		{
			name:  "connections cut, and refused",
			fault: func(_ *testkit.Redis, p *testkit.Proxy) { p.Refuse(true); p.Cut() },
			mend:  func(_ *testkit.Redis, p *testkit.Proxy) { p.Refuse(false) },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := testkit.StartRedis(t, tt.args...)
			p := testkit.StartProxy(t, r.Addr)
			edit := steady
			if tt.silent {
				edit = fast
			}
			b := openBroker(t, "redis://"+p.Addr, edit)
			e, s := listen(t, b, plain, "a")
			at, sp := listen(t, b, pattern, "b*")
			tt.fault(r, p)
			if !tt.brief {
				testkit.Eventually(t, func() bool { h := b.Health(); return !h.Up && h.Reason != "" }, patience)
			}
			if tt.silent {
				testkit.Eventually(t, func() bool { return b.Stats().Disconnects > 0 }, patience)
			}
			if tt.mend != nil {
				tt.mend(r, p)
			}
			testkit.Eventually(t, func() bool { return e.gaps() > 0 && at.gaps() > 0 }, patience)
			testkit.Eventually(t, func() bool { return b.Health().Up }, patience)
			stands(t, s)
			stands(t, sp)
			gaps := b.Health().Gaps
			r.Do("PUBLISH", "a", "after")
			r.Do("PUBLISH", "b1", "after")
			testkit.Eventually(t, func() bool { return e.has("a:after") && at.has("b1:after") }, patience)
			for _, got := range [][]string{e.heard(), at.heard()} {
				if !strings.HasPrefix(got[0], "gap:reconnected") || uint64(len(got)-1) != gaps {
					t.Errorf("heard %q, want a gap for each of %d, then the message", got, gaps)
				}
			}
			if b.Stats().Disconnects == 0 {
				t.Error("no connection was counted as lost")
			}
		})
	}
}

// TestStoppedServer: commands fail within their time, nothing piles up, and all
// resumes when the server does.
func TestStoppedServer(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), fast)
	e, _ := listen(t, b, plain, "a")
	l := b.newLane("test")
	r.Stop()
	testkit.Eventually(t, func() bool { return !b.Health().Up }, patience)
	testkit.Eventually(t, func() bool {
		err := b.do(t.Context(), b.client.B().Get().Key("k").Build()).Error()
		_ = l.push(1, publishCmd("a", "while away"), nil)
		return err != nil && l.state() != nil
	}, patience)
	goroutines, _ := testkit.GoroutinesAndFDs()
	for range 10_000 {
		_ = l.push(1, publishCmd("a", "while away"), nil)
	}
	if now, _ := testkit.GoroutinesAndFDs(); now > goroutines+50 {
		t.Errorf("%d goroutines, there were %d", now, goroutines)
	}
	if s := b.Stats(); s.SendErrors.Unavailable < 10_000 {
		t.Errorf("refused pushes are not counted: %+v", s.SendErrors)
	}
	r.Cont()
	testkit.Eventually(t, func() bool { return b.Health().Up }, patience)
	testkit.Eventually(t, func() bool { return l.push(1, publishCmd("a", "back"), nil) == nil }, patience)
	testkit.Eventually(t, func() bool { return e.has("a:back") }, patience)
}

// TestOutputBufferOverflow has the server drop a subscriber that does not read.
func TestOutputBufferOverflow(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t, "--client-output-buffer-limit", "pubsub 1mb 1mb 60")
	b := openBroker(t, r.URL(), steady)
	slow := &stuck{entered: make(chan struct{}), leave: make(chan struct{})}
	s := b.hub.subscribe(plain, "a", slow)
	stands(t, s)
	big := strings.Repeat("x", 1<<19)
	r.Do("PUBLISH", "a", "small")
	<-slow.entered
	for range 64 { // the sockets' buffers take some
		r.Do("PUBLISH", "a", big)
	}
	testkit.Eventually(t, func() bool { return r.Do("PUBLISH", "a", "unheard") == int64(0) }, patience)
	close(slow.leave)
	testkit.Eventually(t, func() bool { return slow.gaps() == 1 }, patience)
	r.Do("PUBLISH", "a", "after")
	testkit.Eventually(t, func() bool { return slow.has("a:after") }, patience)
	if g := b.Stats().Gaps.Reconnected; g != 1 {
		t.Errorf("%d gaps", g)
	}
}

// stuck is a listener whose first message does not end by itself.
type stuck struct {
	ear
	once           sync.Once
	entered, leave chan struct{}
}

func (s *stuck) message(channel, payload string) {
	s.once.Do(func() { close(s.entered); <-s.leave })
	s.ear.message(channel, payload)
}

// TestRefusedSubscription: what the server forbids is told by Health, and stands
// when it is allowed.
func TestRefusedSubscription(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	r.Do("ACL", "SETUSER", "u", "on", ">p", "+@all", "~*", "&wsd:*")
	b := openBroker(t, "redis://u:p@"+r.Addr, steady)
	e := new(ear)
	s := b.hub.subscribe(plain, "forbidden", e)
	testkit.Eventually(t, func() bool { h := b.Health(); return !h.Up && strings.Contains(h.Reason, "forbidden") }, patience)
	if s.up() || b.Stats().SubscribeErrors == 0 {
		t.Errorf("up %v, stats %+v", s.up(), b.Stats())
	}
	r.Do("ACL", "SETUSER", "u", "&forbidden")
	stands(t, s)
	testkit.Eventually(t, func() bool { return b.Health().Up }, patience)
	r.Do("PUBLISH", "forbidden", "1")
	testkit.Eventually(t, func() bool { return e.has("forbidden:1") }, patience)
}

// TestProbesFindTwoServers has the publishing connection come back at another
// server than the subscribing one is at, as after a failover that nobody was told
// of: every command works, and nothing arrives. Only probes find that out.
func TestProbesFindTwoServers(t *testing.T) {
	t.Parallel()
	old, other := testkit.StartRedis(t), testkit.StartRedis(t)
	p := testkit.StartProxy(t, old.Addr)
	b := openBroker(t, "redis://"+p.Addr, fast)
	e, s := listen(t, b, plain, "a")
	p.Target(other.Addr)
	old.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	testkit.Eventually(t, func() bool { return b.Stats().ProbesLost > 0 }, patience)
	testkit.Eventually(t, func() bool { return b.Health().Up && b.Stats().Resets > 0 }, patience)
	stands(t, s)
	l := b.newLane("test")
	if err := l.push(1, publishCmd("a", "1"), nil); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, func() bool { return e.has("a:1") }, patience)
	if n := subscribers(other, "a"); n != 1 || e.gaps() == 0 {
		t.Errorf("%d subscribers at the new server, %d gaps", n, e.gaps())
	}
}

// TestOpenFails names the server, and not the password.
func TestOpenFails(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	r.Do("ACL", "SETUSER", "deaf", "on", ">hunter2", "+@all", "-subscribe", "~*", "&*")
	nobody := fmt.Sprint("127.0.0.1:", testkit.FreePort(t))
	stopped := testkit.StartRedis(t)
	stopped.Stop()
	defer stopped.Cont()
	for _, tt := range []struct{ name, url, has string }{
		{"nobody listens", "redis://u:hunter2@" + nobody, nobody},
		{"wrong password", "redis://deaf:hunter2wrong@" + r.Addr, r.Addr},
		{"subscribing is forbidden", "redis://deaf:hunter2@" + r.Addr, "subscribe"},
		{"the server is stopped", "redis://" + stopped.Addr, stopped.Addr},
		{"no TLS there", "rediss://u:hunter2@" + r.Addr, r.Addr},
		{"no Cluster there", "redis+cluster://" + r.Addr, r.Addr},
		{"no sentinel there", "redis+sentinel://" + r.Addr + "/m", r.Addr},
		{"no socket there", "unix:///nowhere/redis.sock", "nowhere"},
		{"not a URL", "nonsense", "URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// Some give up with it only.
			ctx, cancel := context.WithTimeout(t.Context(), patience/4)
			defer cancel()
			quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
			b, err := Open(ctx, Options{URLs: []string{tt.url}, Logger: quiet})
			if err == nil {
				_ = b.Close(ctx)
			}
			testkit.ErrorHas(t, err, "redis: ", tt.has)
			if strings.Contains(fmt.Sprint(err), "hunter2") {
				t.Errorf("the error tells a password: %v", err)
			}
		})
	}
}

// TestChurnDoesNotReachTheServer subscribes and releases one channel many times.
func TestChurnDoesNotReachTheServer(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), func(o *Options) { steady(o); o.ReleaseDelay = time.Second })
	_, s := listen(t, b, plain, "a")
	before := callsOf(r, "subscribe")
	for range 1000 {
		s.release(true)
		s = b.hub.subscribe(plain, "a", new(ear))
	}
	stands(t, s)
	if now := callsOf(r, "subscribe"); now != before {
		t.Errorf("%d SUBSCRIBE, there were %d", now, before)
	}
	if n := callsOf(r, "unsubscribe"); n != 0 {
		t.Errorf("%d UNSUBSCRIBE", n)
	}
	s.release(true)
	testkit.Eventually(t, func() bool { return callsOf(r, "unsubscribe") == 1 }, patience)
	if _, channels, _ := b.hub.size(); channels != 0 {
		t.Errorf("%d channels are left", channels)
	}
}

// callsOf is how often a server has run a command.
func callsOf(r *testkit.Redis, command string) (n int) {
	text, _ := r.Do("INFO", "commandstats").(string)
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, "cmdstat_"+command+":calls="); ok {
			fmt.Sscan(v, &n)
		}
	}
	return n
}

// TestSubscriptionsMatch subscribes and releases at random from several
// goroutines, with the connection cut meanwhile: in the end the server has what is
// held, and nothing else.
func TestSubscriptionsMatch(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), func(o *Options) { steady(o); o.ReleaseDelay = time.Millisecond })
	const names = 20
	var mu sync.Mutex
	held := map[string]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			mine := map[string]*subscription{}
			for range 300 {
				name := fmt.Sprint("c", rand.IntN(names))
				if s := mine[name]; s != nil {
					s.release(rand.IntN(2) == 0)
					delete(mine, name)
					continue
				}
				mine[name] = b.hub.subscribe(plain, name, new(ear))
			}
			mu.Lock()
			defer mu.Unlock()
			for name := range mine {
				held[name]++
			}
		})
	}
	for range 3 {
		r.Do("CLIENT", "KILL", "TYPE", "pubsub")
	}
	wg.Wait()
	var got []string
	testkit.Eventually(t, func() bool {
		got = got[:0]
		for _, c := range r.Do("PUBSUB", "CHANNELS", "c*").([]any) {
			got = append(got, c.(string))
		}
		slices.Sort(got)
		return len(got) == len(held) && !slices.ContainsFunc(got, func(c string) bool { return held[c] == 0 })
	}, patience)
	testkit.Eventually(t, func() bool {
		_, channels, standing := b.hub.size()
		return channels == len(held) && standing == len(held)
	}, patience)
}

// TestReleasedListenerIsNotCalled releases from within a message.
func TestReleasedListenerIsNotCalled(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), steady)
	other, _ := listen(t, b, plain, "a")
	once := &selfish{}
	once.s = b.hub.subscribe(plain, "a", once)
	stands(t, once.s)
	for i := range 10 {
		r.Do("PUBLISH", "a", fmt.Sprint(i))
	}
	testkit.Eventually(t, func() bool { return len(other.heard()) == 10 }, patience)
	if got := once.heard(); len(got) != 1 {
		t.Errorf("heard %q after release", got)
	}
	if err := once.s.wait(t.Context()); err == nil {
		t.Error("a released subscription stands")
	}
}

// selfish releases its subscription at the first message.
type selfish struct {
	ear
	s *subscription
}

func (e *selfish) message(channel, payload string) {
	e.ear.message(channel, payload)
	e.s.release(false)
	e.s.release(true)
}

// TestManyChannels come back in batches.
func TestManyChannels(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), steady)
	const n = 3000
	e := new(ear)
	for i := range n {
		b.hub.subscribe(plain, fmt.Sprint("c", i), e)
	}
	standing := func() bool { _, _, s := b.hub.size(); return s == n }
	testkit.Eventually(t, standing, patience)
	r.Do("CLIENT", "KILL", "TYPE", "pubsub")
	testkit.Eventually(t, func() bool { return e.gaps() == 1 }, patience)
	testkit.Eventually(t, standing, patience)
	if g := b.Stats().Gaps.Reconnected; g != 1 {
		t.Errorf("%d gaps were counted for one loss", g)
	}
}
