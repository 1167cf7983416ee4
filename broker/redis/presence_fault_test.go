package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// joinPresence joins a node that leaves at the end of the test.
func joinPresence(t *testing.T, b *Broker, server string) broker.PresenceNode {
	t.Helper()
	n, err := b.Presence().Join(server, func(*cluster.Message) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = n.Leave(ctx)
	})
	return n
}

// short makes a Broker's death known soon.
func short(o *Options) {
	steady(o)
	o.Lease = shortLease
}

// shortAndFast makes it known soon as well that a server stands still.
func shortAndFast(o *Options) {
	fast(o)
	o.Lease = shortLease
}

// seen are a user's connections as a node sees them: "id@server".
func seen(t *testing.T, n broker.PresenceNode, user string) (all []string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	found, err := n.Lookup(ctx, user)
	for _, c := range found {
		name := c.ID + "@" + c.Server
		if c.Foreign {
			name += "!"
		}
		all = append(all, name)
	}
	return all, err
}

// sees waits until a node sees just these.
func sees(t *testing.T, n broker.PresenceNode, user string, want ...string) {
	t.Helper()
	var got []string
	var err error
	defer func() {
		if t.Failed() {
			t.Logf("%q is seen at %q, %v, want %q", user, got, err, want)
		}
	}()
	testkit.Eventually(t, func() bool {
		got, err = seen(t, n, user)
		return err == nil && slices.Equal(got, want)
	}, patience)
}

// isUp waits until a node's lease stands.
func isUp(t *testing.T, n broker.PresenceNode) {
	t.Helper()
	testkit.Eventually(t, func() bool { return n.Health().Up }, patience)
}

// calls are how often a server was given commands, but for those that a Broker
// sends by itself all the time.
func calls(r *testkit.Redis) map[string]string {
	all := map[string]string{}
	text, _ := r.Do("INFO", "commandstats").(string)
	for line := range strings.Lines(text) {
		name, stats, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "cmdstat_"), ":")
		switch name {
		case "info", "ping", "publish", "":
			continue
		}
		all[name], _, _ = strings.Cut(stats, ",")
	}
	return all
}

func TestLookupFromCacheSendsNothing(t *testing.T) {
	const lookups = 1000
	r := testkit.StartRedis(t)
	long := func(o *Options) { o.Lease = time.Hour } // the lists are read rarely
	ba, bb := openBroker(t, r.URL(), long), openBroker(t, r.URL(), long)
	a, b := joinPresence(t, ba, "a"), joinPresence(t, bb, "b")
	isUp(t, a)
	isUp(t, b)
	if err := a.Enter("u", "c", time.Now()); err != nil {
		t.Fatal(err)
	}
	sees(t, b, "u", "c@a")
	sees(t, b, "offline")
	testkit.Eventually(t, func() bool { // what a told has settled
		before := calls(r)
		sees(t, b, "u", "c@a")
		after := calls(r)
		return fmt.Sprint(before) == fmt.Sprint(after)
	}, patience)
	before, stats := calls(r), bb.Stats().Cache
	for range lookups {
		for _, user := range []string{"u", "offline"} {
			if got, err := seen(t, b, user); err != nil || (len(got) == 1) != (user == "u") {
				t.Fatal(user, got, err)
			}
		}
	}
	if after := calls(r); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("commands were sent:\n%v before,\n%v after", before, after)
	}
	now := bb.Stats().Cache
	if now.Hits-stats.Hits != 2*lookups || now.Misses != stats.Misses {
		t.Errorf("%+v before, %+v after", stats, now)
	}
	if err := a.Exit("u", "c"); err != nil {
		t.Fatal(err)
	}
	sees(t, b, "u")
	if late := bb.Stats().Cache; late.Invalidations == stats.Invalidations || late.Misses == now.Misses {
		t.Errorf("no invalidation was counted: %+v before, %+v after", now, late)
	}
}

