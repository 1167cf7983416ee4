package brokertest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// Cluster runs the suite of broker.Cluster. start begins a cluster without nodes
// that ends with the test t, and returns a function that adds a process to it:
// one that joins everything in one process may return the same value each time.
func Cluster(t *testing.T, start func(t *testing.T) func() broker.Cluster) {
	runCluster(t, start, oneWay)
}

// ClusterOfTwoWays is Cluster for implementations that have one way for what
// changes something at once (broadcasts that ask for nothing, joins, leaves and
// disconnects) and another for requests. Order is kept on each; a request may come
// late, but never before what was published before it.
func ClusterOfTwoWays(t *testing.T, start func(t *testing.T) func() broker.Cluster) {
	runCluster(t, start, twoWays)
}

func runCluster(t *testing.T, start func(t *testing.T) func() broker.Cluster, arrange arrangement) {
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, process func() broker.Cluster)
	}{
		{"a message reaches all others and not its sender", reachesOthers},
		{"namespaces are apart", namespacesApart},
		{"a process may join twice", joinsTwice},
		{"names are unique", uniqueNames},
		{"each publisher's order is kept", keepsOrder},
		{"order is kept across kinds", func(t *testing.T, process func() broker.Cluster) { keepsOrderOfKinds(t, process, arrange) }},
		{"PublishThen tells what was taken, in order", tellsWhatWasTaken},
		{"answers reach the node that asked, in order", answers},
		{"messages arrive whole", func(t *testing.T, process func() broker.Cluster) { arrivesWhole(t, process, arrange) }},
		{"incomplete messages are refused", refusesIncomplete},
		{"nodes are counted", countsNodes},
		{"nodes are named", namesNodes},
		{"rooms that were told of are reached", reachesRooms},
		{"rooms of any name are reached", reachesAnyRoom},
		{"nothing is delivered after Leave", leaves},
		{"a node may leave while it is delivered to", leavesInside},
		{"publishing does not wait for a receiver", neverBlocks},
		{"deliveries do not overlap", deliversOneByOne},
		{"everything at once", allAtOnce},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, start(t)) })
	}
}

func reachesOthers(t *testing.T, process func() broker.Cluster) {
	a, b, c := join(t, process(), namespace), join(t, process(), namespace), join(t, process(), namespace)
	a.publish(t, a.event("first"))
	b.await(t, "first")
	c.await(t, "first")
	// What a sent would have come back before what b sends now.
	b.publish(t, b.event("second"))
	a.await(t, "second")
	c.await(t, "first", "second")
	if got := b.received()[0]; got.UID != a.node.UID() || got.Namespace != namespace {
		t.Errorf("the message is of %q in %q, want %q in %q", got.UID, got.Namespace, a.node.UID(), namespace)
	}
	b.await(t, "first")
}

func namespacesApart(t *testing.T, process func() broker.Cluster) {
	one, two := process(), process()
	a, b := join(t, one, "/"), join(t, two, "/")
	other, prefix := join(t, two, "/other"), join(t, two, "/o")
	away := join(t, one, "/other")
	away.publish(t, away.event("other"))
	other.await(t, "other")
	a.publish(t, a.event("root"))
	b.await(t, "root")
	away.publish(t, away.event("again"))
	other.await(t, "other", "again")
	if got := slices.Concat(a.names(), away.names(), prefix.names()); len(got) > 0 {
		t.Errorf("%q came where they do not belong", got)
	}
}

func joinsTwice(t *testing.T, process func() broker.Cluster) {
	p := process()
	a, b := join(t, p, namespace), join(t, p, namespace)
	a.publish(t, a.event("x"))
	b.await(t, "x")
	b.publish(t, b.event("y"))
	a.await(t, "y")
}

func uniqueNames(t *testing.T, process func() broker.Cluster) {
	seen := map[string]bool{"": true}
	for _, p := range []broker.Cluster{process(), process()} {
		for _, nsp := range []string{namespace, namespace, "/other"} {
			uid := join(t, p, nsp).node.UID()
			if seen[uid] {
				t.Errorf("%q is empty or was there before", uid)
			}
			seen[uid] = true
		}
	}
}

