package faults

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// spoken is the topic of /pubsub, which keeps history.
const spoken = "spoken"

// envelope is what /pubsub says.
type envelope struct {
	Op, Topic, Offset, Code, Reason string
	ID                              int
	Data                            int
	Recovered                       *bool
}

// speaks opens a connection to /pubsub.
func speaks(s *server, hears func(envelope)) (*line, error) {
	return open("ws://"+s.address+"/pubsub", func(text string) {
		var m envelope
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			m.Op = "what is no JSON: " + text
		}
		hears(m)
	}, "wsd.json.v1")
}

// follower is subscribed by /pubsub, and goes on where it left off.
type follower struct {
	name string
	node *server
	stay time.Duration // per connection; 0: as long as it lasts
	stop chan struct{}
	done chan struct{}

	mu          sync.Mutex
	got         []int
	gaps        []string // reasons
	odd         []string // what it should not have heard
	offset      string
	connections int
	recovered   int // subscriptions that stood
}

// follow begins a follower, from the first message on.
func follow(t *testing.T, name string, node *server, stay time.Duration) *follower {
	f := &follower{name: name, node: node, stay: stay, stop: make(chan struct{}), done: make(chan struct{}), offset: "0-0"}
	go func() {
		defer close(f.done)
		for !f.ended() {
			f.connect()
		}
	}()
	t.Cleanup(f.end)
	testkit.Eventually(t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.recovered > 0
	}, patience)
	return f
}

func (f *follower) ended() bool {
	select {
	case <-f.stop:
		return true
	default:
		return false
	}
}

// end may be called twice.
func (f *follower) end() {
	if !f.ended() {
		close(f.stop)
	}
	<-f.done
}

// connect is one connection, from its subscription to its end.
func (f *follower) connect() {
	refused := make(chan struct{}, 1)
	l, err := speaks(f.node, func(m envelope) { f.hears(m, refused) })
	if err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.odd = append(f.odd, err.Error())
		return
	}
	defer l.close()
	f.mu.Lock()
	f.connections++
	offset := f.offset
	f.mu.Unlock()
	_ = l.send(`{"op":"subscribe","id":1,"topic":"` + spoken + `","recover":{"offset":"` + offset + `"}}`) // its end tells
	var leave <-chan time.Time
	if f.stay > 0 {
		leave = time.After(f.stay)
	}
	select {
	case <-leave:
	case <-refused:
	case <-l.gone:
	case <-f.stop:
	}
}

func (f *follower) hears(m envelope, refused chan<- struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case m.Op == "message":
		f.got, f.offset = append(f.got, m.Data), m.Offset
	case m.Op == "gap":
		f.gaps = append(f.gaps, m.Reason)
	case m.Op == "ok":
		f.offset = m.Offset
		f.recovered++
	case m.Op == "error" && m.Code == "unavailable":
		refused <- struct{}{} // at most once: it is the answer to subscribe
	case m.Op != "hello":
		f.odd = append(f.odd, fmt.Sprintf("%+v", m))
	}
}

// has reports whether a number has arrived.
func (f *follower) has(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.got, n)
}

// check holds what has arrived against what the publisher was told that the broker
// took. Where Redis keeps all of that none may be missing.
func (f *follower) check(t *testing.T, taken []int, keeps bool) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	t.Logf("%s: %d messages of %d that were taken, %d connections, gaps %q", f.name, len(f.got), len(taken), f.connections, f.gaps)
	for i := 1; i < len(f.got); i++ {
		if f.got[i] <= f.got[i-1] {
			t.Errorf("%s: %d came after %d", f.name, f.got[i], f.got[i-1])
		}
	}
	missing := slices.DeleteFunc(slices.Clone(taken), func(n int) bool { return slices.Contains(f.got, n) })
	switch {
	case keeps && len(missing)+len(f.gaps) > 0:
		t.Errorf("%s: %v are missing, gaps %q", f.name, missing, f.gaps)
	case !keeps && len(f.gaps) == 0:
		t.Errorf("%s: %v are missing, and no gap was told", f.name, missing)
	}
	if len(f.odd) > 0 {
		t.Errorf("%s heard %q", f.name, f.odd)
	}
}

// announcer publishes numbers by /pubsub, from 0, and notes which the broker took.
type announcer struct {
	line *line
	stop chan struct{}
	done chan struct{}

	mu            sync.Mutex
	sent, refused int
	taken         []int
}

