package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/brokertest"
	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// adapters are the ways to speak by pub/sub.
var adapters = []struct {
	name string
	o    redis.Options
}{
	{"classic", redis.Options{}},
	{"classic, specific responses", redis.Options{SpecificResponses: true}},
	{"sharded, dynamic", redis.Options{Adapter: redis.Sharded}},
	{"sharded, static", redis.Options{Adapter: redis.Sharded, SubscriptionMode: redis.Static}},
	{"sharded, dynamic-private", redis.Options{Adapter: redis.Sharded, SubscriptionMode: redis.DynamicPrivate}},
}

var prefixes, servers atomic.Int64

// connect opens a Broker that ends with the test.
func connect(t *testing.T, server interface{ URL() string }, o redis.Options) *redis.Broker {
	t.Helper()
	o.URLs, o.Logger = []string{server.URL()}, slog.New(slog.DiscardHandler)
	o.Server = fmt.Sprint("test", servers.Add(1))
	// Nobody who is slow is taken for dead: on a busy machine anybody may be.
	o.ProbeInterval, o.ProbeTimeout, o.CommandTimeout = 100*time.Millisecond, patience/2, patience/2
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b, err := redis.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestClusterSuite(t *testing.T) {
	t.Parallel()
	for _, tt := range adapters {
		t.Run(tt.name, func(t *testing.T) {
			server := testkit.StartRedis(t)
			brokertest.Cluster(t, func(t *testing.T) func() broker.Cluster {
				o := tt.o
				o.Prefix = fmt.Sprint("p", prefixes.Add(1))
				return func() broker.Cluster { return connect(t, server, o).Cluster() }
			})
		})
	}
}

// seat is a node that keeps what it is given.
type seat struct {
	node broker.ClusterNode

	mu  sync.Mutex
	got []string // kinds, and names of events; gaps in their place
	all []*cluster.Message
}

// sit joins a cluster, and returns when others reach the node.
func sit(t *testing.T, b *redis.Broker, namespace string) *seat {
	t.Helper()
	s := &seat{}
	node, err := b.Cluster().Join(namespace, broker.ClusterReceiver{
		Deliver: func(m *cluster.Message) {
			name := m.Kind.String()
			if args := m.Packet.Payload.Args(); len(args) > 0 {
				name = args[0].String()
			}
			s.note(name, m)
		},
		Gap: func(g broker.Gap) { s.note("gap "+g.Reason.String(), nil) },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.node = node
	t.Cleanup(node.Leave)
	s.others(t)
	return s
}

func (s *seat) note(what string, m *cluster.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, what)
	if m != nil {
		s.all = append(s.all, m)
	}
}

func (s *seat) heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *seat) messages() []*cluster.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// await waits until what the node heard is this.
func (s *seat) await(t *testing.T, want ...string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("heard %q, want %q", s.heard(), want)
		}
	}()
	testkit.Eventually(t, func() bool { return len(s.heard()) >= len(want) }, patience)
	if !slices.Equal(s.heard(), want) {
		t.Fatal("that is not what was sent")
	}
}