func BenchmarkLookupFromCache(b *testing.B) {
	r := testkit.StartRedis(b)
	ctx := context.Background()
	x, err := Open(ctx, Options{URLs: []string{r.URL()}, Server: "a"})
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close(ctx)
	n, err := x.Presence().Join("a", func(*cluster.Message) {})
	if err != nil {
		b.Fatal(err)
	}
	defer n.Leave(ctx)
	if _, err := n.Lookup(ctx, "u"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := n.Lookup(ctx, "u"); err != nil {
			b.Fatal(err)
		}
	}
}

// What another node told is seen as soon as Redis has announced it, or at once
// without tracking when the answer is a second old.
func TestLookupStaleness(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		edit func(*Options)
	}{
		{"tracking", func(o *Options) { o.LookupTTL = time.Hour }},
		{"no tracking", func(o *Options) { o.NoTracking = true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := testkit.StartRedis(t)
			open := func() *Broker { return openBroker(t, r.URL(), tt.edit) }
			a, b := joinPresence(t, open(), "a"), joinPresence(t, open(), "b")
			isUp(t, a)
			for i := range 5 {
				sees(t, b, "u")
				id := fmt.Sprint("c", i)
				if err := a.Enter("u", id, time.Now()); err != nil {
					t.Fatal(err)
				}
				sees(t, b, "u", id+"@a")
				if err := a.Exit("u", id); err != nil {
					t.Fatal(err)
				}
			}
			sees(t, b, "u")
		})
	}
}

// A connection that is dead without being closed does not keep an answer alive:
// the cache goes with the connection, long before LookupTTL.
func TestLookupBehindADeadConnection(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	p := testkit.StartProxy(t, r.Addr)
	a := joinPresence(t, openBroker(t, r.URL(), short), "a")
	b := joinPresence(t, openBroker(t, "redis://"+p.Addr, func(o *Options) {
		shortAndFast(o)
		o.LookupTTL = time.Hour
	}), "b")
	isUp(t, a)
	if err := a.Enter("u", "c", time.Now()); err != nil {
		t.Fatal(err)
	}
	sees(t, b, "u", "c@a")
	p.Stall(true, true)
	if err := a.Exit("u", "c"); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, func() bool {
		_, err := seen(t, b, "u")
		return errors.Is(err, broker.ErrUnavailable)
	}, patience)
	// Once it is found out, nobody is told of the past any more.
	for range 3 {
		if got, err := seen(t, b, "u"); err == nil && len(got) > 0 {
			t.Errorf("an answer of the past: %q", got)
		}
	}
	p.Stall(false, false)
	sees(t, b, "u")
	isUp(t, b)
}

// presenceChild is set to the address of Redis in a process that is to be killed.
const presenceChild = "WSD_PRESENCE_CHILD"

// TestPresenceChild is the process that TestPresenceOfAKilledProcess kills.
func TestPresenceChild(t *testing.T) {
	url := os.Getenv(presenceChild)
	if url == "" {
		return // it is the part of a child process
	}
	n := joinPresence(t, openBroker(t, url, short), "child")
	isUp(t, n)
	for i := range 300 {
		if err := n.Enter(fmt.Sprint("u", i), fmt.Sprint("c", i), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	sees(t, n, "u299", "c299@child")
	fmt.Println("told")
	<-t.Context().Done() // the parent kills
}

func TestPresenceOfAKilledProcess(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	a := joinPresence(t, openBroker(t, r.URL(), short), "a")
	child := exec.Command(os.Args[0], "-test.run=^TestPresenceChild$", "-test.v=false")
	child.Env = append(os.Environ(), presenceChild+"="+r.URL())
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	}()
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "told" {
	}
	sees(t, a, "u0", "c0@child")
	sees(t, a, "u299", "c299@child")
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		sees(t, a, fmt.Sprint("u", i))
	}
	// Nothing is left behind.
	testkit.Eventually(t, func() bool {
		keys, _ := r.Do("KEYS", "*").([]any)
		return len(keys) == 2
	}, patience)
	if got := fmt.Sprint(r.Do("SMEMBERS", "wsd:nodes")); got != "[a]" {
		t.Errorf("servers %s", got)
	}
}

