package brokertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// PresenceCluster is what the suite of broker.Presence needs of an
// implementation.
type PresenceCluster struct {
	// Process adds a process; one that joins everything in one process may return
	// the same value each time.
	Process func() broker.Presence
	// Kill ends a process as if it had died: nothing is taken back. nil: this
	// can't happen.
	Kill func(broker.Presence)
	// Entry is what the keys that Node servers read say of a user: its newest
	// connection, nil for a user who is offline, and the server that it is sent to.
	// nil: there are no such keys.
	Entry func(user string) (newest *broker.Connection, owner string)
}

// Presence runs the suite of broker.Presence. start begins a cluster without
// nodes that ends with the test t.
func Presence(t *testing.T, start func(t *testing.T) PresenceCluster) {
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, c PresenceCluster)
	}{
		{"a user is online while one connection is", comesAndGoes},
		{"two tabs, closed in either order", twoTabs},
		{"two tabs on one node", twoTabsOneNode},
		{"the newest connection is what Node reads", newestWins},
		{"a connection that enters again has a new time", entersAgain},
		{"nobody takes back what another node told", exitsOwnOnly},
		{"a node that died vanishes with its users", diesAlone},
		{"ids of users are data", idsAreData},
		{"illegal ids are refused", refusesUsers},
		{"illegal names of servers are refused", refusesServers},
		{"messages reach one node, in order", sendsDirectly},
		{"incomplete messages are refused", sendRefuses},
		{"SendThen tells what was taken, in order", sendTells},
		{"sending does not wait for a receiver", sendNeverBlocks},
		{"servers are told", tellsServers},
		{"Leave takes everything back", presenceLeaves},
		{"one comes while another goes", comesWhileAnotherGoes},
		{"as a model says", likeModel},
		{"everything at once", presenceAtOnce},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, start(t)) })
	}
}

// presenceNode is a node that keeps what it is sent.
type presenceNode struct {
	broker.PresenceNode
	server string

	mu  sync.Mutex
	got []*cluster.Message
}

// enterPresence joins a node that leaves at the end of the test.
func enterPresence(t *testing.T, p broker.Presence, server string) *presenceNode {
	t.Helper()
	n := &presenceNode{server: server}
	node, err := p.Join(server, func(m *cluster.Message) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.got = append(n.got, m)
	})
	if err != nil {
		t.Fatal(err)
	}
	n.PresenceNode = node
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := n.Leave(ctx); err != nil {
			t.Errorf("%s leaves: %v", server, err)
		}
	})
	return n
}

// names are the events that came so far.
func (n *presenceNode) names() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var names []string
	for _, m := range n.got {
		names = append(names, eventName(m))
	}
	return names
}

// await waits until the events that came are these.
func (n *presenceNode) await(t *testing.T, want ...string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("%s got %q, want %q", n.server, n.names(), want)
		}
	}()
	testkit.Eventually(t, func() bool { return len(n.names()) >= len(want) }, patience)
	if !slices.Equal(n.names(), want) {
		t.Fatal("these are not the messages that were sent")
	}
}

// at is a moment of the tests, in seconds.
func at(second int) time.Time { return time.UnixMilli(1_700_000_000_000 + int64(second)*1000) }

func (n *presenceNode) enter(t *testing.T, user, connection string, second int) {
	t.Helper()
	if err := n.Enter(user, connection, at(second)); err != nil {
		t.Fatalf("%s: Enter(%q, %q): %v", n.server, user, connection, err)
	}
}

func (n *presenceNode) exit(t *testing.T, user, connection string) {
	t.Helper()
	if err := n.Exit(user, connection); err != nil {
		t.Fatalf("%s: Exit(%q, %q): %v", n.server, user, connection, err)
	}
}

// sees waits until the node sees just these connections, as "id@server".
func (n *presenceNode) sees(t *testing.T, user string, want ...string) {
	t.Helper()
	var got []string
	defer func() {
		if t.Failed() {
			t.Logf("%s sees %q at %q, want %q", n.server, user, got, want)
		}
	}()
	testkit.Eventually(t, func() bool {
		got = n.look(t, user)
		return slices.Equal(got, want)
	}, patience)
}

