package brokertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// TopicMembers runs the suite of broker.TopicMembers. process adds a process; kill
// ends one as if it had died, nil where that can't happen.
func TopicMembers(t *testing.T, process func(t *testing.T) broker.TopicMembers, kill func(broker.TopicMembers)) {
	t.Run("members come and go", func(t *testing.T) { membersComeAndGo(t, process) })
	t.Run("watchers are told once", func(t *testing.T) { membersAreTold(t, process) })
	t.Run("what changes behind a list is told", func(t *testing.T) { membersBehindAList(t, process) })
	t.Run("Leave takes everything back", func(t *testing.T) { membersLeave(t, process) })
	if kill != nil {
		t.Run("those of a node that died vanish", func(t *testing.T) { membersVanish(t, process, kill) })
	}
}

// crowd is a node that keeps what it is told.
type crowd struct {
	broker.TopicMembersNode
	mu  sync.Mutex
	got []string
}

func joinMembers(t *testing.T, m broker.TopicMembers) *crowd {
	t.Helper()
	c := new(crowd)
	node, err := m.Join(broker.TopicMembersReceiver{Changed: func(topic string, m broker.TopicMember, joined bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		sign := "-"
		if joined {
			sign = "+"
		}
		c.got = append(c.got, fmt.Sprintf("%s%s:%s/%s", sign, topic, m.User, m.Connection))
	}})
	if err != nil {
		t.Fatal(err)
	}
	c.TopicMembersNode = node
	t.Cleanup(func() { _ = node.Leave(patient(t)) }) // its process may have died
	return c
}

func (c *crowd) told() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

// has waits until the members of a topic are these, as user/connection, sorted.
func (c *crowd) has(t *testing.T, topic string, want ...string) {
	t.Helper()
	var got []string
	ok := func() bool {
		members, total, err := c.List(patient(t), topic, 100)
		if err != nil || total != len(members) {
			t.Fatalf("%d of %d members, %v", len(members), total, err)
		}
		got = nil
		for _, m := range members {
			got = append(got, m.User+"/"+m.Connection)
		}
		slices.Sort(got)
		return slices.Equal(got, want)
	}
	defer func() {
		if t.Failed() {
			t.Logf("%s has %q, want %q", topic, got, want)
		}
	}()
	testkit.Eventually(t, ok, patience)
}

func enterTopic(t *testing.T, c *crowd, topic, user, connection string) {
	t.Helper()
	if err := c.Enter(topic, broker.TopicMember{User: user, Connection: connection}); err != nil {
		t.Fatal(err)
	}
}

func exitTopic(t *testing.T, c *crowd, topic, connection string) {
	t.Helper()
	if err := c.Exit(topic, connection); err != nil {
		t.Fatal(err)
	}
}

func membersComeAndGo(t *testing.T, process func(*testing.T) broker.TopicMembers) {
	a, b := joinMembers(t, process(t)), joinMembers(t, process(t))
	enterTopic(t, a, "t", "ann", "1")
	enterTopic(t, a, "t", "ann", "2")
	enterTopic(t, b, "t", "", "3")
	enterTopic(t, b, "t}{*", "bob", "3")
	for _, c := range []*crowd{a, b} {
		c.has(t, "t", "/3", "ann/1", "ann/2")
		c.has(t, "t}{*", "bob/3")
		c.has(t, "empty")
	}
	exitTopic(t, a, "t", "1")
	exitTopic(t, a, "t", "3") // another node's
	exitTopic(t, a, "t", "never")
	b.has(t, "t", "/3", "ann/2")
	members, total, err := b.List(patient(t), "t", 1)
	if len(members) != 1 || total != 2 || err != nil {
		t.Errorf("%v of %d, %v", members, total, err)
	}
}

// membersAreTold has a watcher told of each member of both nodes once, in order, and
// an idle node of nothing.
func membersAreTold(t *testing.T, process func(*testing.T) broker.TopicMembers) {
	a, b, idle := joinMembers(t, process(t)), joinMembers(t, process(t)), joinMembers(t, process(t))
	enterTopic(t, b, "t", "early", "0")
	a.has(t, "t", "early/0")
	a.Watch("t")
	a.has(t, "t", "early/0") // behind that all changes are told
	var want []string
	for i := range 20 {
		id := fmt.Sprint(i, "x")
		enterTopic(t, b, "t", "u", id)
		exitTopic(t, b, "t", id)
		want = append(want, "+t:u/"+id, "-t:u/"+id)
	}
	enterTopic(t, a, "t", "own", "1")
	enterTopic(t, b, "other", "u", "1")
	exitTopic(t, b, "t", "0")
	told := func() (rest []string) {
		for _, s := range a.told() {
			if strings.Contains(s, "t:u/") {
				rest = append(rest, s)
			}
		}
		return rest
	}
	testkit.Eventually(t, func() bool {
		all := a.told()
		return len(told()) >= len(want) && slices.Contains(all, "+t:own/1") && slices.Contains(all, "-t:early/0")
	}, patience)
	if got := told(); !slices.Equal(got, want) {
		t.Errorf("told %q\nwant %q", got, want)
	}
	if got := idle.told(); len(got) > 0 {
		t.Errorf("who does not watch was told %q", got)
	}
}

// membersBehindAList has members come and go right behind the list that a watcher was
// given: it is told, or it would take those who left for present for ever.
func membersBehindAList(t *testing.T, process func(*testing.T) broker.TopicMembers) {
	a, b := joinMembers(t, process(t)), joinMembers(t, process(t))
	var want []string
	for i := range 20 {
		topic := fmt.Sprint("t", i)
		enterTopic(t, b, topic, "early", "1")
		b.has(t, topic, "early/1")
		a.Watch(topic)
		a.has(t, topic, "early/1")
		exitTopic(t, b, topic, "1")
		enterTopic(t, b, topic, "late", "2")
		want = append(want, "-"+topic+":early/1", "+"+topic+":late/2")
	}
	defer func() {
		if t.Failed() {
			t.Logf("told %q\nwant %q", a.told(), want)
		}
	}()
	testkit.Eventually(t, func() bool {
		told := a.told()
		return !slices.ContainsFunc(want, func(s string) bool { return !slices.Contains(told, s) })
	}, patience)
}

func membersLeave(t *testing.T, process func(*testing.T) broker.TopicMembers) {
	a, b := joinMembers(t, process(t)), joinMembers(t, process(t))
	enterTopic(t, a, "t", "ann", "1")
	enterTopic(t, b, "t", "bob", "2")
	b.has(t, "t", "ann/1", "bob/2")
	if err := a.Leave(patient(t)); err != nil {
		t.Fatal(err)
	}
	b.has(t, "t", "bob/2")
	if err := a.Enter("t", broker.TopicMember{Connection: "3"}); err != broker.ErrClosed {
		t.Errorf("Enter after Leave: %v", err)
	}
	if _, _, err := a.List(context.Background(), "t", 1); err != broker.ErrClosed {
		t.Errorf("List after Leave: %v", err)
	}
}

func membersVanish(t *testing.T, process func(*testing.T) broker.TopicMembers, kill func(broker.TopicMembers)) {
	doomed := process(t)
	a, b := joinMembers(t, doomed), joinMembers(t, process(t))
	enterTopic(t, a, "t", "ann", "1")
	enterTopic(t, b, "t", "bob", "2")
	b.has(t, "t", "ann/1", "bob/2")
	b.Watch("t")
	kill(doomed)
	b.has(t, "t", "bob/2")
	testkit.Eventually(t, func() bool { return slices.Contains(b.told(), "-t:ann/1") }, patience)
}