// A process that starts under the name of one that was killed waits for the
// lease, and clears up behind it.
func TestPresenceAfterAKillUnderTheSameName(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	a := joinPresence(t, openBroker(t, r.URL(), short), "a")
	old := openBroker(t, r.URL(), short)
	before := joinPresence(t, old, "s")
	isUp(t, before)
	for _, user := range []string{"gone", "stays"} {
		if err := before.Enter(user, "old", time.Now()); err != nil {
			t.Fatal(err)
		}
		sees(t, a, user, "old@s")
	}
	if err := old.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := joinPresence(t, openBroker(t, r.URL(), short), "s")
	if err := again.Enter("stays", "new", time.Now()); err != nil {
		t.Fatal(err)
	}
	sees(t, a, "gone")
	sees(t, a, "stays", "new@s")
	sees(t, again, "stays", "new@s")
	if e, owner := readByNode(r, "gone"); e != nil || owner != "" {
		t.Errorf("Node reads %v, %q", e, owner)
	}
}

func TestPresenceNameTaken(t *testing.T) {
	r := testkit.StartRedis(t)
	first := joinPresence(t, openBroker(t, r.URL(), short), "s")
	isUp(t, first)
	second := joinPresence(t, openBroker(t, r.URL(), short), "s")
	testkit.Eventually(t, func() bool { return strings.Contains(second.Health().Reason, "taken") }, patience)
	if second.Health().Up || !first.Health().Up {
		t.Errorf("the first %+v, the second %+v", first.Health(), second.Health())
	}
	if err := errors.Join(first.Enter("u", "1", time.Now()), second.Enter("u", "2", time.Now())); err != nil {
		t.Fatal(err)
	}
	watcher := joinPresence(t, openBroker(t, r.URL(), short), "w")
	sees(t, watcher, "u", "1@s")
	if err := first.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	isUp(t, second)
	sees(t, watcher, "u", "2@s")
}