func announce(t *testing.T, node *server) *announcer {
	t.Helper()
	a := &announcer{stop: make(chan struct{}), done: make(chan struct{})}
	var err error
	if a.line, err = speaks(node, a.hears); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(a.done)
		tick := time.NewTicker(beat)
		defer tick.Stop()
		for {
			select {
			case <-a.stop:
				return
			case <-tick.C:
			}
			a.mu.Lock()
			n := strconv.Itoa(a.sent)
			a.sent++
			a.mu.Unlock()
			if a.line.send(`{"op":"publish","id":`+n+`,"topic":"`+spoken+`","data":`+n+`}`) != nil {
				return // answers are missing, which shows
			}
		}
	}()
	t.Cleanup(func() {
		a.end()
		a.line.close()
	})
	return a
}

func (a *announcer) hears(m envelope) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch m.Op {
	case "ok":
		a.taken = append(a.taken, m.ID)
	case "error":
		a.refused++
	}
}

// end may be called twice.
func (a *announcer) end() {
	select {
	case <-a.stop:
	default:
		close(a.stop)
	}
	<-a.done
}

// now is how many were taken and refused so far.
func (a *announcer) now() (taken, refused int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.taken), a.refused
}

// isRefused waits until some more are.
func (a *announcer) isRefused(t *testing.T) {
	t.Helper()
	_, before := a.now()
	testkit.Eventually(t, func() bool {
		_, refused := a.now()
		return refused > before
	}, patience)
}

// goesOn waits until some more are taken.
func (a *announcer) goesOn(t *testing.T) {
	t.Helper()
	before, _ := a.now()
	testkit.Eventually(t, func() bool {
		taken, _ := a.now()
		return taken > before+10
	}, patience)
}

// finish ends publishing, and waits for all answers and for the last message.
func (a *announcer) finish(t *testing.T, followers ...*follower) (taken []int) {
	t.Helper()
	a.end()
	testkit.Eventually(t, func() bool {
		taken, refused := a.now()
		return taken+refused == a.sent
	}, patience)
	taken = a.taken
	if !slices.IsSorted(taken) {
		t.Errorf("answers were out of order: %v", taken)
	}
	for _, f := range followers {
		testkit.Eventually(t, func() bool { return f.has(taken[len(taken)-1]) }, patience)
		f.end()
	}
	return taken
}

// startSpeakers starts two nodes, followers at both, one of whom leaves now and then,
// and a publisher.
func startSpeakers(t *testing.T, redis *testkit.Redis) (*announcer, []*follower) {
	m := &mode{topic: spoken, args: []string{"--adapter", "classic", "--durable", spoken + "=" + logLen}}
	one, two := m.node(t, "one", redis.URL(), onLoopback), m.node(t, "two", redis.URL(), onLoopback)
	one.ready(t)
	two.ready(t)
	followers := []*follower{
		follow(t, "a follower at the publisher's node", one, 0),
		follow(t, "a follower at another node", two, 0),
		follow(t, "one that leaves now and then", two, 300*time.Millisecond),
	}
	a := announce(t, one)
	a.goesOn(t)
	for _, f := range followers {
		testkit.Eventually(t, func() bool { return f.has(0) }, patience)
	}
	return a, followers
}

// What the publisher was told to be taken arrives once, in order, also while the server
// stands still, is killed and breaks connections: it has on disk what it answered for.
func TestPubsubGoesOn(t *testing.T) {
	redis := testkit.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	a, followers := startSpeakers(t, redis)
	for range pick(1, 5) {
		redis.Stop()
		a.isRefused(t)
		redis.Cont()
		a.goesOn(t)
		redis.Kill()
		a.isRefused(t)
		redis.Start()
		a.goesOn(t)
		killConnections(redis)
		a.goesOn(t)
	}
	taken := a.finish(t, followers...)
	for _, f := range followers {
		f.check(t, taken, true)
	}
}

// A server that comes back empty: all subscribers are told.
func TestPubsubTellsOfAnEmptyServer(t *testing.T) {
	redis := testkit.StartRedis(t)
	a, followers := startSpeakers(t, redis)
	for range pick(1, 5) {
		redis.Kill()
		a.isRefused(t)
		redis.Start()
		a.goesOn(t)
	}
	taken := a.finish(t, followers...)
	for _, f := range followers {
		f.check(t, taken, false)
	}
}
