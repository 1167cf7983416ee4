package redis

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/brokertest"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// crowded is a test's members by their Broker.
type crowded struct {
	broker.TopicMembers
	b *Broker
}

func TestTopicMembers(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	brokertest.TopicMembers(t, func(t *testing.T) broker.TopicMembers {
		t.Cleanup(func() { r.Do("FLUSHALL") })
		b := openBroker(t, r.URL(), func(o *Options) { o.Lease = shortLease })
		return crowded{b.TopicMembers(), b}
	}, func(m broker.TopicMembers) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := m.(crowded).b.Close(ctx); err != nil {
			t.Error(err)
		}
	})
}

// TestTopicMembersAreToldAgain empties Redis: the members come back.
func TestTopicMembersAreToldAgain(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), func(o *Options) { o.Lease = shortLease })
	n, err := b.TopicMembers().Join(broker.TopicMembersReceiver{Changed: func(string, broker.TopicMember, bool) {}})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Enter("t", broker.TopicMember{User: "ann", Connection: "1"}); err != nil {
		t.Fatal(err)
	}
	there := func() bool { return r.Do("HLEN", "wsd:{t:t}:members") == int64(1) }
	testkit.Eventually(t, there, patience)
	r.Do("FLUSHALL")
	testkit.Eventually(t, there, patience)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.Leave(ctx); err != nil {
		t.Error(err)
	}
}

// joinMembers makes a node that counts what it is told.
func joinMembers(t *testing.T, b *Broker) (n *membersNode, joins, leaves *atomic.Int64) {
	t.Helper()
	joins, leaves = new(atomic.Int64), new(atomic.Int64)
	node, err := b.TopicMembers().Join(broker.TopicMembersReceiver{Changed: func(_ string, _ broker.TopicMember, joined bool) {
		if joined {
			joins.Add(1)
		} else {
			leaves.Add(1)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = node.Leave(ctx)
	})
	return node.(*membersNode), joins, leaves
}

func enterAs(t *testing.T, n *membersNode, topic, connection string) {
	t.Helper()
	if err := n.Enter(topic, broker.TopicMember{User: "ann", Connection: connection}); err != nil {
		t.Fatal(err)
	}
}

// TestTopicMembersLeaseOutlastsRetelling has topics told again that would take longer
// than the lease lasts, were they told one by one: it is kept, and all are told.
func TestTopicMembersLeaseOutlastsRetelling(t *testing.T) {
	t.Parallel()
	const topics, life = 600, 5 * time.Second
	r := testkit.StartRedis(t)
	p := testkit.StartProxy(t, strings.TrimPrefix(r.URL(), "redis://"))
	b := openBroker(t, "redis://"+p.Addr, func(o *Options) { o.Lease = life })
	n, _, _ := joinMembers(t, b)
	for i := range topics {
		enterAs(t, n, fmt.Sprint("t", i), "1")
	}
	told := func() bool { return r.Do("EXISTS", membersKey(fmt.Sprint("t", topics-1))) == int64(1) }
	testkit.Eventually(t, told, patience)
	p.Delay(10*time.Millisecond, 10*time.Millisecond)
	r.Do("FLUSHALL")
	held := func() bool { return r.Do("EXISTS", memberLeaseKey+n.id) == int64(1) }
	testkit.Eventually(t, held, patience)
	testkit.Eventually(t, func() bool {
		if !held() {
			t.Fatalf("the lease has lapsed with %v of %d topics told", r.Do("DBSIZE"), topics)
		}
		return r.Do("DBSIZE") == int64(topics+1)
	}, patience)
	p.Delay(0, 0)
}

// TestTopicMembersComeBack takes a node for dead that is not: who watches is told that
// its members are there, and what was struck off late is told again.
func TestTopicMembersComeBack(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	open := func() *Broker { return openBroker(t, r.URL(), func(o *Options) { o.Lease = shortLease }) }
	a, _, _ := joinMembers(t, open())
	b, joins, leaves := joinMembers(t, open())
	testkit.Eventually(t, func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		first := time.Until(a.allDue) <= shortLease // it has its lease
		if first {
			a.allDue = time.Now().Add(time.Hour) // not in the midst of what follows
		}
		return first
	}, patience)
	b.Watch("t")
	enterAs(t, a, "t", "1")
	there := func() bool { return r.Do("HEXISTS", membersKey("t"), a.id+"1") == int64(1) }
	b.mu.Lock()
	v := b.watched["t"]
	b.mu.Unlock()
	testkit.Eventually(t, func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.loaded && v.members[a.id+"1"] != ""
	}, patience)
	before, joined := leaves.Load(), joins.Load() // its lease may lapse at any time on a busy machine
	v.bury(map[string]bool{a.id: false})
	testkit.Eventually(t, func() bool { return leaves.Load() > before && (!there() || joins.Load() > joined) }, patience)
	r.Do("HSET", membersKey("t"), a.id+"1", "ann") // as if it were not struck off yet
	r.Do("DEL", memberLeaseKey+a.id)
	testkit.Eventually(t, func() bool { return joins.Load() > joined }, patience)
	r.Do("HDEL", membersKey("t"), a.id+"1") // late
	testkit.Eventually(t, there, patience)
}

