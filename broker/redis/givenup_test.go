package redis

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// TestNothingLate has what the publishing connection sends wait on its way, in a
// tunnel that does not care whether the connection has ended, until the next one is
// used: the server takes nothing of it then.
func TestNothingLate(t *testing.T) {
	t.Parallel()
	may := func(rules string) string { return "on >secret " + rules }
	without := func(command string) string { return may(strings.ReplaceAll(aclRules, command, "")) }
	for _, tt := range []struct {
		name  string
		by    string // TCP by default
		user  string // its rules; "": the default one
		renew bool   // the connection is made anew before it has broken
		lose  string // a connection is cut in front of the tunnel, behind this
		late  bool
	}{
		{name: "it breaks"},
		{name: "it is made anew", renew: true},
		{name: "it is cut", lose: "value"},
		{name: "TLS", by: "TLS"},
		{name: "TLS, it is made anew", by: "TLS", renew: true},
		{name: "Unix socket", by: "Unix"},
		{name: "Unix socket, it is made anew", by: "Unix", renew: true},
		{name: "whether the server has ended it is not told", lose: "KILL"},
		{name: "whether the server has it is not told", lose: "LIST"},
		{name: "a user of the documented line", user: may(aclRules)},
		{name: "a user who may not end it", user: without("+client|kill"), late: true},
		{name: "a user who may not see it", user: without("+client|list"), late: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, addr := (*testkit.Redis)(nil), ""
			proxy, url, params := testkit.StartProxy, "redis://", ""
			switch tt.by {
			case "TLS":
				r = testkit.StartRedisTLS(t)
				addr, url = r.Addr, "rediss://"
				_, params, _ = strings.Cut(r.URL(), "?")
			case "Unix":
				r, addr = testkit.StartRedisUnix(t)
				proxy, url = testkit.StartUnixProxy, "unix://"
			default:
				r = testkit.StartRedis(t)
				addr = r.Addr
			}
			if tt.user != "" {
				r.Do(append([]string{"ACL", "SETUSER", "wsd"}, strings.Fields(tt.user)...)...)
				url += "wsd:secret@"
			}
			tunnel := proxy(t, addr)
			way := proxy(t, tunnel.Addr)
			b := openBroker(t, url+way.Addr+"?"+params, slower)
			l := startLate(t, b, xadd, func() string { return logged(r) })
			link, _ := b.link.current()
			l.old, l.server, l.tunnel, l.renew = helloOf(t, link), r, tunnel, tt.renew
			if tt.by != "TLS" {
				l.text = "XADD"
			}
			way.Target(addr) // what is new does not go by the tunnel
			if tt.lose != "" {
				way.LoseAnswer(tt.lose)
			}
			l.test(t)
			if log := l.log(); slices.IsSorted(log) == tt.late {
				t.Errorf("the server has %v", log)
			}
		})
	}
}

// TestNothingLateInACluster is the same where each server has a tunnel of its own,
// for commands with a key, and for those without one, which may go by any server.
func TestNothingLateInACluster(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		keyed, renew bool
	}{
		{"with a key", true, false},
		{"with a key, it is made anew", true, true},
		{"without a key", false, false},
		{"without a key, it is made anew", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := testkit.StartRedisCluster(t, 3, 0)
			servers, tunnels, ways := map[string]*testkit.Redis{}, map[string]*testkit.Proxy{}, map[string]*testkit.Proxy{}
			at := "" // the way to the server that commands go by
			var addrs []string
			for _, r := range c.Masters {
				tunnel := testkit.StartProxy(t, r.Addr)
				way := testkit.StartProxy(t, tunnel.Addr)
				servers[way.Addr], tunnels[way.Addr], ways[way.Addr] = r, tunnel, way
				addrs = append(addrs, way.Addr)
				if c.Owner(c.Slot("wsd:log")) == r {
					at = way.Addr
				}
			}
			announce(t, c, addrs)
			b := openBroker(t, "redis+cluster://"+strings.Join(addrs, ","), slower)
			var l *late
			if tt.keyed {
				log := servers[at]
				l = startLate(t, b, xadd, func() string { return logged(log) })
				l.text = "XADD"
			} else {
				var err error
				heard := subscriber(t, c.Masters[0], "a")
				l = startLate(t, b, func(text string) func(rueidis.Builder) rueidis.Completed { return publishCmd("a", text) }, heard)
				l.text = "PUBLISH"
				if _, at, err = b.link.keyless(); err != nil {
					t.Fatal(err)
				}
			}
			link, _ := b.link.current()
			l.old, l.server, l.tunnel, l.renew = helloOf(t, link.Nodes()[at]), servers[at], tunnels[at], tt.renew
			ways[at].Target(servers[at].Addr)
			l.test(t)
			if log := l.log(); !slices.IsSorted(log) {
				t.Errorf("the servers have %v", log)
			}
		})
	}
}

