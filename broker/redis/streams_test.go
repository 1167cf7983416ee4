package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/brokertest"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestStreamsSuites(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	var clusters atomic.Int32
	for _, tt := range []struct {
		name string
		edit func(*Options)
	}{
		{"one stream", func(*Options) {}},
		{"four streams, sharded pub/sub", func(o *Options) { o.StreamCount, o.ShardedPubSub = 4, true }},
	} {
		start := func(t *testing.T) func() broker.Cluster {
			name := fmt.Sprint("c", clusters.Add(1))
			return func() broker.Cluster {
				return openBroker(t, server.URL(), func(o *Options) {
					o.Adapter, o.Prefix, o.StreamName, o.SessionPrefix = Streams, name, name, name+":"
					tt.edit(o)
				}).Cluster()
			}
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Run("cluster", func(t *testing.T) { brokertest.ClusterOfTwoWays(t, start) })
			t.Run("log", func(t *testing.T) { brokertest.Log(t, start) })
		})
	}
}

// follower is a node of the streams adapter that keeps what it is given.
type follower struct {
	*streamsNode

	mu   sync.Mutex
	got  []*cluster.Message
	gaps []broker.Gap
	hold chan struct{} // Deliver waits for it; nil: it does not
}

// follow joins a namespace, and returns when messages reach the node.
func follow(t *testing.T, b *Broker, namespace string) *follower {
	t.Helper()
	return followHeld(t, b, namespace, nil)
}

func followHeld(t *testing.T, b *Broker, namespace string, hold chan struct{}) *follower {
	t.Helper()
	l := &follower{hold: hold}
	node, err := b.Cluster().Join(namespace, broker.ClusterReceiver{Deliver: l.deliver, Gap: l.miss})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Leave)
	l.streamsNode = node.(*streamsNode)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := node.Members(ctx); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *follower) deliver(m *cluster.Message) {
	if l.hold != nil {
		<-l.hold
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, m)
}

func (l *follower) miss(g broker.Gap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gaps = append(l.gaps, g)
}

// names are the events that came.
func (l *follower) names() (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.got {
		if args := m.Packet.Payload.Args(); len(args) > 0 {
			names = append(names, args[0].String())
		} else {
			names = append(names, m.Kind.String())
		}
	}
	return names
}

// lost are the messages that gaps of a reason told of, and how many gaps that were.
func (l *follower) lost(reason broker.GapReason) (messages int64, gaps int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.gaps {
		if g.Reason == reason {
			messages += g.Lost
			gaps++
		}
	}
	return messages, gaps
}

// await waits for events.
func (l *follower) await(t *testing.T, want ...string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("got %q", l.names())
		}
	}()
	testkit.Eventually(t, func() bool { return len(l.names()) >= len(want) }, patience)
	if got := l.names(); !slices.Equal(got, want) {
		t.Fatalf("want %q", want)
	}
}

// event is a broadcast of the node.
func (l *follower) event(name string, rooms ...string) *cluster.Message {
	return &cluster.Message{
		Kind: cluster.Broadcast, UID: l.uid, Namespace: l.namespace, Options: cluster.Options{Rooms: rooms},
		Packet: cluster.Packet{Type: sio.Event, Payload: sio.Payload{JSON: []byte("[" + strconv.Quote(name) + "]")}},
	}
}

// addEntry puts an event of another server into a stream, as Node writes it, and
// returns its id.
func addEntry(server *testkit.Redis, stream, namespace, name string) string {
	id, _ := server.Do("XADD", stream, "*", "uid", "0123456789abcdef", "nsp", namespace, "type", "3",
		"data", `{"packet":{"type":2,"data":[`+strconv.Quote(name)+`]},"opts":{"rooms":[],"except":[],"flags":{}}}`).(string)
	return id
}

func streamsOf(o *Options) {
	steady(o)
	o.Adapter = Streams
}

// TestStreamsHostile has entries in the stream that no server should write.
func TestStreamsHostile(t *testing.T) {
	server := testkit.StartRedis(t)
	l := follow(t, openBroker(t, server.URL(), streamsOf), "/")
	long := make([]byte, 1<<20)
	for i := range long {
		long[i] = '['
	}
	entries := [][]string{ // those that count as skipped first
		{"uid", "x", "nsp", "/", "type", "3"},
		{"uid", "x", "nsp", "/", "type", "3", "data", "{}"},
		{"uid", "x", "nsp", "/", "type", "3", "data", `{"packet":{"type":2,"data":["e"]}}`},
		{"uid", "x", "nsp", "/", "type", "3", "data", `{"opts":{"rooms":[],"except":[]}}`},
		{"uid", "x", "nsp", "/", "type", "3", "data", `{"packet":{"type":2,"data":[]},"opts":{"rooms":[],"except":[]}}`},
		{"uid", "x", "nsp", "/", "type", "3", "data", "{" + string(long)},
		{"uid", "x", "nsp", "/", "type", "3", "data", "3f////8="},
		{"uid", "x", "nsp", "/", "type", "3", "data", "not base64"},
		{"uid", "x", "nsp", "/", "type", "4", "data", "{}"},
		{"uid", "x", "nsp", "/", "type", "7", "data", "{}"},
		{"uid", "x", "nsp", "/", "type", "-3", "data", "{}"},
		{"uid", "x", "nsp", "/", "data", "{}"},
		nil,
		{"foo", "bar"},
		{"nsp", "/nobody", "type", "3"},
		{"uid", "x", "nsp", "/", "type", "99", "data", "{}"},
		{"uid", l.uid, "nsp", "/", "type", "3", "data", "poison of its own"},
	}
	skipped := uint64(slices.IndexFunc(entries, func(e []string) bool { return e == nil }))
	for _, e := range entries {
		if e != nil {
			server.Do(append([]string{"XADD", "socket.io", "*"}, e...)...)
		}
	}
	server.Do("PUBLISH", "socket.io#/#", "\xdf\xff\xff\xff\xff")
	addEntry(server, "socket.io", "/", "good")
	l.await(t, "good")
	testkit.Eventually(t, func() bool { return l.skipped.Load() == skipped+1 }, patience)
	if h := l.Health(); !h.Up || h.Lost != skipped+1 || len(l.gaps) > 0 {
		t.Errorf("health %+v, gaps %v", h, l.gaps)
	}
}