func (s *seat) others(t *testing.T) broker.Members {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	all, err := s.node.Members(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// event is a broadcast of the node.
func (s *seat) event(name string, rooms ...string) *cluster.Message {
	return s.own(&cluster.Message{
		Kind: cluster.Broadcast, Options: cluster.Options{Rooms: rooms},
		Packet: cluster.Packet{Type: sio.Event, Payload: sio.Payload{JSON: fmt.Appendf(nil, "[%q]", name)}},
	})
}

// own makes a message the node's.
func (s *seat) own(m *cluster.Message) *cluster.Message {
	m.UID, m.Namespace = s.node.UID(), "/"
	return m
}

func (s *seat) publish(t *testing.T, m *cluster.Message) {
	t.Helper()
	if err := s.node.Publish(m); err != nil {
		t.Fatalf("%v: %v", m.Kind, err)
	}
}

// TestClusterJoinRace sends to a room in the breath in which sockets were told to
// join it: no node has told of the room yet.
func TestClusterJoinRace(t *testing.T) {
	t.Parallel()
	for _, tt := range adapters {
		t.Run(tt.name, func(t *testing.T) {
			server := testkit.StartRedis(t)
			a, b := sit(t, connect(t, server, tt.o), "/"), sit(t, connect(t, server, tt.o), "/")
			a.publish(t, a.own(&cluster.Message{Kind: cluster.SocketsJoin, Rooms: []string{"t"}}))
			a.publish(t, a.event("to t", "t"))
			b.await(t, "sockets join", "to t")
			// b knows of the join as well.
			b.publish(t, b.event("back", "t"))
			a.await(t, "back")
		})
	}
}

// TestClusterSilentNode has a program that is counted but says nothing.
func TestClusterSilentNode(t *testing.T) {
	t.Parallel()
	for _, tt := range adapters {
		t.Run(tt.name, func(t *testing.T) {
			server := testkit.StartRedis(t)
			a := sit(t, connect(t, server, tt.o), "/")
			if tt.o.Adapter == redis.Sharded {
				tap(t, server, "SSUBSCRIBE socket.io#/#")
			} else {
				tap(t, server, "SUBSCRIBE socket.io-request#/#")
			}
			if got := a.others(t); got.Others != 1 || len(got.UIDs) != 0 {
				t.Errorf("%+v, want one without a name", got)
			}
			a.publish(t, a.own(&cluster.Message{Kind: cluster.FetchSockets, RequestID: "r"}))
		})
	}
}

// TestClusterOutage takes the server away: a publication fails or is lost, each
// node is told once where messages may be missing, and all goes on.
func TestClusterOutage(t *testing.T) {
	t.Parallel()
	for _, tt := range adapters {
		t.Run(tt.name, func(t *testing.T) {
			server := testkit.StartRedis(t)
			a, b := sit(t, connect(t, server, tt.o), "/"), sit(t, connect(t, server, tt.o), "/")
			b.node.RoomJoined("r")
			a.publish(t, a.event("before"))
			b.await(t, "before")

			server.Kill()
			testkit.Eventually(t, func() bool {
				return errors.Is(a.node.Publish(a.event("lost")), broker.ErrUnavailable)
			}, patience)
			testkit.Eventually(t, func() bool { h := a.node.Health(); return !h.Up && h.Reason != "" && h.Lost > 0 }, patience)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := a.node.Members(ctx); err == nil {
				t.Error("nodes were counted without a server")
			}

			server.Start()
			for _, s := range []*seat{a, b} {
				testkit.Eventually(t, func() bool { return s.node.Health().Up }, patience)
				s.others(t)
			}
			a.publish(t, a.event("after"))
			testkit.Eventually(t, func() bool { return slices.Contains(b.heard(), "after") }, patience)
			// What was on its way when the server went may have come or not.
			got := slices.DeleteFunc(b.heard(), func(s string) bool { return s == "lost" })
			if want := []string{"before", "gap reconnected", "after"}; !slices.Equal(got, want) {
				t.Errorf("heard %q, want %q", got, want)
			}
			if h := b.node.Health(); h.Gaps != 1 {
				t.Errorf("health %+v, want one gap", h)
			}
		})
	}
}

// TestClusterLeaves looks at what stays on the server.
func TestClusterLeaves(t *testing.T) {
	t.Parallel()
	for _, tt := range adapters {
		t.Run(tt.name, func(t *testing.T) {
			server := testkit.StartRedis(t)
			b := connect(t, server, tt.o)
			first, second := sit(t, b, "/"), sit(t, b, "/")
			first.node.RoomJoined("r")
			channels := func() int {
				n := 0
				for _, command := range []string{"CHANNELS", "SHARDCHANNELS"} {
					n += len(server.Do("PUBSUB", command, "socket.io*").([]any))
				}
				return n
			}
			if got := channels(); got == 0 {
				t.Error("no channels")
			}
			if got := second.others(t); got.Others != 1 {
				t.Errorf("%+v, want the other node of the process", got)
			}
			first.node.Leave()
			if got := second.others(t); got.Others != 0 {
				t.Errorf("%+v after Leave, want none", got)
			}
			second.node.Leave()
			testkit.Eventually(t, func() bool { return channels() == 0 && server.Do("PUBSUB", "NUMPAT") == int64(0) }, patience)
		})
	}
}

// TestClusterClosed has a Broker that ends before its nodes.
func TestClusterClosed(t *testing.T) {
	t.Parallel()
	for _, tt := range adapters {
		t.Run(tt.name, func(t *testing.T) {
			b := connect(t, testkit.StartRedis(t), tt.o)
			a := sit(t, b, "/")
			if err := b.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := a.node.Publish(a.event("late")); !errors.Is(err, broker.ErrClosed) {
				t.Errorf("Publish: %v, want %v", err, broker.ErrClosed)
			}
			if _, err := a.node.Members(t.Context()); !errors.Is(err, broker.ErrClosed) {
				t.Errorf("Members: %v, want %v", err, broker.ErrClosed)
			}
			if _, err := b.Cluster().Join("/", broker.ClusterReceiver{}); !errors.Is(err, broker.ErrClosed) {
				t.Errorf("Join: %v, want %v", err, broker.ErrClosed)
			}
			if h := a.node.Health(); h.Up || h.Reason == "" {
				t.Errorf("health %+v", h)
			}
			a.node.RoomJoined("r")
			a.node.RoomLeft("r")
			a.node.Leave()
		})
	}
}

// TestClusterRefuses has messages that must not reach the wire.
func TestClusterRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range adapters {
		t.Run(tt.name, func(t *testing.T) {
			server := testkit.StartRedis(t)
			a := sit(t, connect(t, server, tt.o), "/")
			wire := monitor(t, server)
			foreign, elsewhere, broken := a.event("x"), a.event("x"), a.event("x")
			foreign.UID, elsewhere.Namespace = "other", "/other"
			broken.Packet.Payload.JSON = []byte(`["x",]`)
			for name, m := range map[string]*cluster.Message{
				"another's name":     foreign,
				"another namespace":  elsewhere,
				"no JSON":            broken,
				"a heartbeat":        a.own(&cluster.Message{Kind: cluster.Heartbeat}),
				"a node's goodbye":   a.own(&cluster.Message{Kind: cluster.AdapterClose}),
				"a fetch without id": a.own(&cluster.Message{Kind: cluster.FetchSockets}),
			} {
				if err := a.node.Publish(m); !errors.Is(err, cluster.ErrMessage) {
					t.Errorf("%s: %v, want %v", name, err, cluster.ErrMessage)
				}
			}
			a.publish(t, a.event("good"))
			wire.published(t, 1)
		})
	}
}
