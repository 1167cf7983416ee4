package daemon

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/rawws"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// sioArgs let listeners in.
var sioArgs = []string{"--insecure-user-from", "auth.user", "--anonymous", "--sio-allow-join", "room-*"}

// connection is one of GET /v1/connections.
type connection struct {
	ID, Kind, Transport, Remote, Route, User, PubSub string
	Since                                            time.Time
	Buffered, Topics                                 int
	Sockets                                          []struct {
		ID, Nsp, User string
		Rooms         []string
	}
}

// connectionList is the answer of GET /v1/connections.
type connectionList struct {
	Server          string
	Total, Matching int
	Connections     []connection
}

// emitted is the answer to an event.
type emitted struct {
	Confirmed bool
	Offset    string
	Answers   []any
	Complete  bool
}

// An emit is confirmed when Redis has the event, and by nothing else: a Redis that
// stands still is an error in time.
func TestAPIEmitIsConfirmed(t *testing.T) {
	for _, adapter := range []string{"classic", "sharded", "streams"} {
		t.Run(adapter, func(t *testing.T) {
			redis := testkit.StartRedis(t)
			s := clusterNode(t, redis, "a", append([]string{"--adapter", adapter}, sioArgs...)...)
			a := apiOf(t, s, "")
			confirmed := func() bool {
				t.Helper()
				res, body := a.send("POST", "/v1/emit", nil, `{"event":"e"}`)
				a.asDescribed("POST", "/v1/emit", res, body)
				var e emitted
				if res.StatusCode == 200 && (json.Unmarshal(body, &e) != nil || !e.Confirmed || (e.Offset != "") != (adapter == "streams")) {
					t.Errorf("%s", body)
				}
				return res.StatusCode == 200
			}
			testkit.Eventually(t, confirmed, patience)
			if adapter == "streams" && fmt.Sprint(redis.Do("EXISTS", "socket.io")) != "1" {
				t.Error("the stream has nothing")
			}
			redis.Stop()
			res, body := a.send("POST", "/v1/emit", nil, `{"event":"lost?","ack":{"timeout":"200ms"}}`)
			a.asDescribed("POST", "/v1/emit", res, body)
			if strings.Contains(string(body), "confirmed") {
				t.Errorf("with acknowledgements: %s", body)
			}
			a.failed(503, "unavailable", "/v1/emit", `{"event":"lost?"}`)
			testkit.Eventually(t, func() bool {
				return strings.Contains(a.failed(503, "unavailable", "/v1/emit", `{"event":"lost?"}`).Error.Message, "nothing was sent")
			}, patience)
			redis.Cont()
			testkit.Eventually(t, confirmed, patience)
		})
	}
}