// TestTopicMembersOfRefusedTopics has all topics be due while Redis refuses one: the
// other is told, and that one when Redis takes it.
func TestTopicMembersOfRefusedTopics(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	n, _, _ := joinMembers(t, openBroker(t, r.URL(), func(o *Options) { o.Lease = shortLease }))
	enterAs(t, n, "good", "1")
	enterAs(t, n, "bad", "1")
	there := func(topic string) func() bool {
		return func() bool { return r.Do("TYPE", membersKey(topic)) == "hash" }
	}
	testkit.Eventually(t, there("good"), patience)
	testkit.Eventually(t, there("bad"), patience)
	r.Do("SET", membersKey("bad"), "no hash")
	r.Do("DEL", membersKey("good"))
	n.mu.Lock()
	n.allDue = time.Now()
	n.mu.Unlock()
	testkit.Eventually(t, there("good"), patience)
	r.Do("DEL", membersKey("bad"))
	testkit.Eventually(t, there("bad"), patience)
}

// TestWatchBeginsWithTheHash: what comes before the hash was read is in it. A view
// that began with such a change would not know who was there before, and not tell that
// they left.
func TestWatchBeginsWithTheHash(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	n, joins, leaves := joinMembers(t, openBroker(t, r.URL(), nil))
	early, late := strings.Repeat("x", memberIDLen)+"1", strings.Repeat("x", memberIDLen)+"2"
	r.Do("HSET", membersKey("t"), early, "ann", late, "bob")
	v := &membersView{n: n, topic: "t", members: map[string]string{}}
	sub := n.b.hub.subscribe(n.b.inboxKind(), membersChannel("t"), v)
	defer sub.release(false)
	v.message("", "+"+late+"\x00bob")
	if err := v.load(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	if joins.Load() != 0 || len(v.members) != 2 {
		t.Errorf("told %d joins, and knows %v", joins.Load(), v.members)
	}
	v.message("", "-"+early+"\x00ann")
	v.message("", "-"+late+"\x00bob")
	if leaves.Load() != 2 {
		t.Errorf("told %d leaves", leaves.Load())
	}
}

// TestRefreshPastAHashThatIsNone has a view whose key is another program's before one
// that can be read.
func TestRefreshPastAHashThatIsNone(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	n, _, _ := joinMembers(t, openBroker(t, r.URL(), nil))
	r.Do("SET", membersKey("bad"), "no hash")
	r.Do("HSET", membersKey("good"), strings.Repeat("x", memberIDLen)+"1", "ann")
	var views []*membersView
	for _, topic := range []string{"bad", "good"} {
		v := &membersView{n: n, topic: topic, stale: true, members: map[string]string{}}
		v.sub = n.b.hub.subscribe(n.b.inboxKind(), membersChannel(topic), v)
		defer v.sub.release(false)
		views = append(views, v)
	}
	if err := n.refresh(views); !unusable(err) {
		t.Errorf("the error is %v", err)
	}
	if bad, good := views[0], views[1]; !bad.stale || !good.loaded {
		t.Errorf("the bad one is stale: %v, the good one was read: %v", bad.stale, good.loaded)
	}
}

// TestTopicMembersOfALargeTopic breaks the connection of a node that watches more
// members than it compares, and then has the node of some die: it is told both times
// that there may be others.
func TestTopicMembersOfALargeTopic(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	var missed atomic.Int64
	b := openBroker(t, r.URL(), func(o *Options) { o.Lease = shortLease })
	n, err := b.TopicMembers().Join(broker.TopicMembersReceiver{
		Changed: func(string, broker.TopicMember, bool) {},
		Missed: func(topic string) {
			if topic == "t" {
				missed.Add(1)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Repeat("o", memberIDLen)
	r.Do("SET", memberLeaseKey+other, "1")
	r.Do("EVAL", `for i = 1, tonumber(ARGV[2]) do redis.call('HSET', KEYS[1], ARGV[1] .. i, 'ann') end`, "1", membersKey("t"), other, fmt.Sprint(2*maxMembersRead))
	n.Watch("t")
	watched := n.(*membersNode)
	watched.mu.Lock()
	v := watched.watched["t"]
	watched.mu.Unlock()
	testkit.Eventually(t, func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.loaded
	}, patience)
	if got := missed.Load(); got != 0 {
		t.Errorf("told %d times that there are others, before any was missed", got)
	}
	r.Do("CLIENT", "KILL", "TYPE", "pubsub")
	testkit.Eventually(t, func() bool { return missed.Load() > 0 }, patience)
	before := missed.Load()
	r.Do("DEL", memberLeaseKey+other)
	testkit.Eventually(t, func() bool { return missed.Load() > before }, patience)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.Leave(ctx); err != nil {
		t.Error(err)
	}
}
