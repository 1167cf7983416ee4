package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// overview asks for the history after since as well.
func (r *running) overview(since uint64) (x overview) {
	r.t.Helper()
	status, body := r.askAdmin(http.MethodGet, fmt.Sprintf("/v1/overview?since=%d", since), "")
	if err := json.Unmarshal([]byte(body), &x); status != http.StatusOK || err != nil {
		r.t.Fatalf("%d %s: %v", status, body, err)
	}
	return x
}

// The figures are those of a load that is known.
func TestOverviewTellsTheTruth(t *testing.T) {
	r := serve(t, "--loops", "2", "--max-connections", "50", "--sio-allow-join", "lobby", "--insecure-user-from", "auth.userId", "--server-id", "me")
	const messages = 5
	for _, topic := range []string{"a", "a", "a", "b"} {
		c := r.dial("/topics/"+topic+"?self=1", nil)
		for i := range messages {
			text := fmt.Sprint(topic, i)
			c.send(ws.OpText, text)
			c.expect(ws.OpText, text)
			defer c.conn.Close()
		}
	}
	s := r.connect("/", `{"userId":"ann"}`)
	s.must("ok", `"join","lobby"`)
	if status, _ := r.get("/socket.io/?EIO=4&transport=polling&sid=nobody"); status != http.StatusBadRequest {
		t.Fatalf("an unknown session: %d", status)
	}
	var x overview
	testkit.Eventually(t, func() bool {
		x = r.overview(0)
		return x.Nodes[0].Connections.Total == 5 && len(x.Node.Trouble) > 0 && x.Node.Topics.Top != nil && x.Node.Totals.MessagesIn == 4*messages+2
	}, patience)
	n := &x.Nodes[0]
	if want := (connectionsView{Total: 5, Limit: 50, Raw: 4, SIO: 1, WebSocket: 5}); n.Connections != want {
		t.Errorf("%+v, want %+v", n.Connections, want)
	}
	if n.ID != "me" || n.State != stateOK || !n.Accepting || n.Memory.Heap == 0 || n.Goroutines == 0 || len(x.Nodes) != 1 || x.Cluster.Enabled {
		t.Errorf("%+v, %+v", x.Nodes, x.Cluster)
	}
	sockets := 0
	for _, l := range x.Node.Loops {
		sockets += l.Connections
	}
	if len(x.Node.Loops) != 2 || sockets != 5 {
		t.Errorf("%+v", x.Node.Loops)
	}
	topics := map[string]int{}
	for _, p := range x.Node.Topics.Top {
		topics[p.Name] = p.Members
	}
	if x.Node.Topics.Count != 2 || topics["a"] != 3 || topics["b"] != 1 {
		t.Errorf("%+v", x.Node.Topics)
	}
	if !slices.ContainsFunc(x.Node.Rooms.Top, func(p placeView) bool { return p.Name == "lobby" && p.Members == 1 }) || x.Node.Rooms.Sockets != 1 {
		t.Errorf("%+v", x.Node.Rooms)
	}
	if !slices.ContainsFunc(x.Node.Trouble, func(p trouble) bool {
		return p.Metric == "wsd_sio_requests_refused_total" && p.What == troubleRequest && p.Total == 1
	}) {
		t.Errorf("%+v", x.Node.Trouble)
	}
	if len(x.History.Rows) == 0 || len(x.History.Rows[0]) != len(x.History.Columns) {
		t.Errorf("%+v", x.History)
	}
	testkit.Eventually(t, func() bool {
		y := r.overview(x.History.Next)
		return y.History.Next == x.History.Next+uint64(len(y.History.Rows)) && len(y.History.Rows) > 0
	}, patience)
	if far := r.overview(1 << 40); len(far.History.Rows) == 0 {
		t.Error("a history that is not there yet: no rows")
	}
}

// A client that does not read is named, with what waits for it.
func TestOverviewNamesSlowClients(t *testing.T) {
	r := serve(t)
	slow, fast := r.dial("/topics/a?mode=sub", nil), r.dial("/topics/a?mode=pub", nil)
	text := strings.Repeat("x", 16<<10)
	testkit.Eventually(t, func() bool {
		for range 50 {
			fast.send(ws.OpBinary, text)
		}
		list := r.overview(0).Node.Slowest
		return len(list) == 1 && list[0].Remote == slow.conn.LocalAddr().String() && list[0].Buffered >= slowFrom && list[0].Kind == "raw"
	}, patience)
}

func TestEveryTroubleIsAMetric(t *testing.T) {
	r := serve(t, "--adapter", "classic", "--redis-url", testkit.StartRedis(t).URL())
	known := map[string]bool{}
	for _, d := range r.server.metrics.Defs() {
		known[d.Name] = true
	}
	for name := range troubleMetrics {
		if !known[name] {
			t.Errorf("%s is no metric", name)
		}
	}
}

// Nodes see each other by way of Redis, and what others than nodes write there does
// no harm.
func TestOverviewOfNodes(t *testing.T) {
	redis := testkit.StartRedis(t)
	flags := []string{"--adapter", "sharded", "--redis-url", redis.URL(), "--server-id"}
	a, b := serve(t, append(flags, "a")...), serve(t, append(flags, "b")...)
	c := b.dial("/echo", nil)
	c.send(ws.OpText, "x")
	c.expect(ws.OpText, "x")
	hostile := map[string]string{"<img src=x>": "no JSON", "liar": `{"id":"a","state":"ok"}`, "odd": `{"id":"odd","state":"<b>"}`}
	for name, text := range hostile {
		redis.Do("SET", "wsd:nodesummary:"+name, text)
		redis.Do("SADD", "wsd:nodes", name)
		redis.Do("SET", "wsd:node:"+name, `{"token":"x"}`)
	}
	testkit.Eventually(t, func() bool {
		x := a.overview(0)
		states := map[string]string{}
		for _, n := range x.Nodes {
			states[n.ID] = n.State
			if n.ID == "b" && (n.Connections.Total != 1 || n.Broker == nil || !n.Broker.Up) {
				return false
			}
		}
		return x.Cluster.Enabled && x.Nodes[0].ID == "a" && states["b"] == stateOK && states["<img src=x>"] == stateSilent &&
			states["liar"] == stateSilent && states["odd"] == stateSilent && len(x.Nodes) == 5
	}, patience)
	redis.Kill()
	testkit.Eventually(t, func() bool {
		x := a.overview(0)
		return x.Cluster.Error != "" && !x.Nodes[0].Broker.Up && x.Nodes[0].State != ""
	}, patience)
}

// The page is there without the token, and tells nothing.
func TestDashboardIsOpenAndEmpty(t *testing.T) {
	r := serve(t, "--admin-token", "open sesame", "--server-id", "a-name-to-look-for")
	status, page := r.askAdmin(http.MethodGet, "/", "")
	if status != http.StatusOK || !strings.Contains(page, "<title>wsd</title>") || strings.Contains(page, "{{") || strings.Contains(page, "a-name-to-look-for") {
		t.Errorf("%d %.200s", status, page)
	}
	if status, _ := r.askAdmin(http.MethodGet, "/v1/overview", ""); status != http.StatusUnauthorized {
		t.Errorf("the figures without the token: %d", status)
	}
}
