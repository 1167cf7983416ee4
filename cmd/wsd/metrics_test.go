package main

import (
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// told is the value of a series, if the server tells it.
func (r *running) told(series string) (value float64, ok bool) {
	r.t.Helper()
	_, text := r.askAdmin(http.MethodGet, "/metrics", "")
	for line := range strings.Lines(text) {
		if text, found := strings.CutPrefix(strings.TrimSpace(line), series+" "); found {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				r.t.Fatalf("%s: %v", line, err)
			}
			return n, true
		}
	}
	return 0, false
}

// becomes waits until a series is told that is as wanted.
func (r *running) becomes(series string, want func(float64) bool) {
	r.t.Helper()
	testkit.Eventually(r.t, func() bool {
		value, ok := r.told(series)
		return ok && want(value)
	}, patience)
}

func exactly(want float64) func(float64) bool { return func(got float64) bool { return got == want } }

// Messages are told by who gets them: what carries Engine.IO is none of a raw path's.
func TestMessagesByKind(t *testing.T) {
	r := serve(t)
	raw := r.dial("/echo", nil)
	for range 3 {
		raw.send(ws.OpText, "x")
		raw.expect(ws.OpText, "x")
	}
	raw.send(ws.OpBinary, "x")
	raw.expect(ws.OpBinary, "x")
	r.connect("/", "") // an open packet, CONNECT, and its answer
	for series, want := range map[string]float64{
		`wsd_messages_received_total{kind="raw",op="text"}`:   3,
		`wsd_messages_received_total{kind="raw",op="binary"}`: 1,
		`wsd_messages_received_total{kind="sio",op="text"}`:   1,
		`wsd_messages_received_total{kind="sio",op="binary"}`: 0,
		`wsd_messages_sent_total{kind="raw",op="text"}`:       3,
		`wsd_messages_sent_total{kind="raw",op="binary"}`:     1,
		`wsd_messages_sent_total{kind="sio",op="text"}`:       2,
		`wsd_messages_sent_total{kind="sio",op="binary"}`:     0,
	} {
		r.becomes(series, exactly(want))
	}
}

// Probes are told by the buckets of deliveries, and the last one by itself.
func TestMetricsOfProbes(t *testing.T) {
	r := serve(t, "--adapter", "classic", "--redis-url", testkit.StartRedis(t).URL())
	r.becomes("wsd_broker_lag_seconds_count", func(n float64) bool { return n >= 2 })
	_, text := r.askAdmin(http.MethodGet, "/metrics", "")
	bounds := func(name string) (all []string) {
		for _, m := range regexp.MustCompile(`(?m)^`+name+`_bucket\{le="([^"]+)"\}`).FindAllStringSubmatch(text, -1) {
			all = append(all, m[1])
		}
		return all
	}
	if probes, deliveries := bounds("wsd_broker_lag_seconds"), bounds("wsd_delivery_latency_seconds"); len(probes) < 2 || !slices.Equal(probes, deliveries) {
		t.Errorf("buckets %v, and of deliveries %v", probes, deliveries)
	}
	if last, sum := r.metric("wsd_broker_last_lag_seconds"), r.metric("wsd_broker_lag_seconds_sum"); last <= 0 || sum <= 0 {
		t.Errorf("the last took %v s, all %v s", last, sum)
	}
}

// Without Redis a server is alone, and says nothing of a cluster.
func TestNoClusterIsTold(t *testing.T) {
	_, text := serve(t).askAdmin(http.MethodGet, "/metrics", "")
	for _, name := range []string{"wsd_cluster_", "wsd_stream_window_seconds"} {
		if strings.Contains(text, name) {
			t.Errorf("there is %s", name)
		}
	}
}

// Servers of one Redis see each other, count what they ask each other, and tell how
// far back recovery can reach.
func TestMetricsOfCluster(t *testing.T) {
	const hour = 3600
	begun := float64(time.Now().Unix())
	redis := testkit.StartRedis(t)
	redis.Do("XADD", "socket.io", fmt.Sprintf("%d-0", time.Now().Add(-hour*time.Second).UnixMilli()), "nsp", "/nobody")
	flags := []string{"--adapter", "streams", "--redis-url", redis.URL(), "--recovery", "90s"}
	a := serve(t, append(flags, "--server-id", "a")...)
	a.becomes("wsd_cluster_nodes", exactly(1))
	b, held := serveHeld(t, append(flags, "--server-id", "b")...)
	b.becomes("wsd_cluster_nodes", exactly(2))
	b.becomes("wsd_stream_window_seconds", func(s float64) bool { return s >= hour && s < 2*hour })
	if limit := b.metric("wsd_recovery_limit_seconds"); limit != 90 {
		t.Errorf("recovery of %v s", limit)
	}

	const asked = `wsd_cluster_requests_total{result="ok",type="fetch_sockets"}`
	before := b.metric(asked)
	if _, err := held.sio.io.FetchSockets(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := b.metric(asked); got != before+1 {
		t.Errorf("%v questions, want %v", got, before+1)
	}
	redis.Kill()
	if rooms, err := held.sio.io.AllRooms(t.Context()); err == nil {
		t.Fatalf("all rooms of a cluster that can't be reached: %v", rooms)
	}
	// Which of the two depends on whether the loss of the connection was noticed first.
	got := b.metric(`wsd_cluster_requests_total{result="failed",type="all_rooms"}`) + b.metric(`wsd_cluster_requests_total{result="timeout",type="all_rooms"}`)
	if got != 1 {
		t.Errorf("%v questions that failed, want 1", got)
	}
	// What is not known is told to be so, and since when.
	b.becomes("wsd_cluster_nodes", math.IsNaN)
	b.becomes("wsd_stream_window_seconds", math.IsNaN)
	if at := b.metric("wsd_cluster_survey_timestamp_seconds"); at < begun || at > float64(time.Now().Unix()+1) {
		t.Errorf("surveyed at %v, the test began at %v", at, begun)
	}
}