// Redis that comes back empty is told everything again; so is what happened
// meanwhile.
func TestPresenceAfterRestartEmpty(t *testing.T) {
	t.Parallel()
	const users = 2000
	r := testkit.StartRedis(t)
	a, b := joinPresence(t, openBroker(t, r.URL(), short), "a"), joinPresence(t, openBroker(t, r.URL(), short), "b")
	isUp(t, a)
	isUp(t, b)
	for i := range users {
		if err := a.Enter(fmt.Sprint("u", i), fmt.Sprint("a", i), time.UnixMilli(int64(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Enter("u0", "b0", time.UnixMilli(int64(users))); err != nil {
		t.Fatal(err)
	}
	sees(t, b, fmt.Sprint("u", users-1), fmt.Sprintf("a%d@a", users-1))
	r.Kill()
	testkit.Eventually(t, func() bool { return errors.Is(a.Enter("u1", "late", time.UnixMilli(5)), broker.ErrUnavailable) }, patience)
	if err := a.Exit("u2", "a2"); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("Exit without Redis: %v", err)
	}
	testkit.Eventually(t, func() bool { return !a.Health().Up }, patience)
	r.Start()
	isUp(t, a)
	isUp(t, b)
	sees(t, b, "u0", "a0@a", "b0@b")
	sees(t, b, "u1", "a1@a", "late@a")
	sees(t, b, "u2")
	for i := 3; i < users; i++ {
		sees(t, b, fmt.Sprint("u", i), fmt.Sprintf("a%d@a", i))
	}
	testkit.Eventually(t, func() bool {
		zero, _ := readByNode(r, "u0")
		one, owner := readByNode(r, "u1")
		return zero != nil && zero.ID == "b0" && one != nil && one.ID == "late" && owner == "a"
	}, patience)
	if got := fmt.Sprint(r.Do("SCARD", "wsd:nodeusers:a")); got != fmt.Sprint(users-1) {
		t.Errorf("%s users in the set of a", got)
	}
}

// What Node servers wrote is seen, and stays theirs.
func TestForeignUsers(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	a, b := joinPresence(t, openBroker(t, r.URL(), short), "a"), joinPresence(t, openBroker(t, r.URL(), short), "b")
	isUp(t, a)
	node := func(user, id, at string) {
		r.Do("HSET", "user:connections", user, "node-1")
		r.Do("HSET", "user:"+user, "socketId", id, "serverId", "node-1", "connectedAt", at, "status", "online")
	}
	sees(t, b, "f")
	node("f", "n1", "1700000000000")
	sees(t, b, "f", "n1@node-1!")
	if all, err := b.Lookup(t.Context(), "f"); err != nil || len(all) != 1 || all[0].At.UnixMilli() != 1700000000000 {
		t.Errorf("%v, %v", all, err)
	}
	// A tab on a wsd server, and then one on Node's: the newer entry is kept.
	if err := a.Enter("both", "a1", time.UnixMilli(1000)); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, func() bool { e, owner := readByNode(r, "both"); return e != nil && owner == "a" }, patience)
	node("both", "n2", "2000")
	sees(t, b, "both", "a1@a", "n2@node-1!")
	if err := errors.Join(a.Exit("both", "a1"), a.Enter("fence", "x", time.UnixMilli(1))); err != nil {
		t.Fatal(err)
	}
	sees(t, b, "both", "n2@node-1!")
	sees(t, b, "fence", "x@a")
	if e, owner := readByNode(r, "both"); e == nil || e.ID != "n2" || owner != "node-1" {
		t.Errorf("Node reads %v, %q", e, owner)
	}
	// A tab on Node's, and then one on wsd: the last writer wins, and takes only
	// its own fields away.
	node("turn", "n3", "3000")
	r.Do("HSET", "user:turn", "theme", "dark")
	if err := a.Enter("turn", "a2", time.UnixMilli(4000)); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, func() bool { e, owner := readByNode(r, "turn"); return e != nil && e.ID == "a2" && owner == "a" }, patience)
	if err := a.Exit("turn", "a2"); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, func() bool { e, owner := readByNode(r, "turn"); return e == nil && owner == "" }, patience)
	if got := fmt.Sprint(r.Do("HGETALL", "user:turn")); got != "[theme dark]" {
		t.Errorf("left are %s", got)
	}
	// What is no such entry is none.
	r.Do("SET", "user:text", "hello")
	r.Do("HSET", "user:half", "socketId", "x")
	r.Do("HSET", "user:off", "socketId", "x", "serverId", "node-1", "status", "offline")
	r.Do("HSET", "wsd:{u:odd}:conns", "x", "no time", "y", "|5", "z", "a|x")
	r.Do("SET", "wsd:{u:string}:conns", "x")
	for _, user := range []string{"text", "half", "off", "odd", "string"} {
		sees(t, b, user)
	}
	if err := a.Enter("text", "a3", time.UnixMilli(1)); err != nil {
		t.Fatal(err)
	}
	sees(t, b, "text", "a3@a")
	if got := r.Do("GET", "user:text"); got != "hello" {
		t.Errorf("another program's key is %v", got)
	}
	if err := a.Exit("text", "a3"); err != nil {
		t.Fatal(err)
	}
	sees(t, b, "text")
	// Death of a wsd server leaves what is foreign.
	dying := openBroker(t, r.URL(), short)
	d := joinPresence(t, dying, "d")
	isUp(t, d)
	if err := d.Enter("f", "d1", time.UnixMilli(1)); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, func() bool { e, _ := readByNode(r, "f"); return e != nil && e.ID == "d1" }, patience)
	node("f", "n4", "5000")
	if err := dying.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	sees(t, b, "f", "n4@node-1!")
	testkit.Eventually(t, func() bool { return r.Do("EXISTS", "wsd:nodeusers:d") == int64(0) }, patience)
	sees(t, a, "f", "n4@node-1!")
}

// What is no message for a server is counted, and harms nobody.
func TestPresenceInboxMalformed(t *testing.T) {
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), short)
	var got atomic.Int32
	n, err := b.Presence().Join("s", func(*cluster.Message) { got.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	defer n.Leave(context.Background())
	isUp(t, n)
	other := joinPresence(t, openBroker(t, r.URL(), short), "o")
	bad := []string{"", "x", "{", "[]", `{"uid":"x","nsp":"/","type":3}`, `{"uid":"x","nsp":"/","type":5,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"rooms":["r"]}}`, "\xde\xff\xff\xff\xff", strings.Repeat("[", 100_000)}
	for _, text := range bad {
		r.Do("PUBLISH", "wsd:inbox:s", text)
	}
	m := &cluster.Message{Kind: cluster.Broadcast, UID: "o", Namespace: "/"}
	m.Packet.Type, m.Packet.Payload.JSON = 2, []byte(`["e"]`)
	if err := other.Send("s", m); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, func() bool { return got.Load() == 1 }, patience)
	if lost := b.Stats().Lost.Malformed; lost != uint64(len(bad)) {
		t.Errorf("%d were counted, want %d", lost, len(bad))
	}
}