// Events reach clients of npm on every server, and their answers come back.
func TestAPIEmit(t *testing.T) {
	redis := testkit.StartRedis(t)
	here, there := clusterNode(t, redis, "a", sioArgs...), clusterNode(t, redis, "b", sioArgs...)
	a := apiOf(t, here, "")
	near := listen(t, here.Addr, listener{User: "ann", Rooms: []string{"room-1"}}, listener{Rooms: []string{"room-1", "room-2"}}, listener{Transports: []string{"polling"}})
	far := listen(t, there.Addr, listener{User: "ann"}, listener{Rooms: []string{"room-2"}})
	// The servers know of each other, and of each other's rooms.
	testkit.Eventually(t, func() bool {
		var e emitted
		a.post(200, "/v1/emit", `{"event":"ready?","rooms":["room-2"],"ack":{"timeout":"500ms"}}`, &e)
		return e.Complete && len(e.Answers) == 2
	}, patience)
	a.post(200, "/v1/emit", `{"event":"begin"}`, nil)
	near.skip("begin", 3)
	far.skip("begin", 2)

	var taken emitted
	a.post(200, "/v1/emit", `{"event":"all","args":["x",{"y":[1,2.5]},null]}`, &taken)
	if !taken.Confirmed || taken.Offset != "" {
		t.Errorf("%+v", taken)
	}
	near.expect("all", 0, 1, 2)
	if args := far.expect("all", 0, 1); fmt.Sprint(args) != "[x map[y:[1 2.5]] <nil>]" {
		t.Errorf("arguments %v", args)
	}
	a.post(200, "/v1/emit", `{"event":"room","rooms":["room-1","room-2"]}`, nil)
	near.expect("room", 0, 1)
	far.expect("room", 1)
	a.post(200, "/v1/emit", `{"event":"but","nsp":"/","rooms":["room-1","room-2"],"except":["room-2"],"volatile":true}`, nil)
	near.expect("but", 0)
	a.post(200, "/v1/emit", `{"event":"here","local":true}`, nil)
	near.expect("here", 0, 1, 2)
	a.post(200, "/v1/emit", fmt.Sprintf(`{"event":"one","rooms":[%q]}`, far.ids[0]), nil)
	far.expect("one", 0)
	a.post(200, "/v1/emit", `{"event":"ann","user":"ann","args":[1]}`, nil)
	near.expect("ann", 0)
	far.expect("ann", 0)

	var e emitted
	a.post(200, "/v1/emit", `{"event":"q","user":"ann","ack":{}}`, &e)
	if !e.Confirmed || !e.Complete || fmt.Sprint(e.Answers) != "[fine fine]" {
		t.Errorf("%+v", e)
	}
	near.expect("q", 0)
	far.expect("q", 0)
	e = emitted{}
	a.post(200, "/v1/emit", `{"event":"silence","rooms":["room-1"],"ack":{"timeout":"200ms"}}`, &e)
	if !e.Confirmed || e.Complete || len(e.Answers) != 0 {
		t.Errorf("nobody answers: %+v", e)
	}
	near.expect("silence", 0, 1)

	var seen struct {
		Nodes   []any
		History struct{ Next uint64 }
	}
	testkit.Eventually(t, func() bool {
		a.get(200, fmt.Sprintf("/v1/overview?since=%d", seen.History.Next), &seen)
		return len(seen.Nodes) == 2
	}, patience)

	var u struct {
		Online      bool
		Connections []struct{ ID, Server string }
	}
	a.get(200, "/v1/users/ann", &u)
	servers := map[string]string{}
	for _, c := range u.Connections {
		servers[c.ID] = c.Server
	}
	if !u.Online || len(servers) != 2 || servers[near.ids[0]] != "a" || servers[far.ids[0]] != "b" {
		t.Errorf("%+v", u)
	}
	a.get(200, "/v1/users/nobody", &u)
	if u.Online || len(u.Connections) != 0 {
		t.Errorf("%+v", u)
	}
	var n struct {
		Server string
		Nodes  []struct {
			ID   string
			Self bool
		}
	}
	a.get(200, "/v1/nodes", &n)
	if n.Server != "a" || len(n.Nodes) != 2 || n.Nodes[0].Self == n.Nodes[1].Self {
		t.Errorf("%+v", n)
	}
}

