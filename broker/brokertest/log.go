package brokertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// Log runs what a Cluster whose nodes are broker.ClusterLog has to pass beside
// the suite of Cluster. start is as for Cluster; what it begins keeps at least
// 1,000 messages.
func Log(t *testing.T, start func(t *testing.T) func() broker.Cluster) {
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, process func() broker.Cluster)
	}{
		{"broadcasts carry the offset that their sender is told", logOffsets},
		{"done comes in order, and not inside Append", logDone},
		{"a node is told of its own and of others' messages in the order of the log", logOrder},
		{"what is no broadcast is not appended", logRefuses},
		{"a session is restored on another node with what it missed", logRestores},
		{"nobody gets a session twice", logTakesOnce},
		{"an offset of no log takes no session", logMalformed},
		{"a session ends with its time", logExpires},
		{"a newer state of a session replaces the older", logReplaces},
		{"what came after Missed.Last is read on", logReadsOn},
		{"a log goes on after Leave", logLeave},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, start(t)) })
	}
}

// log is the member's node as a ClusterLog.
func (m *member) log(t *testing.T) broker.ClusterLog {
	t.Helper()
	l, ok := m.node.(broker.ClusterLog)
	if !ok {
		t.Fatalf("%T keeps no log", m.node)
	}
	return l
}

// append waits for the offset of a message.
func (m *member) append(t *testing.T, x *cluster.Message) string {
	t.Helper()
	told := make(chan string, 2)
	err := m.log(t).Append(x, func(offset string, err error) {
		if err != nil {
			t.Error(err)
		}
		told <- offset
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case offset := <-told:
		return offset
	case <-time.After(patience):
		t.Fatal("done was not called")
		return ""
	}
}

// session is one of a client in some rooms.
func session(pid string, rooms ...string) *cluster.Session {
	sid := "sid of " + pid
	return &cluster.Session{SID: sid, PID: pid, Rooms: append([]string{sid}, rooms...), Data: []byte(`{"n":1}`)}
}

// store keeps a session, and returns when it is there.
func (m *member) store(t *testing.T, s *cluster.Session, ttl time.Duration) {
	t.Helper()
	if err := m.log(t).StoreSession(s, ttl); err != nil {
		t.Fatal(err)
	}
	m.append(t, m.event("stored", "nobody")) // follows it
}

// eventNames are those of messages, and their offsets are checked to increase.
func eventNames(t *testing.T, messages []*cluster.Message) []string {
	t.Helper()
	var names []string
	last := ""
	for _, x := range messages {
		names = append(names, eventName(x))
		if x.Offset == "" || x.Offset == last {
			t.Errorf("%s has offset %q after %q", eventName(x), x.Offset, last)
		}
		last = x.Offset
	}
	return names
}

func logOffsets(t *testing.T, process func() broker.Cluster) {
	a, b := join(t, process(), namespace), join(t, process(), namespace)
	testkit.Eventually(t, func() bool { return b.node.Health().Up }, patience)
	first := a.append(t, a.event("first"))
	a.publish(t, a.event("published"))
	volatile := a.event("volatile")
	volatile.Options.Flags.Volatile = true
	second := a.append(t, volatile)
	b.await(t, "first", "published", "volatile")
	eventNames(t, b.received())
	if got := b.received(); got[0].Offset != first || got[2].Offset != second || first == "" || first == second {
		t.Errorf("offsets %q, %q; their sender was told %q, %q", got[0].Offset, got[2].Offset, first, second)
	}
}

func logDone(t *testing.T, process func() broker.Cluster) {
	const messages = 300
	a, b := join(t, process(), namespace), join(t, process(), namespace)
	testkit.Eventually(t, func() bool { return b.node.Health().Up }, patience)
	var mu sync.Mutex // would lock up if done ran inside Append
	var order []int
	offsets := map[string]bool{}
	for i := range messages {
		mu.Lock()
		err := a.log(t).Append(a.event(fmt.Sprint(i)), func(offset string, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			order = append(order, i)
			offsets[offset] = true
		})
		mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(order) == messages
	}, patience)
	if !slices.IsSorted(order) || len(offsets) != messages {
		t.Errorf("%d offsets, done called in the order %v", len(offsets), order)
	}
	testkit.Eventually(t, func() bool { return len(b.received()) == messages }, patience)
	for _, x := range b.received() {
		if !offsets[x.Offset] {
			t.Errorf("%s arrived with offset %q, which its sender was not told", eventName(x), x.Offset)
		}
	}
}

// teller is a node that keeps the offsets that it is told.
type teller struct {
	*member

	mu   sync.Mutex
	told []cluster.ID
}