// look is what the node sees now.
func (n *presenceNode) look(t *testing.T, user string) []string {
	t.Helper()
	all, err := n.Lookup(context.Background(), user)
	if err != nil {
		t.Fatalf("%s: Lookup(%q): %v", n.server, user, err)
	}
	var got []string
	for _, c := range all {
		name := c.ID + "@" + c.Server
		if c.Foreign {
			name += " (foreign)"
		}
		got = append(got, name)
	}
	return got
}

// reads waits until the keys that Node reads name a connection, as "id@server";
// "": none.
func (c PresenceCluster) reads(t *testing.T, user, want string) {
	t.Helper()
	if c.Entry == nil {
		return
	}
	got := ""
	defer func() {
		if t.Failed() {
			t.Logf("Node reads of %q: %q, want %q", user, got, want)
		}
	}()
	testkit.Eventually(t, func() bool {
		got = ""
		e, owner := c.Entry(user)
		if e != nil {
			got = e.ID + "@" + e.Server
		}
		if e == nil && owner != "" || e != nil && owner != e.Server {
			got += ", owner " + owner
		}
		return got == want
	}, patience)
}

// directed is a message for one node.
func directed(event string) *cluster.Message {
	return &cluster.Message{
		Kind:      cluster.Broadcast,
		UID:       "sender",
		Namespace: namespace,
		Options:   cluster.Options{Rooms: []string{"user:u"}},
		Packet:    cluster.Packet{Type: sio.Event, Payload: sio.Payload{JSON: []byte("[" + strconv.Quote(event) + "]")}},
	}
}

func (n *presenceNode) send(t *testing.T, server, event string) {
	t.Helper()
	if err := n.Send(server, directed(event)); err != nil {
		t.Fatalf("%s sends to %s: %v", n.server, server, err)
	}
}

func comesAndGoes(t *testing.T, c PresenceCluster) {
	a, b := enterPresence(t, c.Process(), "a"), enterPresence(t, c.Process(), "b")
	b.sees(t, "u")
	a.enter(t, "u", "a1", 1)
	for _, n := range []*presenceNode{a, b} {
		n.sees(t, "u", "a1@a")
		n.sees(t, "v")
	}
	if all, err := b.Lookup(context.Background(), "u"); err != nil || len(all) != 1 || !all[0].At.Equal(at(1)) {
		t.Errorf("%v, %v: want one since %v", all, err, at(1))
	}
	c.reads(t, "u", "a1@a")
	a.exit(t, "u", "a1")
	a.exit(t, "u", "a1")
	for _, n := range []*presenceNode{a, b} {
		n.sees(t, "u")
	}
	c.reads(t, "u", "")
}

func twoTabs(t *testing.T, c PresenceCluster) {
	a, b := enterPresence(t, c.Process(), "a"), enterPresence(t, c.Process(), "b")
	for i, first := range []*presenceNode{a, b} {
		user := fmt.Sprint("u", i)
		a.enter(t, user, "a1", 1)
		b.sees(t, user, "a1@a")
		// What Node reads is written behind that: of two that come at one moment
		// either may stay.
		c.reads(t, user, "a1@a")
		b.enter(t, user, "b1", 2)
		for _, n := range []*presenceNode{a, b} {
			n.sees(t, user, "a1@a", "b1@b")
		}
		c.reads(t, user, "b1@b")
		left, second := "b1@b", b
		if first == b {
			left, second = "a1@a", a
		}
		first.exit(t, user, first.server+"1")
		for _, n := range []*presenceNode{a, b} {
			n.sees(t, user, left)
		}
		c.reads(t, user, left)
		second.exit(t, user, second.server+"1")
		a.sees(t, user)
		c.reads(t, user, "")
	}
}

