package redis_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// TestShardedChannels looks at where messages are published.
func TestShardedChannels(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	const public = "socket.io#/#"
	sid, wide := "aaaaaaaaaaaaaaaaaaaa", strings.Repeat("é", 10) // 20 bytes, but 10 letters
	letters := strings.Repeat("é", 20)
	pairs := strings.Repeat("😀", 10) // 20 units of UTF-16
	event := cluster.Packet{Type: sio.Event, Payload: sio.Payload{JSON: []byte(`["e"]`)}}
	to := func(rooms ...string) cluster.Message {
		return cluster.Message{Kind: cluster.Broadcast, Packet: event, Options: cluster.Options{Rooms: rooms}}
	}
	withAck := to("r")
	withAck.RequestID = "q"
	flags := to("r")
	flags.Options.Except, flags.Options.Flags.Volatile = []string{"x"}, true
	for _, tt := range []struct {
		name                     string
		m                        cluster.Message
		dynamic, static, private string
	}{
		{"to all", to(), "", "", ""},
		{"to a room", to("r"), "r#", "", "r#"},
		{"to a room, with exceptions and flags", flags, "r#", "", "r#"},
		{"to two rooms", to("r", "s"), "", "", ""},
		{"to a room, with acknowledgements", withAck, "", "", ""},
		{"to a socket", to(sid), "", "", sid + "#"},
		{"to a room of 20 bytes", to(wide), wide + "#", "", wide + "#"},
		{"to a room of 20 letters", to(letters), "", "", letters + "#"},
		{"to a room of 10 wide letters", to(pairs), "", "", pairs + "#"},
		{"to a room of digits", to("42"), "42#", "", "42#"},
		{"to a room without a name", to(""), "#", "", "#"},
		{"a leave", cluster.Message{Kind: cluster.SocketsLeave, Options: cluster.Options{Rooms: []string{"r"}}, Rooms: []string{"x"}}, "", "", ""},
		{"a fetch", cluster.Message{Kind: cluster.FetchSockets, RequestID: "q", Options: cluster.Options{Rooms: []string{"r"}}}, "", "", ""},
		{"a server-side event", cluster.Message{Kind: cluster.ServerSideEmit, Args: event.Payload}, "", "", ""},
	} {
		for mode, want := range map[redis.SubscriptionMode]string{redis.Dynamic: tt.dynamic, redis.Static: tt.static, redis.DynamicPrivate: tt.private} {
			s := sit(t, connect(t, server, redis.Options{Adapter: redis.Sharded, SubscriptionMode: mode}), "/")
			wire := monitor(t, server)
			m := tt.m
			s.publish(t, s.own(&m))
			if got := wire.published(t, 1)[0]; got[0] != "SPUBLISH" || got[1] != public+want {
				t.Errorf("%s, mode %d: %s %s, want %s", tt.name, mode, got[0], got[1], public+want)
			}
			s.node.Leave()
		}
	}
}

// TestShardedSubscriptions looks at the channels that a node subscribes to, one a
// command.
func TestShardedSubscriptions(t *testing.T) {
	t.Parallel()
	for mode, want := range map[redis.SubscriptionMode][]string{
		redis.Dynamic:        {"", "own#", "r#", "s#"},
		redis.Static:         {"", "own#"},
		redis.DynamicPrivate: {"", "own#", "r#", "s#"},
	} {
		server := testkit.StartRedis(t)
		b := connect(t, server, redis.Options{Adapter: redis.Sharded, SubscriptionMode: mode, ReleaseDelay: 100 * time.Millisecond})
		wire := monitor(t, server)
		a := sit(t, b, "/")
		uid := a.node.UID()
		if len(uid) != 16 || strings.Trim(uid, "0123456789abcdef") != "" {
			t.Errorf("%q is no name that Node would have", uid)
		}
		private, ok := a.node.(broker.ClusterPrivate)
		if own := ok && private.OwnRooms(); own != (mode == redis.DynamicPrivate) {
			t.Errorf("mode %d: wants to know of sockets' own rooms: %v", mode, own)
		}
		a.node.RoomJoined("r")
		a.node.RoomJoined("s")
		a.node.RoomJoined(uid) // a room of the node's own name is no second subscription
		channels := func(command string) (all []string) {
			for _, c := range wire.commands(t, command) {
				if len(c) != 2 {
					t.Errorf("more than one channel: %q", c)
				}
				all = append(all, strings.Replace(strings.TrimPrefix(c[1], "socket.io#/#"), uid, "own", 1))
			}
			slices.Sort(all)
			return all
		}
		testkit.Eventually(t, func() bool { return len(channels("SSUBSCRIBE")) >= len(want) }, patience)
		if got := channels("SSUBSCRIBE"); !slices.Equal(got, want) {
			t.Errorf("mode %d: subscribed to %q, want %q", mode, got, want)
		}
		// A room that is left and joined again at once stays.
		a.node.RoomLeft("s")
		a.node.RoomLeft("r")
		a.node.RoomJoined("r")
		if slices.Contains(want, "s#") {
			testkit.Eventually(t, func() bool { return len(channels("SUNSUBSCRIBE")) > 0 }, patience)
			if got := channels("SUNSUBSCRIBE"); !slices.Equal(got, []string{"s#"}) {
				t.Errorf("mode %d: left %q, want the room that nobody is in", mode, got)
			}
		}
		a.node.Leave()
		a.node.RoomJoined("late")
		testkit.Eventually(t, func() bool { return len(channels("SUNSUBSCRIBE")) >= len(want) }, patience)
		if got := channels("SUNSUBSCRIBE"); !slices.Equal(got, want) {
			t.Errorf("mode %d: left %q, want %q", mode, got, want)
		}
	}
}

// TestShardedIgnores has what a node of this adapter says nothing to.
func TestShardedIgnores(t *testing.T) {
	server := testkit.StartRedis(t)
	a := sit(t, connect(t, server, redis.Options{Adapter: redis.Sharded}), "/")
	for _, payload := range []string{
		`{"type":1,"uid":"bbbbbbbbbbbbbbbb","nsp":"/"}`,
		`{"type":2,"uid":"bbbbbbbbbbbbbbbb","nsp":"/"}`,
		`{"type":13,"uid":"bbbbbbbbbbbbbbbb","nsp":"/"}`,
		`{"type":5,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"rooms":["x"]},"uid":"bbbbbbbbbbbbbbbb","nsp":"/other"}`,
		`{"type":5,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"rooms":["x"]},"uid":"` + a.node.UID() + `","nsp":"/"}`,
		`{"uid":"` + a.node.UID() + `","nsp":"/","type":5,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"rooms":["x"]}}`,
	} {
		server.Do("SPUBLISH", "socket.io#/#", payload)
	}
	server.Do("SPUBLISH", "socket.io#/#", `{"type":6,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"close":true},"uid":"bbbbbbbbbbbbbbbb","nsp":"/"}`)
	a.await(t, "disconnect sockets")
	if h := a.node.Health(); h.Lost != 0 {
		t.Errorf("health %+v, want nothing lost", h)
	}
}
