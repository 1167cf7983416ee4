package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// oldNode writes to the stream, and reads it, as a server with version 0.2 of the
// adapter does.
type oldNode struct {
	t      *testing.T
	server *testkit.Redis
	uid    string
}

func (o oldNode) write(kind, data string) {
	o.t.Helper()
	args := []string{"XADD", "socket.io", "*", "uid", o.uid, "nsp", "/", "type", kind}
	if data != "" {
		args = append(args, "data", data)
	}
	o.server.Do(args...)
}

// entries are those of a kind that a node wrote: their data, "" without.
func (o oldNode) entries(uid, kind string) (found []string) {
	o.t.Helper()
	entries, _ := o.server.Do("XRANGE", "socket.io", "-", "+").([]any)
	for _, e := range entries {
		fields := map[string]string{}
		list := e.([]any)[1].([]any)
		for i := 0; i+1 < len(list); i += 2 {
			fields[list[i].(string)] = list[i+1].(string)
		}
		if fields["uid"] == uid && fields["type"] == kind {
			found = append(found, fields["data"])
		}
	}
	return found
}

// await waits for an entry of a kind from a node.
func (o oldNode) await(uid, kind string) string {
	o.t.Helper()
	var found []string
	testkit.Eventually(o.t, func() bool { found = o.entries(uid, kind); return len(found) > 0 }, patience)
	return found[0]
}

func (l *follower) others(t *testing.T) (int, []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := l.Members(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return m.Others, m.UIDs
}

func TestBridge(t *testing.T) {
	server := testkit.StartRedis(t)
	a := follow(t, openBroker(t, server.URL(), streamsOf), "/")
	b := follow(t, openBroker(t, server.URL(), streamsOf), "/")
	old := oldNode{t, server, "00000000000000aa"}
	if err := a.Publish(a.event("nothing old")); err != nil {
		t.Fatal(err)
	}
	b.await(t, "nothing old")
	if n := len(old.entries(a.uid, "1")) + len(old.entries(a.uid, "2")); n != 0 {
		t.Errorf("%d heartbeats in a cluster of 0.3", n)
	}

	old.write("1", "")
	for _, l := range []*follower{a, b} {
		old.await(l.uid, "1") // which others answer
		testkit.Eventually(t, func() bool {
			n, uids := l.others(t)
			return n == 2 && slices.Contains(uids, old.uid)
		}, patience)
	}

	// Its questions are answered where it reads.
	old.write("7", `{"opts":{"rooms":[],"except":[],"flags":{}},"requestId":"r1"}`)
	a.await(t, cluster.FetchSockets.String())
	b.await(t, "nothing old", cluster.FetchSockets.String())
	if got := a.got[0]; got.UID != old.uid || got.RequestID != "r1" || got.Offset != "" {
		t.Errorf("the question is %+v", got)
	}
	answer := &cluster.Message{Kind: cluster.FetchSocketsResponse, UID: a.uid, Namespace: "/", RequestID: "r1"}
	if err := a.Respond(old.uid, answer); err != nil {
		t.Fatal(err)
	}
	if got := old.await(a.uid, "8"); got != `{"requestId":"r1","sockets":[]}` {
		t.Errorf("the answer is %s", got)
	}

	// This node's questions go there too, once, and other wsd nodes answer by
	// pub/sub.
	emit := &cluster.Message{Kind: cluster.ServerSideEmit, UID: a.uid, Namespace: "/", RequestID: "r2", Args: sio.Payload{JSON: []byte(`["e"]`)}}
	if err := a.Publish(emit); err != nil {
		t.Fatal(err)
	}
	if got := old.await(a.uid, "9"); got != `{"requestId":"r2","packet":["e"]}` && !strings.Contains(got, `"r2"`) {
		t.Errorf("the question is %s", got)
	}
	b.await(t, "nothing old", cluster.FetchSockets.String(), cluster.ServerSideEmit.String())
	old.write("10", `{"requestId":"r2","packet":"old"}`)
	if err := b.Respond(a.uid, &cluster.Message{Kind: cluster.ServerSideEmitResponse, UID: b.uid, Namespace: "/", RequestID: "r2", Args: sio.Payload{JSON: []byte(`["b"]`)}}); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, func() bool { return len(a.names()) == 3 }, patience)
	if n := len(old.entries(b.uid, "10")); n != 0 {
		t.Error("a wsd node answered another through the stream")
	}
	if n := len(b.names()); n != 3 {
		t.Errorf("b got %q", b.names())
	}

	// It says that it goes, and they that they go.
	b.Leave()
	old.await(b.uid, "13")
	old.write("13", "")
	testkit.Eventually(t, func() bool { n, _ := a.others(t); return n == 0 }, patience)
	before := len(old.entries(a.uid, "9"))
	if err := a.Publish(emit); err != nil {
		t.Fatal(err)
	}
	if err := a.Publish(a.event("end")); err != nil {
		t.Fatal(err)
	}
	old.await(a.uid, "3")
	if n := len(old.entries(a.uid, "9")); n != before {
		t.Error("a question went through the stream without need")
	}
}

// TestBridgeBounds has more nodes than there can be.
func TestBridgeBounds(t *testing.T) {
	server := testkit.StartRedis(t)
	l := follow(t, openBroker(t, server.URL(), streamsOf), "/")
	for i := range maxBridged + 100 {
		oldNode{t, server, fmt.Sprintf("%016x", i)}.write("1", "")
	}
	oldNode{t, server, "emitter"}.write("2", "")
	oldNode{t, server, ""}.write("2", "")
	addEntry(server, "socket.io", "/", "end")
	l.await(t, "end")
	if n, _ := l.others(t); n != maxBridged {
		t.Errorf("%d nodes are counted, want %d", n, maxBridged)
	}
	// However many heartbeats ask for one.
	if n := len(oldNode{t, server, ""}.entries(l.uid, "1")) + len(oldNode{t, server, ""}.entries(l.uid, "2")); n == 0 || n > 20 {
		t.Errorf("%d heartbeats answer", n)
	}
}

// TestBridgeMistakes has heartbeats in the names of nodes that are no old ones:
// these are counted once as soon as they use pub/sub, or send the bridge's mark.
func TestBridgeMistakes(t *testing.T) {
	server := testkit.StartRedis(t)
	a := follow(t, openBroker(t, server.URL(), streamsOf), "/")
	b := follow(t, openBroker(t, server.URL(), streamsOf), "/")
	third := oldNode{t, server, "00000000000000aa"}
	mistaken := func(of int) {
		t.Helper()
		testkit.Eventually(t, func() bool { n, _ := a.others(t); return n == of }, patience)
	}
	mistaken(1)
	oldNode{t, server, b.uid}.write("2", "")
	mistaken(2)
	if err := b.Respond(a.uid, &cluster.Message{Kind: cluster.ServerSideEmitResponse, UID: b.uid, Namespace: "/", RequestID: "r", Args: sio.Payload{JSON: []byte(`["b"]`)}}); err != nil {
		t.Fatal(err)
	}
	mistaken(1)
	// Not before: those that meet it send the mark themselves.
	third.write("2", "")
	mistaken(2)
	third.write("2", bridgeMark)
	mistaken(1)
}