// announce has the masters of a Cluster tell the ports of other addresses.
func announce(t *testing.T, c *testkit.RedisCluster, addrs []string) {
	t.Helper()
	var ports []string
	for i, addr := range addrs {
		_, port, _ := net.SplitHostPort(addr)
		ports = append(ports, port)
		c.Masters[i].Do("CONFIG", "SET", "cluster-announce-port", port)
	}
	for _, r := range c.Masters {
		testkit.Eventually(t, func() bool {
			slots := fmt.Sprint(r.Do("CLUSTER", "SLOTS"))
			return !slices.ContainsFunc(ports, func(port string) bool { return !strings.Contains(slots, " "+port+" ") })
		}, patience)
	}
}

// late is a lane, by which numbers come to a log in order.
type late struct {
	*lane
	build func(text string) func(rueidis.Builder) rueidis.Completed
	log   func() []int
	got   results
	sent  int
	built atomic.Int64 // how many commands were made for the link as it was then

	text string // is in each command; "": it can't be read in the tunnel

	old    string // the connection's id
	server *testkit.Redis
	tunnel *testkit.Proxy // what it goes by
	renew  bool
}

// startLate makes one, that has sent a number. read tells the log.
func startLate(t *testing.T, b *Broker, build func(text string) func(rueidis.Builder) rueidis.Completed, read func() string) *late {
	t.Helper()
	l := &late{lane: b.newLane("test")}
	l.build = func(text string) func(rueidis.Builder) rueidis.Completed {
		command := build(text)
		return func(b rueidis.Builder) rueidis.Completed {
			l.built.Add(1)
			return command(b)
		}
	}
	l.log = func() (all []int) {
		for _, text := range strings.Fields(read()) {
			n, _ := strconv.Atoi(text)
			all = append(all, n)
		}
		return all
	}
	testkit.Eventually(t, func() bool {
		l.add()
		got := l.got.all()
		return len(got) == l.sent && got[l.sent-1] == nil && len(l.log()) > 0
	}, patience)
	return l
}

// add sends the next number, if all before are answered or given up.
func (l *late) add() {
	if len(l.got.all()) == l.sent && l.push(1, l.build(fmt.Sprint(l.sent+1)), l.got.done) == nil {
		l.sent++
	}
}

// test has the next number wait in the tunnel until a later one is in the log, and
// another one follow.
func (l *late) test(t *testing.T) {
	t.Helper()
	l.tunnel.Stall(true, false)
	before := l.built.Load()
	l.add()
	stalled := l.sent
	testkit.Eventually(t, func() bool {
		return l.built.Load() > before && l.tunnel.Holds(l.text) || len(l.got.all()) == stalled
	}, patience)
	if l.renew {
		_, gen := l.b.link.current()
		l.b.link.renew(gen)
	}
	testkit.Eventually(t, func() bool { return len(l.got.all()) == stalled }, patience)
	if l.got.all()[stalled-1] == nil {
		t.Error("nobody was told that the one on its way may be lost")
	}
	comes := func(after int) {
		t.Helper()
		testkit.Eventually(t, func() bool {
			l.add() // it may fail too: in a Cluster the lane is up as soon as any server answers
			log := l.log()
			return log[len(log)-1] > after
		}, patience)
	}
	comes(stalled)
	l.tunnel.Stall(false, false)
	testkit.Eventually(t, func() bool { return !ourClients(l.server)[l.old] || !slices.IsSorted(l.log()) }, patience)
	comes(l.sent)
}

// slower is fast, but for commands on a machine that is busy.
func slower(o *Options) {
	fast(o)
	o.CommandTimeout = 2 * time.Second
}

func xadd(text string) func(rueidis.Builder) rueidis.Completed {
	return func(b rueidis.Builder) rueidis.Completed {
		return b.Xadd().Key("wsd:log").Id("*").FieldValue().FieldValue("value", text).Build()
	}
}

// helloOf is the id of a client's connection.
func helloOf(t *testing.T, client rueidis.Client) string {
	t.Helper()
	hello, err := client.Do(t.Context(), client.B().Hello().Build()).AsMap()
	if err != nil {
		t.Fatal(err)
	}
	is := hello["id"]
	id, err := is.AsInt64()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(id)
}

// subscriber listens on a channel of a server, and tells what it has heard.
func subscriber(t *testing.T, r *testkit.Redis, channel string) (heard func() string) {
	t.Helper()
	c, err := net.Dial("tcp", r.Addr)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var lines []string
	done := make(chan struct{})
	t.Cleanup(func() {
		c.Close()
		<-done
	})
	go func() {
		defer close(done)
		for in := bufio.NewScanner(c); in.Scan(); {
			mu.Lock()
			lines = append(lines, in.Text())
			mu.Unlock()
		}
	}()
	if _, err := fmt.Fprintf(c, "SUBSCRIBE %s\r\n", channel); err != nil {
		t.Fatal(err)
	}
	const ofSubscribe, ofMessage = 6, 7 // lines; the last one of a message is its text
	testkit.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(lines) == ofSubscribe
	}, patience)
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		var texts []string
		for i := ofSubscribe + ofMessage; i <= len(lines); i += ofMessage {
			texts = append(texts, lines[i-1])
		}
		return strings.Join(texts, " ")
	}
}

