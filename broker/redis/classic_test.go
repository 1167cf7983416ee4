package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// TestClassicSubscriptions looks at the commands: others count the subscribers of
// the request channel, so it is the last to be subscribed, once, and the first to
// be left.
func TestClassicSubscriptions(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	b := connect(t, server, redis.Options{})
	wire := monitor(t, server)
	a := sit(t, b, "/")
	uid := a.node.UID()
	if len(uid) != 6 || strings.Trim(uid, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("%q is no name that Node would have", uid)
	}
	own := "socket.io-response#/#" + uid + "#"
	a.node.RoomJoined("room")
	a.node.RoomLeft("room")
	a.node.Leave()
	words := func(names ...string) (all []string) {
		for _, c := range wire.commands(t, names...) {
			all = append(all, c[1:]...)
		}
		return all
	}
	testkit.Eventually(t, func() bool { return len(words("UNSUBSCRIBE", "PUNSUBSCRIBE")) >= 4 }, patience)
	if got, want := words("PSUBSCRIBE"), []string{"socket.io#/#*"}; !slices.Equal(got, want) {
		t.Errorf("patterns %q, want %q", got, want)
	}
	in := words("SUBSCRIBE")
	if len(in) == 0 || in[len(in)-1] != "socket.io-request#/#" {
		t.Errorf("subscribed to %q, want the requests last", in)
	}
	all := []string{"socket.io#/#*", "socket.io-request#/#", "socket.io-response#/#", own}
	slices.Sort(all)
	if got := slices.Sorted(slices.Values(append(words("PSUBSCRIBE"), in...))); !slices.Equal(got, all) {
		t.Errorf("subscribed to %q, want %q", got, all)
	}
	out := words("UNSUBSCRIBE", "PUNSUBSCRIBE")
	if got := slices.Sorted(slices.Values(out)); !slices.Equal(got, all) {
		t.Errorf("unsubscribed from %q, want %q", out, all)
	}
}

// TestClassicDropsForeignRooms sends what can't be decoded to rooms: it is only
// looked at where somebody might be in them.
func TestClassicDropsForeignRooms(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	a := sit(t, connect(t, server, redis.Options{}), "/")
	a.node.RoomJoined("mine")
	a.node.RoomJoined("left")
	a.node.RoomLeft("left")
	skipped := uint64(0)
	for _, tt := range []struct {
		room   string
		opened bool
	}{{"mine", true}, {"foreign", false}, {"left", false}, {"aaaaaaaaaaaaaaaaaaaa", true}, {"mine#", false}, {"", true}} {
		server.Do("PUBLISH", "socket.io#/#"+tt.room+"#", "\xc1")
		if tt.opened {
			skipped++
		}
	}
	server.Do("PUBLISH", "socket.io#/#", "\xc1")
	testkit.Eventually(t, func() bool { return a.node.Health().Lost == skipped+1 }, patience)
}