func twoTabsOneNode(t *testing.T, c PresenceCluster) {
	a, b := enterPresence(t, c.Process(), "a"), enterPresence(t, c.Process(), "b")
	for i, first := range []int{1, 2, 3} {
		user := fmt.Sprint("u", i)
		for tab := 1; tab <= 3; tab++ {
			a.enter(t, user, fmt.Sprint("t", tab), tab)
		}
		b.sees(t, user, "t1@a", "t2@a", "t3@a")
		c.reads(t, user, "t3@a")
		a.exit(t, user, fmt.Sprint("t", first))
		newest := 3
		if first == 3 {
			newest = 2
		}
		c.reads(t, user, fmt.Sprintf("t%d@a", newest))
		b.sees(t, user, slices.DeleteFunc([]string{"t1@a", "t2@a", "t3@a"}, func(s string) bool { return s == fmt.Sprintf("t%d@a", first) })...)
		for tab := 1; tab <= 3; tab++ {
			a.exit(t, user, fmt.Sprint("t", tab))
		}
		b.sees(t, user)
		c.reads(t, user, "")
	}
}

func newestWins(t *testing.T, c PresenceCluster) {
	a, b := enterPresence(t, c.Process(), "a"), enterPresence(t, c.Process(), "b")
	a.enter(t, "u", "old", 1)
	c.reads(t, "u", "old@a")
	b.enter(t, "u", "middle", 2)
	c.reads(t, "u", "middle@b")
	a.enter(t, "u", "new", 3)
	c.reads(t, "u", "new@a")
	b.exit(t, "u", "middle")
	b.sees(t, "u", "old@a", "new@a")
	c.reads(t, "u", "new@a")
	a.exit(t, "u", "new")
	b.sees(t, "u", "old@a")
	c.reads(t, "u", "old@a")
	a.exit(t, "u", "old")
	c.reads(t, "u", "")
}

func entersAgain(t *testing.T, c PresenceCluster) {
	a, b := enterPresence(t, c.Process(), "a"), enterPresence(t, c.Process(), "b")
	a.enter(t, "u", "a1", 1)
	b.enter(t, "u", "b1", 2)
	b.sees(t, "u", "a1@a", "b1@b")
	a.enter(t, "u", "a1", 3)
	b.sees(t, "u", "b1@b", "a1@a")
	a.exit(t, "u", "a1")
	a.sees(t, "u", "b1@b")
}

func exitsOwnOnly(t *testing.T, c PresenceCluster) {
	a, b := enterPresence(t, c.Process(), "a"), enterPresence(t, c.Process(), "b")
	a.enter(t, "u", "a1", 1)
	b.sees(t, "u", "a1@a")
	b.exit(t, "u", "a1")
	b.exit(t, "nobody", "a1")
	b.enter(t, "u", "fence", 2)
	a.sees(t, "u", "a1@a", "fence@b")
}

func diesAlone(t *testing.T, c PresenceCluster) {
	if c.Kill == nil {
		t.Log("a node of this implementation can't die alone")
		return
	}
	a := enterPresence(t, c.Process(), "a")
	dying := c.Process()
	node, err := dying.Join("dead", func(*cluster.Message) {})
	if err != nil {
		t.Fatal(err)
	}
	a.enter(t, "u0", "a0", 1)
	c.reads(t, "u0", "a0@a") // of two that come at one moment either may stay
	const users = 500
	for i := range users {
		if err := node.Enter(fmt.Sprint("u", i), fmt.Sprint("d", i), at(2)); err != nil {
			t.Fatal(err)
		}
	}
	a.sees(t, "u0", "a0@a", "d0@dead")
	a.sees(t, "u499", "d499@dead")
	c.reads(t, "u0", "d0@dead")
	c.reads(t, "u499", "d499@dead")
	c.Kill(dying)
	a.sees(t, "u0", "a0@a")
	for i := 1; i < users; i++ {
		a.sees(t, fmt.Sprint("u", i))
	}
	c.reads(t, "u0", "a0@a")
	c.reads(t, "u499", "")
	a.serves(t, "a")
	// The name may be used again.
	again := enterPresence(t, c.Process(), "dead")
	again.enter(t, "u1", "new", 3)
	a.sees(t, "u1", "new@dead")
	a.serves(t, "a", "dead")
}