// Connections, rooms and topics are what they are, and end when they shall.
func TestAPIConnections(t *testing.T) {
	s := wsdproc.Start(t, append([]string{"serve", "--server-id", "me", "--drain-lb-wait", "0s"}, sioArgs...)...)
	a := apiOf(t, s, "")
	begun := time.Now().Add(-time.Second)
	one, two, three := subscribe(t, s.Addr, "news"), subscribe(t, s.Addr, "news?topic=more"), speak(t, s.Addr, "news")
	l := listen(t, s.Addr,
		listener{User: "ann", Rooms: []string{"room-1"}},
		listener{User: "bob", Rooms: []string{"room-1", "room-2"}, Transports: []string{"polling"}},
		listener{User: "cid"},
		listener{User: "cid"},
	)
	list := func(query string) (out connectionList) {
		t.Helper()
		a.get(200, "/v1/connections"+query, &out)
		return out
	}
	all := list("")
	if all.Server != "me" || all.Total != 7 || all.Matching != 7 || len(all.Connections) != 7 {
		t.Fatalf("%+v", all)
	}
	ids := map[string]connection{}
	topics := 0
	for _, c := range all.Connections {
		ids[c.ID] = c
		topics += c.Topics
		if (c.Route == "/pubsub") != (c.PubSub != "") {
			t.Errorf("%+v", c)
		}
		if c.Since.Before(begun) || c.Since.After(time.Now()) || c.Remote == "" || c.Buffered != 0 {
			t.Errorf("%+v", c)
		}
		var again connection
		if a.get(200, "/v1/connections/"+c.ID, &again); fmt.Sprint(again) != fmt.Sprint(c) {
			t.Errorf("%+v, then %+v", c, again)
		}
	}
	if len(ids) != 7 || topics != 4 {
		t.Errorf("%d ids, %d subscriptions", len(ids), topics)
	}
	if raw := list("?kind=raw&limit=1"); raw.Matching != 3 || len(raw.Connections) != 1 || raw.Connections[0].Route == "" {
		t.Errorf("%+v", raw)
	}
	bob := list("?user=bob&kind=sio")
	if len(bob.Connections) != 1 {
		t.Fatalf("%+v", bob)
	}
	if c := bob.Connections[0]; c.Transport != "polling" || c.User != "bob" || len(c.Sockets) != 1 || c.Sockets[0].ID != l.ids[1] ||
		!slices.Equal(sorted(c.Sockets[0].Rooms), []string{"room-1", "room-2", "user:bob"}) {
		t.Errorf("%+v", c)
	}
	if slow := list("?slow=1"); slow.Matching != 0 || len(slow.Connections) != 0 {
		t.Errorf("%+v", slow)
	}
	var rooms struct {
		Rooms []struct {
			Nsp, Room string
			Members   int
		}
	}
	a.get(200, "/v1/rooms?limit=2&nsp=/", &rooms)
	if fmt.Sprint(rooms.Rooms) != "[{/ room-1 2} {/ user:cid 2}]" {
		t.Errorf("%+v", rooms)
	}
	var top struct {
		Total  int
		Topics []struct {
			Topic       string
			Subscribers int
		}
	}
	a.get(200, "/v1/topics", &top)
	if top.Total != 2 || fmt.Sprint(top.Topics) != "[{news 3} {more 1}]" {
		t.Errorf("%+v", top)
	}

	ended := func(body string, want int) {
		t.Helper()
		var d struct {
			Local   int
			Cluster bool
		}
		if a.post(200, "/v1/disconnect", body, &d); d.Local != want || d.Cluster {
			t.Errorf("%s: %+v, want %d", body, d, want)
		}
	}
	var raw string // two's
	for id, c := range ids {
		if c.Topics == 2 {
			raw = id
		}
	}
	ended(fmt.Sprintf(`{"connection":%q,"code":4001,"reason":"bye"}`, raw), 1)
	expectClose(t, two, 4001, "bye")
	two.Conn.Close()
	ended(fmt.Sprintf(`{"socket":%q}`, l.ids[0]), 1)
	l.expectGone(0)
	ended(fmt.Sprintf(`{"connection":%q}`, bob.Connections[0].ID), 1)
	l.expectGone(1)
	ended(`{"user":"cid"}`, 2)
	l.expectGone(2, 3)
	ended(`{"user":"cid"}`, 0)
	testkit.Eventually(t, func() bool { return list("").Total == 2 }, patience)
	again := listen(t, s.Addr, listener{Rooms: []string{"room-1"}}, listener{})
	ended(`{"room":"room-1","keep":true}`, 1)
	again.expectGone(0)
	a.get(404, "/v1/connections/"+raw, nil)

	// A slow reader is named with what waits for it.
	slow := subscribe(t, s.Addr, "flood")
	data := strings.Repeat("x", 512<<10)
	testkit.Eventually(t, func() bool {
		a.post(200, "/v1/publish", `{"topic":"flood","data":"`+data+`"}`, nil)
		out := list("?slow=1")
		return out.Matching == 1 && out.Connections[0].Buffered > 0
	}, patience)
	ended(`{"user":"nobody"}`, 0)
	slow.Conn.Close()
	one.Conn.Close()
	three.Conn.Close()
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}

// POST /v1/drain is SIGTERM by HTTP.
func TestAPIDrain(t *testing.T) {
	s := wsdproc.Start(t, "serve", "--drain-lb-wait", "0s")
	a := apiOf(t, s, "")
	c := subscribe(t, s.Addr, "t")
	var d struct {
		Draining    bool
		Connections int
	}
	a.post(202, "/v1/drain", "{}", &d)
	if !d.Draining || d.Connections != 1 {
		t.Errorf("%+v", d)
	}
	for {
		e, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == rawws.CloseFrame {
			if e.Code != 1001 {
				t.Errorf("%v", e)
			}
			break
		}
	}
	c.Conn.Close()
	if code := s.Wait(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, s.Log())
	}
}