// TestClassicOldRequests asks as versions 7 and 6 of the adapter and programs that
// only publish do, and looks at the answers on the wire.
func TestClassicOldRequests(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	a := sit(t, connect(t, server, redis.Options{SpecificResponses: true}), "/")
	wire := monitor(t, server)
	sockets := []cluster.Socket{
		{ID: "s1", Rooms: []string{"s1", "r"}, Handshake: []byte("{}"), Data: []byte("{}")},
		{ID: "s2", Rooms: []string{"s2", "r"}, Handshake: []byte("{}"), Data: []byte("{}")},
	}
	const common, specific = "socket.io-response#/#", "socket.io-response#/#asking#"
	for _, tt := range []struct {
		name    string
		request string
		sockets []cluster.Socket // what the node finds when it is asked
		channel string           // "": no answer
		answer  string
		then    string // what the node is told to do
	}{
		{"ids of sockets", `{"uid":"asking","requestId":"q","type":0,"rooms":["r"]}`, sockets, specific, `{"requestId":"q","sockets":["s1","s2"]}`, ""},
		{"all rooms", `{"uid":"asking","requestId":"q","type":1}`, sockets, specific, `{"requestId":"q","rooms":["s1","r","s2"]}`, ""},
		{"all rooms, without a name", `{"requestId":"q","type":1}`, nil, common, `{"requestId":"q","rooms":[]}`, ""},
		{"a fetch", `{"uid":"asking","requestId":"q","type":5,"opts":{"rooms":[],"except":[]}}`, nil, specific, `{"requestId":"q","sockets":[]}`, ""},
		{"a join of a socket that is here", `{"uid":"asking","requestId":"q","type":2,"sid":"s1","room":"x"}`, sockets[:1], specific, `{"requestId":"q"}`, "sockets join"},
		{"a leave", `{"requestId":"q","type":3,"sid":"s1","room":"x"}`, sockets[:1], common, `{"requestId":"q"}`, "sockets leave"},
		{"a disconnect", `{"uid":"asking","requestId":"q","type":4,"sid":"s1","close":true}`, sockets[:1], specific, `{"requestId":"q"}`, "disconnect sockets"},
		{"a join of a socket elsewhere", `{"uid":"asking","requestId":"q","type":2,"sid":"s3","room":"x"}`, nil, "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			messages, published := len(a.messages()), len(wire.commands(t, "PUBLISH"))
			server.Do("PUBLISH", "socket.io-request#/#", tt.request)
			testkit.Eventually(t, func() bool { return len(a.messages()) > messages }, patience)
			ask := a.messages()[messages]
			if ask.Kind != cluster.FetchSockets || ask.RequestID != "q" {
				t.Fatalf("the node was asked %+v", ask)
			}
			answer := a.own(&cluster.Message{Kind: cluster.FetchSocketsResponse, RequestID: "q", Sockets: tt.sockets})
			if err := a.node.Respond(ask.UID, answer); err != nil {
				t.Fatal(err)
			}
			if tt.then != "" {
				testkit.Eventually(t, func() bool { return len(a.messages()) > messages+1 }, patience)
				if m := a.messages()[messages+1]; m.Kind.String() != tt.then || m.RequestID != "" || !slices.Equal(m.Options.Rooms, []string{"s1"}) {
					t.Errorf("the node was told %+v, want %s", m, tt.then)
				}
			}
			a.publish(t, a.event("fence"))
			want := [][]string{{"PUBLISH", "socket.io-request#/#", tt.request}, {"PUBLISH", tt.channel, tt.answer}}
			if tt.channel == "" {
				want = want[:1]
			}
			got := wire.published(t, published+len(want)+1)[published:]
			if g, w := fmt.Sprintf("%q", got[:len(want)]), fmt.Sprintf("%q", want); g != w {
				t.Errorf("on the wire\n%s, want\n%s", g, w)
			}
		})
	}
}

// TestClassicAnswersOfOthers has answers that are not for the node.
func TestClassicAnswersOfOthers(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	a := sit(t, connect(t, server, redis.Options{}), "/")
	answer := func(id string) { server.Do("PUBLISH", "socket.io-response#/#", `{"requestId":"`+id+`","sockets":[]}`) }
	answer("early")
	a.publish(t, a.own(&cluster.Message{Kind: cluster.FetchSockets, RequestID: "mine"}))
	answer("other")
	server.Do("PUBLISH", "socket.io-response#/#"+a.node.UID()+"#", `{"type":8,"requestId":"other","clientCount":1}`)
	answer("mine")
	server.Do("PUBLISH", "socket.io-response#/#"+a.node.UID()+"#", `{"type":6,"requestId":"mine","data":1}`)
	a.await(t, "fetch sockets response", "server-side emit response")
	if h := a.node.Health(); h.Lost != 0 {
		t.Errorf("health %+v: answers to others are not lost", h)
	}
}

// TestClassicEmitter has what programs send that only publish: they have no name
// of their own, and are no nodes.
func TestClassicEmitter(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	a, b := sit(t, connect(t, server, redis.Options{}), "/"), sit(t, connect(t, server, redis.Options{}), "/")
	emit, err := cluster.AppendClassicBroadcast(nil, &cluster.Message{
		Kind: cluster.Broadcast, UID: "emitter", Namespace: "/", Packet: cluster.Packet{Type: sio.Event, Payload: sio.Payload{JSON: []byte(`["hi"]`)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Do("PUBLISH", "socket.io#/#", string(emit))
	server.Do("PUBLISH", "socket.io-request#/#", `{"type":2,"opts":{"rooms":[],"except":[]},"rooms":["x"]}`)
	server.Do("PUBLISH", "socket.io-request#/#", `{"uid":"emitter","type":6,"data":["e"]}`)
	for _, s := range []*seat{a, b} {
		s.await(t, "hi", "sockets join", "server-side emit")
		if got := s.others(t); got.Others != 1 || len(got.UIDs) != 0 {
			t.Errorf("members %+v, want one without a name", got)
		}
	}
}