// Leaving without Redis does not hang, and says so.
func TestPresenceLeavesWithoutRedis(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), shortAndFast)
	n := joinPresence(t, b, "s")
	isUp(t, n)
	for i := range 300 {
		_ = n.Enter(fmt.Sprint("u", i), "c", time.Now())
	}
	sees(t, n, "u299", "c@s")
	r.Stop()
	defer r.Cont()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := n.Leave(ctx); err == nil {
		t.Error("no error")
	}
}

// A server's lease names its nodes of the Cluster.
func TestServersNameTheirNodes(t *testing.T) {
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), short)
	node, err := b.Cluster().Join("/chat", broker.ClusterReceiver{Deliver: func(*cluster.Message) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Leave()
	joinPresence(t, b, "s")
	watcher := joinPresence(t, openBroker(t, r.URL(), short), "w")
	testkit.Eventually(t, func() bool {
		all, err := watcher.Servers(t.Context())
		return err == nil && len(all) == 2 && all[0].Name == "s" && all[0].UIDs["/chat"] == node.UID() && len(all[1].UIDs) == 0
	}, patience)
}

// TestServersAreAskedForOnce has many ask for the servers while Redis stands still:
// they wait together, not one behind the other.
func TestServersAreAskedForOnce(t *testing.T) {
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), shortAndFast)
	n := joinPresence(t, b, "one")
	testkit.Eventually(t, func() bool { return n.Health().Up }, patience)
	r.Stop()
	defer r.Cont()
	before := b.count.commandErrors.Load()
	const askers = 100
	var all sync.WaitGroup
	for range askers {
		all.Go(func() {
			if _, err := n.Servers(context.Background()); !errors.Is(err, broker.ErrUnavailable) {
				t.Errorf("%v, want %v", err, broker.ErrUnavailable)
			}
		})
	}
	all.Wait()
	if failed := b.count.commandErrors.Load() - before; failed > askers/4 {
		t.Errorf("%d commands failed", failed)
	}
}

// TestPresenceLeavesBehindExits: who has gone just before a server leaves is gone for
// Node too, and is in the set of those to clear up behind until then.
func TestPresenceLeavesBehindExits(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), nil)
	n := joinPresence(t, b, "a")
	isUp(t, n)
	if err := n.Enter("u", "1", time.Now()); err != nil {
		t.Fatal(err)
	}
	reads := func() bool { newest, owner := readByNode(r, "u"); return newest != nil && owner == "a" }
	testkit.Eventually(t, reads, patience)
	lane := b.presence.lane
	entered, goOn := make(chan struct{}), make(chan struct{})
	if err := lane.push(1, func(b rueidis.Builder) rueidis.Completed {
		close(entered)
		<-goOn
		return b.Ping().Build()
	}, nil); err != nil {
		t.Fatal(err)
	}
	<-entered
	if err := n.Exit("u", "1"); err != nil {
		t.Fatal(err)
	}
	exits := lane.stats().Messages
	left := make(chan error, 1)
	go func() { left <- n.Leave(t.Context()) }()
	testkit.Eventually(t, func() bool { return len(left) > 0 || lane.stats().Messages > exits }, patience)
	if len(left) > 0 {
		t.Errorf("it has left, %v, before the exit was told", <-left)
	}
	if !reads() || r.Do("SISMEMBER", usersKey+"a", "u") != int64(1) {
		t.Error("nobody would clear up behind it")
	}
	close(goOn)
	testkit.Eventually(t, func() bool { return len(left) > 0 }, patience)
	if err := <-left; err != nil || reads() {
		t.Errorf("%v; Node reads of the user: %v", err, reads())
	}
}