func keepsOrder(t *testing.T, process func() broker.Cluster) {
	const messages = 300
	members := []*member{join(t, process(), namespace), join(t, process(), namespace), join(t, process(), namespace)}
	var wg sync.WaitGroup
	for _, m := range members {
		wg.Go(func() {
			for i := range messages {
				if err := m.node.Publish(m.event(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, m := range members {
		testkit.Eventually(t, func() bool { return len(m.received()) >= messages*(len(members)-1) }, patience)
		next := map[string]int{}
		for _, x := range m.received() {
			if eventName(x) != fmt.Sprint(next[x.UID]) {
				t.Fatalf("message %s of a node came in place of %d", eventName(x), next[x.UID])
			}
			next[x.UID]++
		}
		if len(next) != len(members)-1 || next[m.node.UID()] > 0 {
			t.Errorf("messages of %d nodes", len(next))
		}
	}
}

// keepsOrderOfKinds has what changes the rooms between what goes to them.
func keepsOrderOfKinds(t *testing.T, process func() broker.Cluster, arrange arrangement) {
	const rounds = 50
	a, b := join(t, process(), namespace), join(t, process(), namespace)
	b.node.RoomJoined("r")
	testkit.Eventually(t, func() bool {
		a.publish(t, a.event("ready", "r"))
		return len(b.received()) > 0
	}, patience)
	var want []*cluster.Message
	for i := range rounds {
		name := fmt.Sprint(i)
		for _, m := range []*cluster.Message{
			a.event(name, "r"),
			a.event(name),
			{Kind: cluster.SocketsJoin, Rooms: []string{"x"}},
			a.event(name, "r", "x"),
			a.event(name, "r"),
			{Kind: cluster.SocketsLeave, Rooms: []string{"x"}},
			{Kind: cluster.ServerSideEmit, Args: sio.Payload{JSON: []byte(`["e"]`)}},
		} {
			m.UID, m.Namespace = a.node.UID(), namespace
			want = append(want, m)
			a.publish(t, m)
		}
	}
	came := func() []*cluster.Message {
		return slices.DeleteFunc(b.received(), func(m *cluster.Message) bool { return eventName(m) == "ready" })
	}
	testkit.Eventually(t, func() bool { return len(came()) >= len(want) }, patience)
	got := arrange(t, came(), want)
	for i := range got {
		if eventName(got[i]) != eventName(want[i]) {
			t.Fatalf("message %d of %d is %q, want %q", i, len(got), eventName(got[i]), eventName(want[i]))
		}
	}
}

func answers(t *testing.T, process func() broker.Cluster) {
	a, b, c := join(t, process(), namespace), join(t, process(), namespace), join(t, process(), namespace)
	question := a.event("question")
	question.RequestID = "request"
	a.publish(t, question)
	b.await(t, "question")
	asker := b.received()[0]
	if asker.RequestID != question.RequestID {
		t.Fatalf("request %q became %q", question.RequestID, asker.RequestID)
	}
	for i := range 10 {
		if err := b.node.Respond(asker.UID, b.count(asker.RequestID, i)); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, func() bool { return len(a.received()) >= 10 }, patience)
	for i, x := range a.received() {
		if x.Kind != cluster.BroadcastClientCount || x.RequestID != question.RequestID || x.Count != i {
			t.Errorf("answer %d is %+v", i, x)
		}
		// A dialect may have no word for who answers.
		if x.UID != b.node.UID() && x.UID != "" {
			t.Errorf("answer %d is of %q", i, x.UID)
		}
	}
	c.await(t, "question") // which may go another way than the end
	a.publish(t, a.event("end"))
	c.await(t, "question", "end")
	b.await(t, "question", "end")

	c.node.Leave()
	if err := b.node.Respond(c.node.UID(), b.count("late", 0)); err != nil {
		t.Errorf("an answer to a node that has left: %v", err)
	}
}

func arrivesWhole(t *testing.T, process func() broker.Cluster, arrange arrangement) {
	a, b := join(t, process(), namespace), join(t, process(), namespace)
	yes, no := true, false
	payload, err := sio.EncodePayload([]any{"event", 1.5, "é\u2028\"", nil, []byte{0, 1, 0xff}, map[string]any{"in": []any{[]byte{2}, true}}})
	if err != nil {
		t.Fatal(err)
	}
	text := sio.Payload{JSON: []byte(`["event",{"a":[1,null]},"x"]`)}
	options := cluster.Options{Rooms: []string{"a#b", "{c} *?[", "é"}, Except: []string{"d"}}
	questions := []*cluster.Message{
		{Kind: cluster.Broadcast, Packet: cluster.Packet{Type: sio.Event, Payload: payload}, Options: cluster.Options{Rooms: options.Rooms, Except: options.Except, Flags: cluster.Flags{Volatile: true, Compress: &no}}},
		{Kind: cluster.Broadcast, Packet: cluster.Packet{Type: sio.Event, Payload: text}},
		{Kind: cluster.Broadcast, Packet: cluster.Packet{Type: sio.Event, Payload: text}, Options: cluster.Options{Except: options.Except, Flags: cluster.Flags{Compress: &yes}}},
		{Kind: cluster.Broadcast, RequestID: "r1", Packet: cluster.Packet{Type: sio.Event, Payload: payload}, Options: cluster.Options{Flags: cluster.Flags{Timeout: 1500}}},
		{Kind: cluster.Broadcast, RequestID: "r4", Packet: cluster.Packet{Type: sio.Event, Payload: text}, Options: cluster.Options{Rooms: []string{"sid"}, Flags: cluster.Flags{Timeout: 20, ExpectSingleResponse: true}}},
		{Kind: cluster.SocketsJoin, Options: options, Rooms: []string{"x", "y"}},
		{Kind: cluster.SocketsLeave, Options: cluster.Options{Except: options.Except}, Rooms: []string{"x"}},
		{Kind: cluster.DisconnectSockets, Options: options, Close: true},
		{Kind: cluster.DisconnectSockets},
		{Kind: cluster.FetchSockets, RequestID: "r2", Options: options},
		{Kind: cluster.ServerSideEmit, Args: text},
		{Kind: cluster.ServerSideEmit, RequestID: "r3", Args: text},
	}
	for _, m := range questions {
		m.UID, m.Namespace = a.node.UID(), namespace
		a.publish(t, m)
	}
	one := sio.Payload{JSON: []byte(`[{"answer":[1]}]`)}
	first, err := sio.EncodePayload([]any{[]byte{1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	replies := []*cluster.Message{
		{Kind: cluster.BroadcastClientCount, RequestID: "r1", Count: 7},
		{Kind: cluster.BroadcastAck, RequestID: "r1", Args: first},
		{Kind: cluster.BroadcastAck, RequestID: "r1", Args: sio.Payload{JSON: []byte("[]")}},
		{Kind: cluster.FetchSocketsResponse, RequestID: "r2", Sockets: []cluster.Socket{
			{ID: "sid", Rooms: []string{"sid", "x"}, Handshake: []byte(`{"query":{"EIO":"4"},"issued":1}`), Data: []byte(`{"name":"n"}`)},
			{ID: "other", Rooms: []string{"other"}, Handshake: []byte(`{}`), Data: []byte(`null`)},
		}},
		{Kind: cluster.FetchSocketsResponse, RequestID: "r2"},
		{Kind: cluster.ServerSideEmitResponse, RequestID: "r3", Args: one},
		{Kind: cluster.ServerSideEmitResponse, RequestID: "r3", Args: sio.Payload{JSON: []byte("[]")}},
		{Kind: cluster.BroadcastClientCount, RequestID: "r4"},
	}
	for _, m := range replies {
		m.UID, m.Namespace = b.node.UID(), namespace
		if err := b.node.Respond(a.node.UID(), m); err != nil {
			t.Fatal(err)
		}
	}
	compare(t, b, questions, arrange)
	compare(t, a, replies, oneWay)
}

// compare waits for these messages. An implementation may leave out the sender
// of an answer, and what its dialect has no word for.
func compare(t *testing.T, at *member, want []*cluster.Message, arrange arrangement) {
	t.Helper()
	testkit.Eventually(t, func() bool { return len(at.received()) >= len(want) }, patience)
	for i, got := range arrange(t, at.received(), want) {
		if g, w := describe(t, got), describe(t, want[i]); !reflect.DeepEqual(g, w) {
			t.Errorf("message %d, %v: got\n%v, want\n%v", i, want[i].Kind, g, w)
		}
	}
}

// describe has what has to arrive, in a form that can be compared: JSON may be
// written in another way.
func describe(t *testing.T, m *cluster.Message) map[string]any {
	t.Helper()
	d := map[string]any{
		"kind": m.Kind, "namespace": m.Namespace, "request": m.RequestID, "close": m.Close, "count": m.Count,
		"in": strings.Join(m.Options.Rooms, "\x00"), "except": strings.Join(m.Options.Except, "\x00"), "rooms": strings.Join(m.Rooms, "\x00"),
		"event": values(t, m.Packet.Payload), "args": values(t, m.Args),
	}
	if m.Kind == cluster.Broadcast {
		f := m.Options.Flags
		d["volatile"], d["timeout"], d["single"] = f.Volatile, f.Timeout, f.ExpectSingleResponse
		if f.Compress != nil {
			d["compress"] = *f.Compress
		}
	}
	if !m.Kind.Response() {
		d["uid"] = m.UID
	}
	for _, s := range m.Sockets {
		d["socket "+s.ID] = []any{strings.Join(s.Rooms, "\x00"), value(t, s.Handshake), value(t, s.Data)}
	}
	return d
}

func values(t *testing.T, p sio.Payload) (all []any) {
	t.Helper()
	for _, v := range p.Args() {
		x, err := v.Any()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	return all
}

func value(t *testing.T, json []byte) any {
	t.Helper()
	x, err := sio.RawValue(json).Any()
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func refusesIncomplete(t *testing.T, process func() broker.Cluster) {
	a, b := join(t, process(), namespace), join(t, process(), namespace)
	empty := a.event("x")
	empty.Packet.Payload.JSON = nil
	for name, err := range map[string]error{
		"an event without a name":     a.node.Publish(empty),
		"a message of no kind":        a.node.Publish(&cluster.Message{UID: a.node.UID(), Namespace: namespace}),
		"an answer published":         a.node.Publish(a.count("r", 1)),
		"a question as an answer":     a.node.Respond(b.node.UID(), a.event("x")),
		"an answer without a request": a.node.Respond(b.node.UID(), a.count("", 1)),
	} {
		if !errors.Is(err, cluster.ErrMessage) {
			t.Errorf("%s: %v, want %v", name, err, cluster.ErrMessage)
		}
	}
	a.publish(t, a.event("end"))
	b.await(t, "end")
}

func countsNodes(t *testing.T, process func() broker.Cluster) {
	ctx := context.Background()
	others := func(m *member, want int) {
		t.Helper()
		got := 0
		defer func() {
			if t.Failed() {
				t.Logf("%d other nodes, want %d", got, want)
			}
		}()
		testkit.Eventually(t, func() bool {
			all, err := m.node.Members(ctx)
			if err != nil {
				t.Fatal(err)
			}
			got = all.Others
			return got == want
		}, patience)
	}
	a := join(t, process(), namespace)
	others(a, 0)
	b, c := join(t, process(), namespace), join(t, process(), namespace)
	join(t, process(), "/other")
	others(a, 2)
	others(b, 2)
	c.node.Leave()
	others(a, 1)
	b.node.Leave()
	others(a, 0)
	if _, err := b.node.Members(ctx); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("after Leave: %v", err)
	}
}

func namesNodes(t *testing.T, process func() broker.Cluster) {
	a, b, c := join(t, process(), namespace), join(t, process(), namespace), join(t, process(), namespace)
	named := func(want ...*member) {
		t.Helper()
		var uids, got []string
		for _, m := range want {
			uids = append(uids, m.node.UID())
		}
		slices.Sort(uids)
		defer func() {
			if t.Failed() {
				t.Logf("names are %q, want %q", got, uids)
			}
		}()
		testkit.Eventually(t, func() bool {
			all, err := a.node.Members(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			got = slices.Sorted(slices.Values(all.UIDs))
			if slices.Contains(got, a.node.UID()) || len(slices.Compact(slices.Clone(got))) < len(got) || len(got) > all.Others {
				t.Fatalf("%d others are %q", all.Others, got)
			}
			return slices.Equal(got, uids)
		}, patience)
	}
	b.publish(t, b.event("b"))
	c.publish(t, c.event("c"))
	named(b, c)
	c.node.Leave()
	named(b)
}

// reachesRooms is patient: a subscription may need its time.
func reachesRooms(t *testing.T, process func() broker.Cluster) {
	a, b := join(t, process(), namespace), join(t, process(), namespace)
	const room, sid = "a room", "aaaaaaaaaaaaaaaaaaaa"
	b.node.RoomJoined(room)
	has := func(name string) func() bool {
		return func() bool { return slices.Contains(b.names(), name) }
	}
	testkit.Eventually(t, func() bool {
		a.publish(t, a.event("room", room))
		return has("room")()
	}, patience)
	// These do not depend on what was told, but that of a socket's id may.
	if private, ok := b.node.(broker.ClusterPrivate); ok && private.OwnRooms() {
		b.node.RoomJoined(sid)
	}
	a.publish(t, a.event("two", room, "another"))
	a.publish(t, a.event("all"))
	for _, name := range []string{"two", "all"} {
		testkit.Eventually(t, has(name), patience)
	}
	testkit.Eventually(t, func() bool {
		a.publish(t, a.event("own", sid))
		return has("own")()
	}, patience)
	b.node.RoomLeft(room)
	b.node.RoomJoined(room)
	testkit.Eventually(t, func() bool {
		a.publish(t, a.event("again", room))
		return has("again")()
	}, patience)
}

func reachesAnyRoom(t *testing.T, process func() broker.Cluster) {
	a, b := join(t, process(), namespace), join(t, process(), namespace)
	for _, room := range []string{
		"r#s", "#", "##", " ", "{tag}x", "*", "[a-z]?\\", "42", "é", "\u2028", "twenty letters: here",
		strings.Repeat("é", 10), strings.Repeat("é", 20), strings.Repeat("😀", 10), b.node.UID(), strings.Repeat("x", 5000),
	} {
		b.node.RoomJoined(room)
		has := func() bool {
			return slices.ContainsFunc(b.received(), func(x *cluster.Message) bool { return slices.Equal(x.Options.Rooms, []string{room}) })
		}
		testkit.Eventually(t, func() bool {
			a.publish(t, a.event("room", room))
			return has()
		}, patience)
		b.node.RoomLeft(room)
	}
}

func leaves(t *testing.T, process func() broker.Cluster) {
	a, b, c := join(t, process(), namespace), join(t, process(), namespace), join(t, process(), namespace)
	testkit.Eventually(t, func() bool { return b.node.Health().Up }, patience)
	a.publish(t, a.event("before"))
	b.await(t, "before")
	b.node.Leave()
	b.node.Leave()
	a.publish(t, a.event("after"))
	c.await(t, "before", "after")
	c.publish(t, c.event("fence"))
	a.await(t, "fence")
	b.await(t, "before")
	if err := b.node.Publish(b.event("late")); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("Publish after Leave: %v", err)
	}
	if err := b.node.Respond(a.node.UID(), b.count("late", 1)); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("Respond after Leave: %v", err)
	}
	b.node.RoomJoined("late")
	b.node.RoomLeft("late")
	if h := b.node.Health(); h.Up || h.Reason == "" {
		t.Errorf("health after Leave: %+v", h)
	}
	a.await(t, "fence")
}

func leavesInside(t *testing.T, process func() broker.Cluster) {
	a, c := join(t, process(), namespace), join(t, process(), namespace)
	var calls atomic.Int32
	var node atomic.Pointer[broker.ClusterNode]
	left := make(chan struct{})
	b, err := process().Join(namespace, broker.ClusterReceiver{Deliver: func(*cluster.Message) {
		if calls.Add(1) == 1 {
			(*node.Load()).Leave()
			close(left)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Leave)
	node.Store(&b)
	settle(t, b)
	for i := range 20 {
		a.publish(t, a.event(fmt.Sprint(i)))
	}
	<-left
	a.publish(t, a.event("end"))
	testkit.Eventually(t, func() bool { return len(c.received()) == 21 }, patience)
	if n := calls.Load(); n != 1 {
		t.Errorf("%d deliveries, want 1", n)
	}
}

func neverBlocks(t *testing.T, process func() broker.Cluster) {
	const messages = 200
	a, c := join(t, process(), namespace), join(t, process(), namespace)
	var got atomic.Int32
	release := make(chan struct{})
	b, err := process().Join(namespace, broker.ClusterReceiver{Deliver: func(*cluster.Message) {
		<-release
		got.Add(1)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Leave)
	settle(t, b)
	for i := range messages {
		a.publish(t, a.event(fmt.Sprint(i)))
	}
	// Others do not wait for it either.
	testkit.Eventually(t, func() bool { return len(c.received()) == messages }, patience)
	if n := got.Load(); n != 0 {
		t.Errorf("%d deliveries are over", n)
	}
	close(release)
	testkit.Eventually(t, func() bool { return got.Load() == messages }, patience)
}

func deliversOneByOne(t *testing.T, process func() broker.Cluster) {
	const senders, messages = 3, 100
	var running, got atomic.Int32
	b, err := process().Join(namespace, broker.ClusterReceiver{Deliver: func(*cluster.Message) {
		if running.Add(1) > 1 {
			t.Error("two deliveries at a time")
		}
		runtime.Gosched() // gives a second one its chance
		got.Add(1)
		running.Add(-1)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Leave)
	settle(t, b)
	// Answers to nobody's question might be left out.
	if err := b.Publish(&cluster.Message{Kind: cluster.FetchSockets, UID: b.UID(), Namespace: namespace, RequestID: "r"}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range senders {
		m := join(t, process(), namespace)
		wg.Go(func() {
			for i := range messages {
				if err := errors.Join(m.node.Publish(m.event("e")), m.node.Respond(b.UID(), m.count("r", i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	testkit.Eventually(t, func() bool { return got.Load() == 2*senders*messages }, patience)
}

// allAtOnce is for the race detector.
func allAtOnce(t *testing.T, process func() broker.Cluster) {
	const workers, rounds = 6, 15
	ctx := context.Background()
	fixed := join(t, process(), namespace)
	processes := []broker.Cluster{process(), process()}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				m := &member{namespace: namespace}
				node, err := processes[w%len(processes)].Join(namespace, broker.ClusterReceiver{Deliver: m.keep})
				if err != nil {
					t.Error(err)
					return
				}
				m.node = node
				node.RoomJoined("r")
				err = errors.Join(node.Publish(m.event("e", "r")), node.Respond(fixed.node.UID(), m.count("r", i)))
				if _, count := node.Members(ctx); err != nil || count != nil {
					t.Error(err, count)
				}
				node.Health()
				node.RoomLeft("r")
				node.Leave()
			}
		})
	}
	for range rounds {
		fixed.publish(t, fixed.event("fixed"))
	}
	wg.Wait()
	testkit.Eventually(t, func() bool {
		n, err := fixed.node.Members(ctx)
		return err == nil && n.Others == 0
	}, patience)
	late := join(t, process(), namespace)
	late.publish(t, late.event("end"))
	testkit.Eventually(t, func() bool { return slices.Contains(fixed.names(), "end") }, patience)
}