func idsAreData(t *testing.T, c PresenceCluster) {
	a, b := enterPresence(t, c.Process(), "a|1 {x}*"), enterPresence(t, c.Process(), "b")
	for i, user := range []string{
		"u", "U", " ", "*", "?", "[a-z]", "u*", "{u}", "}{", "{}", "a}:conns", "u:1", "é\u2028", "\x00\xff", "nodes", "user:connections",
		"connections ", strings.Repeat("x", broker.MaxUserLen), strings.Repeat("é", broker.MaxUserLen/2),
	} {
		connection := fmt.Sprintf("c%d|{*}", i)
		a.enter(t, user, connection, i)
		b.sees(t, user, connection+"@"+a.server)
		c.reads(t, user, connection+"@"+a.server)
		a.exit(t, user, connection)
		b.sees(t, user)
		c.reads(t, user, "")
	}
}

func refusesUsers(t *testing.T, c PresenceCluster) {
	a := enterPresence(t, c.Process(), "a")
	for _, user := range []string{"", "connections", strings.Repeat("x", broker.MaxUserLen+1)} {
		_, err := a.Lookup(context.Background(), user)
		for call, err := range map[string]error{"Enter": a.Enter(user, "c", at(1)), "Exit": a.Exit(user, "c"), "Lookup": err} {
			if !errors.Is(err, broker.ErrUser) {
				t.Errorf("%s of %.20q: %v, want %v", call, user, err, broker.ErrUser)
			}
		}
	}
}

func refusesServers(t *testing.T, c PresenceCluster) {
	p := c.Process()
	enterPresence(t, p, "a")
	for _, server := range []string{"a", strings.Repeat("x", broker.MaxServerLen+1)} {
		if n, err := p.Join(server, func(*cluster.Message) {}); !errors.Is(err, broker.ErrServer) {
			t.Errorf("Join as %.20q: %v, %v, want %v", server, n, err, broker.ErrServer)
		}
	}
	enterPresence(t, p, strings.Repeat("x", broker.MaxServerLen))
}

func sendsDirectly(t *testing.T, c PresenceCluster) {
	const messages = 200
	a, b, other := enterPresence(t, c.Process(), "a"), enterPresence(t, c.Process(), "b"), enterPresence(t, c.Process(), "c")
	for _, n := range []*presenceNode{a, b, other} {
		n.reachable(t)
	}
	var want []string
	for i := range messages {
		want = append(want, fmt.Sprint(i))
		a.send(t, "b", want[i])
	}
	a.send(t, "nowhere", "lost")
	b.await(t, want...)
	a.send(t, "a", "self")
	a.send(t, "c", "other")
	a.await(t, "self")
	other.await(t, "other")
	b.await(t, want...)

	full := directed("full")
	no := false
	payload, err := sio.EncodePayload([]any{"full", []byte{0, 1, 0xff}, "é"})
	if err != nil {
		t.Fatal(err)
	}
	full.Packet.Payload = payload
	full.Options.Flags = cluster.Flags{Volatile: true, Compress: &no}
	if err := a.Send("c", full); err != nil {
		t.Fatal(err)
	}
	other.await(t, "other", "full")
	other.mu.Lock()
	got := other.got[1]
	other.mu.Unlock()
	if g, w := fmt.Sprint(describe(t, got)), fmt.Sprint(describe(t, full)); g != w {
		t.Errorf("got\n%s, want\n%s", g, w)
	}
}

// reachable waits until the node's inbox stands.
func (n *presenceNode) reachable(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, func() bool { return n.Health().Up }, patience)
}