func joinTeller(t *testing.T, c broker.Cluster) *teller {
	t.Helper()
	x := &teller{member: &member{namespace: namespace}}
	node, err := c.Join(namespace, broker.ClusterReceiver{Deliver: func(m *cluster.Message) { x.tell(t, m.Offset, nil) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Leave)
	x.node = node
	settle(t, node)
	return x
}

func (x *teller) tell(t *testing.T, offset string, err error) {
	id, malformed := cluster.ParseID(offset)
	if err := errors.Join(err, malformed); err != nil {
		t.Errorf("offset %q: %v", offset, err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.told = append(x.told, id)
}

func (x *teller) offsets() []cluster.ID {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.told)
}

func logOrder(t *testing.T, process func() broker.Cluster) {
	const messages = 150
	all := []*teller{joinTeller(t, process()), joinTeller(t, process()), joinTeller(t, process())}
	var wg sync.WaitGroup
	for _, x := range all {
		l := x.log(t)
		wg.Go(func() {
			for i := range messages {
				if err := l.Append(x.event(fmt.Sprint(i)), func(offset string, err error) { x.tell(t, offset, err) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, x := range all {
		testkit.Eventually(t, func() bool { return len(x.offsets()) >= len(all)*messages }, patience)
		if told := x.offsets(); len(told) != len(all)*messages || !slices.IsSortedFunc(told, cluster.ID.Compare) {
			t.Errorf("%d offsets in the order %v", len(told), told)
		}
	}
}

func logRefuses(t *testing.T, process func() broker.Cluster) {
	a := join(t, process(), namespace)
	asks := a.event("asks")
	asks.RequestID = "r"
	empty := a.event("empty")
	empty.Packet.Payload.JSON = nil
	for name, m := range map[string]*cluster.Message{
		"asks":    asks,
		"empty":   empty,
		"a join":  {Kind: cluster.SocketsJoin, UID: a.node.UID(), Namespace: namespace},
		"no kind": {UID: a.node.UID(), Namespace: namespace},
	} {
		err := a.log(t).Append(m, func(string, error) { t.Errorf("%s: done was called", name) })
		if !errors.Is(err, cluster.ErrMessage) {
			t.Errorf("%s: %v, want %v", name, err, cluster.ErrMessage)
		}
	}
	a.append(t, a.event("end"))
}

func logRestores(t *testing.T, process func() broker.Cluster) {
	ctx := context.Background()
	p := process()
	a, b := join(t, p, namespace), join(t, process(), namespace)
	other := join(t, p, "/other")
	s := session("pid", "a", "b#é")
	a.append(t, a.event("before"))
	offset := a.append(t, a.event("seen"))
	a.store(t, s, time.Minute)
	a.append(t, a.event("1"))
	b.append(t, b.event("2", "x", "a"))
	b.append(t, b.event("not its room", "x"))
	a.append(t, a.event("3", s.SID))
	except := a.event("not for its room", "a")
	except.Options.Except = []string{"b#é"}
	a.append(t, except)
	volatile := a.event("volatile")
	volatile.Options.Flags.Volatile = true
	a.append(t, volatile)
	asks := a.event("asks the client", s.SID)
	asks.Packet.ID, asks.Packet.HasID = 1, true
	a.append(t, asks)
	other.append(t, other.event("another namespace"))
	a.publish(t, &cluster.Message{Kind: cluster.SocketsJoin, UID: a.node.UID(), Namespace: namespace, Rooms: []string{"x"}})
	last := a.append(t, a.event("4"))

	got, missed, err := b.log(t).RestoreSession(ctx, "pid", offset)
	if err != nil {
		t.Fatal(err)
	}
	if got.SID != s.SID || got.PID != s.PID || !slices.Equal(got.Rooms, s.Rooms) || !bytes.Equal(got.Data, s.Data) {
		t.Errorf("%+v, want %+v", got, s)
	}
	if names := eventNames(t, missed.Messages); !slices.Equal(names, []string{"1", "2", "3", "4"}) {
		t.Errorf("missed %q", names)
	}
	if missed.Last != last {
		t.Errorf("read up to %q, want %q", missed.Last, last)
	}
	if n := len(missed.Messages); n > 0 && missed.Messages[n-1].Offset != last {
		t.Errorf("the last one has %q, want %q", missed.Messages[n-1].Offset, last)
	}
}

func logTakesOnce(t *testing.T, process func() broker.Cluster) {
	ctx := context.Background()
	nodes := []*member{join(t, process(), namespace), join(t, process(), namespace), join(t, process(), namespace)}
	offset := nodes[0].append(t, nodes[0].event("seen"))
	nodes[0].store(t, session("pid"), time.Minute)
	var taken atomic.Int32
	var wg sync.WaitGroup
	for _, m := range slices.Repeat(nodes, 4) {
		wg.Go(func() {
			switch _, _, err := m.log(t).RestoreSession(ctx, "pid", offset); {
			case err == nil:
				taken.Add(1)
			case !errors.Is(err, broker.ErrNoSession):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := taken.Load(); n != 1 {
		t.Errorf("the session was restored %d times", n)
	}
	if _, _, err := nodes[1].log(t).RestoreSession(ctx, "never stored", offset); !errors.Is(err, broker.ErrNoSession) {
		t.Errorf("a session that never was: %v", err)
	}
}

func logMalformed(t *testing.T, process func() broker.Cluster) {
	ctx := context.Background()
	a := join(t, process(), namespace)
	offset := a.append(t, a.event("seen"))
	a.store(t, session("pid"), time.Minute)
	for _, bad := range []string{"", "-", "+", "$", "1", "1-", "-1", "1-2-3", "x-1", " 1-1", "1-1\r\n", "99999999999999999999999-1"} {
		if _, _, err := a.log(t).RestoreSession(ctx, "pid", bad); !errors.Is(err, broker.ErrOffset) {
			t.Errorf("offset %q: %v, want %v", bad, err, broker.ErrOffset)
		}
		if _, err := a.log(t).MissedSince(ctx, session("pid"), bad); !errors.Is(err, broker.ErrOffset) {
			t.Errorf("MissedSince %q: %v, want %v", bad, err, broker.ErrOffset)
		}
	}
	// Well-formed, but of no time that the log reaches back to.
	if _, _, err := a.log(t).RestoreSession(ctx, "pid", "1-1"); !errors.Is(err, broker.ErrNoSession) {
		t.Errorf("an offset from before the log: %v, want %v", err, broker.ErrNoSession)
	}
	if _, _, err := a.log(t).RestoreSession(ctx, "pid", offset); err != nil {
		t.Errorf("the session is gone: %v", err)
	}
}

func logExpires(t *testing.T, process func() broker.Cluster) {
	a := join(t, process(), namespace)
	offset := a.append(t, a.event("seen"))
	a.store(t, session("pid"), 20*time.Millisecond)
	begin := time.Now()
	testkit.Eventually(t, func() bool { return time.Since(begin) > 40*time.Millisecond }, patience)
	if _, _, err := a.log(t).RestoreSession(context.Background(), "pid", offset); !errors.Is(err, broker.ErrNoSession) {
		t.Errorf("%v, want %v", err, broker.ErrNoSession)
	}
}

func logReplaces(t *testing.T, process func() broker.Cluster) {
	a, b := join(t, process(), namespace), join(t, process(), namespace)
	offset := a.append(t, a.event("seen"))
	a.store(t, session("pid", "old"), time.Minute)
	b.store(t, session("pid", "new"), time.Minute)
	got, _, err := a.log(t).RestoreSession(context.Background(), "pid", offset)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(got.Rooms, "new") || slices.Contains(got.Rooms, "old") {
		t.Errorf("rooms %q", got.Rooms)
	}
}

func logReadsOn(t *testing.T, process func() broker.Cluster) {
	ctx := context.Background()
	a, b := join(t, process(), namespace), join(t, process(), namespace)
	offset := a.append(t, a.event("seen"))
	a.store(t, session("pid", "a"), time.Minute)
	a.append(t, a.event("1"))
	s, missed, err := b.log(t).RestoreSession(ctx, "pid", offset)
	if err != nil {
		t.Fatal(err)
	}
	none, err := b.log(t).MissedSince(ctx, s, missed.Last)
	if err != nil || len(none.Messages) > 0 || none.Last != missed.Last {
		t.Errorf("nothing more was sent: %+v, %v; want up to %q", none, err, missed.Last)
	}
	for i := range 300 {
		a.publish(t, a.event(fmt.Sprint(i), "a"))
	}
	a.append(t, a.event("not its room", "x"))
	more, err := b.log(t).MissedSince(ctx, s, missed.Last)
	if err != nil {
		t.Fatal(err)
	}
	if names := eventNames(t, more.Messages); len(names) != 300 || names[0] != "0" || names[299] != "299" {
		t.Errorf("%d messages: %q", len(names), names)
	}
}

func logLeave(t *testing.T, process func() broker.Cluster) {
	ctx := context.Background()
	a, b := join(t, process(), namespace), join(t, process(), namespace)
	offset := a.append(t, a.event("seen"))
	a.store(t, session("pid"), time.Minute)
	a.append(t, a.event("1"))
	a.node.Leave()
	l := a.log(t)
	err := l.Append(a.event("late"), func(string, error) { t.Error("done was called") })
	_, _, restore := l.RestoreSession(ctx, "pid", offset)
	_, since := l.MissedSince(ctx, session("pid"), offset)
	for name, err := range map[string]error{
		"Append": err, "StoreSession": l.StoreSession(session("late"), time.Minute), "RestoreSession": restore, "MissedSince": since,
	} {
		if !errors.Is(err, broker.ErrClosed) {
			t.Errorf("%s after Leave: %v", name, err)
		}
	}
	_, missed, err := b.log(t).RestoreSession(ctx, "pid", offset)
	if err != nil {
		t.Fatal(err)
	}
	if names := eventNames(t, missed.Messages); !slices.Equal(names, []string{"1"}) {
		t.Errorf("missed %q", names)
	}
}
