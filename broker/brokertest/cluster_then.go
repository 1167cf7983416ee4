package brokertest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// tellsWhatWasTaken has PublishThen tell of each message once, in order, with the
// offset that others get it with.
func tellsWhatWasTaken(t *testing.T, process func() broker.Cluster) {
	const messages = 20
	a, b := join(t, process(), namespace), join(t, process(), namespace)
	var mu sync.Mutex
	var offsets, want []string
	for i := range messages {
		err := a.node.PublishThen(a.event(fmt.Sprint(i)), func(offset string, err error) {
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			offsets = append(offsets, offset)
		})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprint(i))
	}
	b.await(t, want...)
	told := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(offsets)
	}
	testkit.Eventually(t, func() bool { return len(told()) >= messages }, patience)
	got := make([]string, messages) // no log has no offsets
	for i, m := range b.received() {
		got[i] = m.Offset
	}
	if !slices.Equal(told(), got) {
		t.Errorf("told %q, messages came with %q", told(), got)
	}
	if _, log := a.node.(broker.ClusterLog); log == slices.Contains(told(), "") {
		t.Errorf("a log tells offsets, and nothing else does: %q", told())
	}

	never := func(string, error) { t.Error("done was called in spite of the error") }
	question := a.event("question")
	question.RequestID = "request"
	for name, m := range map[string]*cluster.Message{
		"a question": question,
		"a join":     {Kind: cluster.SocketsJoin, UID: a.node.UID(), Namespace: namespace, Rooms: []string{"r"}},
	} {
		if err := a.node.PublishThen(m, never); !errors.Is(err, cluster.ErrMessage) {
			t.Errorf("%s: %v, want %v", name, err, cluster.ErrMessage)
		}
	}
	a.node.Leave()
	if err := a.node.PublishThen(a.event("late"), never); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("after Leave: %v", err)
	}
}

// sendTells has SendThen tell of each message once, in order.
func sendTells(t *testing.T, c PresenceCluster) {
	const messages = 20
	a, b := enterPresence(t, c.Process(), "a"), enterPresence(t, c.Process(), "b")
	b.reachable(t)
	a.reachable(t)
	told := make(chan int, 3*messages)
	var events, order []string
	for i := range messages {
		events = append(events, fmt.Sprint(i))
		for _, server := range []string{"b", "nowhere"} {
			err := a.SendThen(server, directed(fmt.Sprint(i)), func(err error) {
				if err != nil {
					t.Error(err)
				}
				told <- i
			})
			if err != nil {
				t.Fatal(err)
			}
			order = append(order, fmt.Sprint(i))
		}
	}
	b.await(t, events...)
	testkit.Eventually(t, func() bool { return len(told) >= len(order) }, patience)
	for i, want := range order {
		if got := fmt.Sprint(<-told); got != want {
			t.Fatalf("told of %s in place %d, want %s", got, i, want)
		}
	}
	itself := make(chan error, 1)
	if err := a.SendThen("a", directed("self"), func(err error) { itself <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-itself; err != nil {
		t.Errorf("to itself: %v", err)
	}
	a.await(t, "self")
	never := func(error) { t.Error("done was called in spite of the error") }
	if err := a.SendThen("b", &cluster.Message{UID: "a", Namespace: namespace}, never); !errors.Is(err, cluster.ErrMessage) {
		t.Errorf("a message of no kind: %v", err)
	}
	if err := a.Leave(patient(t)); err != nil {
		t.Fatal(err)
	}
	if err := a.SendThen("b", directed("late"), never); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("after Leave: %v", err)
	}
}

// Stopping is an implementation whose nodes need a server.
type Stopping struct {
	Cluster  broker.Cluster
	Presence broker.Presence
	// Stop has the server take nothing any more, Resume has it take all again.
	Stop, Resume func()
}

// Stops runs what those who want to know what becomes of a message are told while
// the server is away: an error, in time, and never that it was taken.
func Stops(t *testing.T, s Stopping) {
	a := join(t, s.Cluster, namespace)
	a.mu.Lock()
	a.lossy = true
	a.mu.Unlock()
	p := enterPresence(t, s.Presence, "a")
	p.reachable(t)
	ways := map[string]func(done func(error)) error{
		"PublishThen": func(done func(error)) error {
			return a.node.PublishThen(a.event("x"), func(_ string, err error) { done(err) })
		},
		"SendThen": func(done func(error)) error { return p.SendThen("b", directed("x"), done) },
	}
	outcome := func(send func(func(error)) error) error {
		t.Helper()
		told := make(chan error, 2)
		if err := send(func(err error) { told <- err }); err != nil {
			return err
		}
		select {
		case err := <-told:
			return err
		case <-time.After(patience):
			t.Fatal("nobody tells what became of a message")
			return nil
		}
	}
	for name, send := range ways {
		if err := outcome(send); err != nil {
			t.Errorf("%s before: %v", name, err)
		}
	}
	s.Stop()
	for range 3 {
		for name, send := range ways {
			if outcome(send) == nil {
				t.Errorf("%s says that a server which is away has taken a message", name)
			}
		}
	}
	s.Resume()
	for _, send := range ways {
		testkit.Eventually(t, func() bool { return outcome(send) == nil }, patience)
	}
}