func sendRefuses(t *testing.T, c PresenceCluster) {
	a := enterPresence(t, c.Process(), "a")
	empty := directed("x")
	empty.Packet.Payload.JSON = nil
	for name, m := range map[string]*cluster.Message{
		"an event without a name": empty,
		"a message of no kind":    {UID: "a", Namespace: namespace},
		"a question":              {Kind: cluster.FetchSockets, UID: "a", Namespace: namespace, RequestID: "r"},
	} {
		if err := a.Send("a", m); !errors.Is(err, cluster.ErrMessage) {
			t.Errorf("%s: %v, want %v", name, err, cluster.ErrMessage)
		}
	}
}

func sendNeverBlocks(t *testing.T, c PresenceCluster) {
	const messages = 100
	a := enterPresence(t, c.Process(), "a")
	release, got := make(chan struct{}), make(chan string, messages)
	slow, err := c.Process().Join("slow", func(m *cluster.Message) {
		<-release
		got <- eventName(m)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slow.Leave(context.Background()) })
	a.reachable(t)
	testkit.Eventually(t, func() bool { return slow.Health().Up }, patience)
	for i := range messages {
		a.send(t, "slow", fmt.Sprint(i))
	}
	a.send(t, "a", "end") // others do not wait
	a.await(t, "end")
	if len(got) > 0 {
		t.Error("a delivery is over")
	}
	close(release)
	for i := range messages {
		if name := <-got; name != fmt.Sprint(i) {
			t.Fatalf("%s in place of %d", name, i)
		}
	}
}

// serves waits until the node sees just these servers.
func (n *presenceNode) serves(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	defer func() {
		if t.Failed() {
			t.Logf("%s sees the servers %q, want %q", n.server, got, want)
		}
	}()
	testkit.Eventually(t, func() bool {
		all, err := n.Servers(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, s := range all {
			got = append(got, s.Name)
			if age := time.Since(s.Started); age < -time.Minute || age > time.Hour {
				t.Errorf("%s started at %v", s.Name, s.Started)
			}
		}
		slices.Sort(got)
		return slices.Equal(got, want)
	}, patience)
}

func tellsServers(t *testing.T, c PresenceCluster) {
	a, b := enterPresence(t, c.Process(), "a"), enterPresence(t, c.Process(), "b")
	for _, n := range []*presenceNode{a, b} {
		n.serves(t, "a", "b")
	}
	if err := b.Leave(context.Background()); err != nil {
		t.Fatal(err)
	}
	a.serves(t, "a")
}

func presenceLeaves(t *testing.T, c PresenceCluster) {
	ctx := context.Background()
	a, b := enterPresence(t, c.Process(), "a"), enterPresence(t, c.Process(), "b")
	const users = 300
	for i := range users {
		b.enter(t, fmt.Sprint("u", i), "b1", 1)
	}
	a.enter(t, "u0", "a1", 0)
	a.sees(t, "u0", "a1@a", "b1@b")
	if err := errors.Join(b.Leave(ctx), b.Leave(ctx)); err != nil {
		t.Fatal(err)
	}
	a.sees(t, "u0", "a1@a")
	c.reads(t, "u0", "a1@a")
	for i := 1; i < users; i++ {
		a.sees(t, fmt.Sprint("u", i))
	}
	c.reads(t, fmt.Sprint("u", users-1), "")
	a.serves(t, "a")
	_, lookup := b.Lookup(ctx, "u0")
	_, servers := b.Servers(ctx)
	for call, err := range map[string]error{
		"Enter": b.Enter("u", "c", at(1)), "Exit": b.Exit("u", "c"), "Lookup": lookup, "Servers": servers, "Send": b.Send("a", directed("x")),
	} {
		if !errors.Is(err, broker.ErrClosed) {
			t.Errorf("%s after Leave: %v, want %v", call, err, broker.ErrClosed)
		}
	}
	if h := b.Health(); h.Up || h.Reason == "" {
		t.Errorf("health after Leave: %+v", h)
	}
	enterPresence(t, c.Process(), "b").enter(t, "u0", "b2", 2)
	a.sees(t, "u0", "a1@a", "b2@b")
}