// logged are the values of the log of a test.
func logged(r *testkit.Redis) string {
	var values []string
	for _, entry := range r.Do("XRANGE", "wsd:log", "-", "+").([]any) {
		values = append(values, entry.([]any)[1].([]any)[1].(string))
	}
	return strings.Join(values, " ")
}

// ourClients are the ids of a test's connections.
func ourClients(r *testkit.Redis) map[string]bool {
	ids := map[string]bool{}
	for line := range strings.Lines(r.Do("CLIENT", "LIST").(string)) {
		if id, _, _ := strings.Cut(line, " "); strings.Contains(line, " name=wsd-test ") {
			ids[strings.TrimPrefix(id, "id=")] = true
		}
	}
	return ids
}

// TestKillLeavesOthers: a server that was restarted may know somebody else by the
// number of a connection that was given up.
func TestKillLeavesOthers(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), nil)
	mine := fmt.Sprint(r.Do("CLIENT", "ID"))
	own := helloOf(t, b.client)
	for _, tt := range []struct {
		name  string
		since time.Duration
		kills bool
	}{
		{"wsd-others", 0, false},
		{"wsd-test", time.Hour, false},
		{"wsd-test", 0, true},
	} {
		ours := ourClients(r)
		conns := standing{"999999": time.Now(), mine: time.Now()}
		for id := range ours {
			if id != own {
				conns[id] = time.Now().Add(-tt.since)
			}
		}
		if err := kill(t.Context(), b.client, conns, tt.name, nobodys); err != nil {
			t.Fatal(err)
		}
		left := ourClients(r)
		for id := range ours {
			if left[id] != (id == own || !tt.kills) {
				t.Errorf("%+v: %s is left: %v", tt, id, left[id])
			}
		}
	}
	if now := fmt.Sprint(r.Do("CLIENT", "ID")); now != mine {
		t.Errorf("a connection of another name was ended")
	}
}

// TestKillRefused: a user who may not end connections is not one whom a server has no
// place for, who may later.
func TestKillRefused(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	r.Do("CONFIG", "SET", "maxclients", "20")
	b := openBroker(t, r.URL(), fast)
	conns := standing{"999999": time.Now()}
	if err := kill(t.Context(), b.client, conns, "wsd-test", nobodys); err != nil {
		t.Fatal(err)
	}
	r.Do("CONFIG", "SET", "maxclients", "1")
	r.Do("CLIENT", "KILL", "TYPE", "normal")
	if err := kill(t.Context(), b.client, conns, "wsd-test", nobodys); err == nil || isRefusal(err) {
		t.Errorf("without a place: %v, a refusal: %v", err, isRefusal(err))
	}
	r.Do("CONFIG", "SET", "maxclients", "20")
	r.Do("ACL", "SETUSER", "default", "-client|list")
	testkit.Eventually(t, func() bool { return isRefusal(kill(t.Context(), b.client, conns, "wsd-test", nobodys)) }, patience)
	r.Do("ACL", "SETUSER", "default", "+client|list")
	if err := kill(t.Context(), b.client, conns, "wsd-test", nobodys); err != nil {
		t.Error(err)
	}
}

// TestKillLeavesThoseInUse: by its numbers after a restart, a server may know those that
// are used now.
func TestKillLeavesThoseInUse(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), nil)
	link, _ := b.link.current()
	id := helloOf(t, link)
	g := b.link.givenUp
	g.mu.Lock()
	g.conns[r.Addr] = standing{id: time.Now()}
	g.mu.Unlock()
	if err := g.end(t.Context(), r.Addr); err != nil {
		t.Fatal(err)
	}
	if !ourClients(r)[id] {
		t.Error("it was ended")
	}
	if conns := g.to(r.Addr); len(conns) != 0 {
		t.Errorf("left: %v", conns)
	}
}

// nobodys are connections of which none is in use.
func nobodys(string) bool { return false }

func TestHelloID(t *testing.T) {
	t.Parallel()
	const hello = "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n" +
		"$2\r\nid\r\n:1234\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"
	end := strings.Index(hello, "$4\r\nmode")
	for n := range len(hello) + 1 {
		if id, known := helloID([]byte(hello[:n])); known != (n >= end) || known && id != "1234" {
			t.Fatalf("of %q: %q, %v", hello[:n], id, known)
		}
	}
	if _, known := helloID([]byte("-NOAUTH Authentication required.\r\n")); known {
		t.Error("an error has an id")
	}
}