// TestStreamsWire has what a Node server would see of this node.
func TestStreamsWire(t *testing.T) {
	server := testkit.StartRedis(t)
	b := openBroker(t, server.URL(), streamsOf)
	l := follow(t, b, "/chat")
	publish := func(m *cluster.Message) {
		t.Helper()
		m.UID, m.Namespace = l.uid, "/chat"
		if err := l.Publish(m); err != nil {
			t.Fatal(err)
		}
	}
	publish(l.event("hello", "room1"))
	binary := l.event("bin")
	binary.Packet.Payload = sio.Payload{JSON: []byte(`["bin",{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{1}}}
	publish(binary)
	publish(&cluster.Message{Kind: cluster.SocketsJoin, Rooms: []string{"a"}})
	publish(&cluster.Message{Kind: cluster.SocketsLeave, Rooms: []string{"a"}})
	publish(&cluster.Message{Kind: cluster.DisconnectSockets, Close: true})
	publish(&cluster.Message{Kind: cluster.FetchSockets, RequestID: "r"})
	publish(&cluster.Message{Kind: cluster.ServerSideEmit, Args: sio.Payload{JSON: []byte(`["e"]`)}})
	var entries []any
	testkit.Eventually(t, func() bool {
		entries, _ = server.Do("XRANGE", "socket.io", "-", "+").([]any)
		return len(entries) >= 5
	}, patience)
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprint(e.([]any)[1]))
	}
	want := []string{
		`[uid ` + l.uid + ` nsp /chat type 3 data {"packet":{"type":2,"data":["hello"]},"opts":{"rooms":["room1"],"except":[],"flags":{}}}]`,
		`[uid ` + l.uid + ` nsp /chat type 3 data gqZwYWNrZXSCpHR5cGUCpGRhdGGSo2JpbsQB/6RvcHRzg6Vyb29tc5Glcm9vbTGmZXhjZXB0kKVmbGFnc4A=]`,
		`[uid ` + l.uid + ` nsp /chat type 4 data {"opts":{"rooms":[],"except":[],"flags":{}},"rooms":["a"]}]`,
		`[uid ` + l.uid + ` nsp /chat type 5 data {"opts":{"rooms":[],"except":[],"flags":{}},"rooms":["a"]}]`,
		`[uid ` + l.uid + ` nsp /chat type 6 data {"opts":{"rooms":[],"except":[],"flags":{}},"close":true}]`,
	}
	for i := range want {
		if i != 1 && got[i] != want[i] { // the binary one is in the codec's tests
			t.Errorf("entry %d is %s, want %s", i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d entries, want %d", len(got), len(want))
	}
	if n := b.opts.StreamMaxLen; n != 10_000 {
		t.Errorf("the stream keeps %d entries", n)
	}
}

// TestStreamsTrim publishes beyond the length of the stream.
func TestStreamsTrim(t *testing.T) {
	server := testkit.StartRedis(t)
	l := follow(t, openBroker(t, server.URL(), func(o *Options) {
		streamsOf(o)
		o.StreamMaxLen = 200
	}), "/")
	var done atomic.Int32
	const messages = 1000
	for i := range messages {
		if err := l.Append(l.event(strconv.Itoa(i)), func(string, error) { done.Add(1) }); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, func() bool { return done.Load() == messages }, patience)
	if n, _ := server.Do("XLEN", "socket.io").(int64); n < 200 || n > 400 {
		t.Errorf("the stream has %d entries, want 200 and at most as many as the server keeps together", n)
	}
}

// TestStreamsFence has a question arrive behind what was sent before it.
func TestStreamsFence(t *testing.T) {
	server := testkit.StartRedis(t)
	from := follow(t, openBroker(t, server.URL(), streamsOf), "/")
	to := follow(t, openBroker(t, server.URL(), func(o *Options) {
		streamsOf(o)
		o.StreamReadCount = 10
	}), "/")
	var want []string
	for i := range 300 {
		name := strconv.Itoa(i)
		if err := from.Publish(from.event(name)); err != nil {
			t.Fatal(err)
		}
		want = append(want, name)
	}
	if err := from.Publish(&cluster.Message{Kind: cluster.FetchSockets, UID: from.uid, Namespace: "/", RequestID: "r"}); err != nil {
		t.Fatal(err)
	}
	to.await(t, append(want, cluster.FetchSockets.String())...)
}

// TestStreamsNegative has what Node writes to a stream that it does not read.
func TestStreamsNegative(t *testing.T) {
	server := testkit.StartRedis(t)
	four := func(o *Options) {
		streamsOf(o)
		o.StreamCount = 4
	}
	a := follow(t, openBroker(t, server.URL(), four), "/tenant-1")
	b := follow(t, openBroker(t, server.URL(), four), "/tenant-1")
	addEntry(server, "socket.io--3", "/tenant-1", "node")
	b.await(t, "node")
	if err := a.Publish(a.event("wsd")); err != nil {
		t.Fatal(err)
	}
	b.await(t, "node", "wsd")
	if n := server.Do("XLEN", "socket.io-1"); n != int64(1) {
		t.Errorf("%v entries where Node reads", n)
	}
}
