package workers

import (
	"fmt"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scraped reads metrics in the text format.
func scraped(t *testing.T, text string) (all []*dto.MetricFamily) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		all = append(all, f)
	}
	return all
}

// rendered is their text without comments.
func rendered(t *testing.T, all []*dto.MetricFamily) string {
	t.Helper()
	var b strings.Builder
	for _, f := range all {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func worker(n int) string {
	return fmt.Sprintf(`# TYPE websocket_connections gauge
websocket_connections %[1]d
# TYPE wsd_broker_up gauge
wsd_broker_up %[2]d
# TYPE wsd_broker_last_lag_seconds gauge
wsd_broker_last_lag_seconds %[1]d
# TYPE wsd_build_info gauge
wsd_build_info{version="v"} 1
# TYPE wsd_refused_total counter
wsd_refused_total{why="a"} %[1]d
# TYPE wsd_loop_messages_total counter
wsd_loop_messages_total{loop="0"} %[1]d
# TYPE wsd_wait_seconds histogram
wsd_wait_seconds_bucket{le="1"} %[1]d
wsd_wait_seconds_bucket{le="+Inf"} %[3]d
wsd_wait_seconds_sum %[1]d
wsd_wait_seconds_count %[3]d
`, n, n%2, 2*n)
}

func TestMerge(t *testing.T) {
	var m merger
	merge := func(now map[int]string, pids map[int]int) string {
		parts := map[int][]*dto.MetricFamily{}
		for n, text := range now {
			parts[n] = scraped(t, text)
		}
		return rendered(t, m.add(parts, pids, scraped(t, "# TYPE wsd_worker_up gauge\nwsd_worker_up{worker=\"1\"} 1\n")))
	}
	want := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	both := map[int]int{1: 100, 2: 200}
	want(merge(map[int]string{1: worker(3), 2: worker(4)}, both), `websocket_connections 7
wsd_broker_last_lag_seconds 4
wsd_broker_up 0
wsd_build_info{version="v"} 1
wsd_loop_messages_total{loop="1/0"} 3
wsd_loop_messages_total{loop="2/0"} 4
wsd_refused_total{why="a"} 7
wsd_wait_seconds_bucket{le="1"} 7
wsd_wait_seconds_bucket{le="+Inf"} 14
wsd_wait_seconds_sum 7
wsd_wait_seconds_count 14
wsd_worker_up{worker="1"} 1
`)
	// One is silent: what it told last counts on.
	if got := merge(map[int]string{1: worker(5)}, both); !strings.Contains(got, "websocket_connections 9\n") || !strings.Contains(got, `wsd_refused_total{why="a"} 9`) {
		t.Error(got)
	}
	// It has ended: its clients are gone, what it counted is not.
	if got := merge(map[int]string{1: worker(5)}, map[int]int{1: 100}); !strings.Contains(got, "websocket_connections 5\n") || !strings.Contains(got, `wsd_refused_total{why="a"} 9`) {
		t.Error(got)
	}
	// Another one is in its place.
	want(merge(map[int]string{1: worker(5), 2: worker(1)}, map[int]int{1: 100, 2: 201}), `websocket_connections 6
wsd_broker_last_lag_seconds 5
wsd_broker_up 1
wsd_build_info{version="v"} 1
wsd_loop_messages_total{loop="1/0"} 5
wsd_loop_messages_total{loop="2/0"} 5
wsd_refused_total{why="a"} 10
wsd_wait_seconds_bucket{le="1"} 10
wsd_wait_seconds_bucket{le="+Inf"} 20
wsd_wait_seconds_sum 10
wsd_wait_seconds_count 20
wsd_worker_up{worker="1"} 1
`)
}

// What a worker does not know another may.
func TestMergeOfUnknown(t *testing.T) {
	const types = "# TYPE wsd_cluster_nodes gauge\n# TYPE wsd_stream_window_seconds gauge\n"
	for _, x := range []struct{ one, other, want string }{
		{"NaN", "3", "3"}, {"3", "NaN", "3"}, {"NaN", "NaN", "NaN"},
	} {
		text := func(v string) []*dto.MetricFamily {
			return scraped(t, types+"wsd_cluster_nodes "+v+"\nwsd_stream_window_seconds "+v+"\n")
		}
		got := rendered(t, new(merger).add(map[int][]*dto.MetricFamily{1: text(x.one), 2: text(x.other)}, map[int]int{1: 1, 2: 2}, nil))
		if want := "wsd_cluster_nodes " + x.want + "\nwsd_stream_window_seconds " + x.want + "\n"; got != want {
			t.Errorf("%s and %s: %q, want %q", x.one, x.other, got, want)
		}
	}
}

func TestMergeLists(t *testing.T) {
	parts := []told{
		{worker: 1, body: []byte(`{"total":2,"matching":1,"connections":[{"id":"r5","buffered":1}],"rooms":[{"nsp":"/","room":"a","members":2},{"nsp":"/","room":"b","members":1}]}`)},
		{worker: 2, body: []byte(`{"total":3,"matching":3,"connections":[{"id":"r5","buffered":9}],"rooms":[{"nsp":"/","room":"b","members":4}]}`)},
	}
	if got := fmt.Sprint(mergeConnections(parts, 10)); got != "map[connections:[map[buffered:9 id:r5@2] map[buffered:1 id:r5@1]] matching:4 total:5]" {
		t.Error(got)
	}
	if got := fmt.Sprint(mergeCounts("rooms", "members")(parts, 10)); got != "map[rooms:[map[members:5 nsp:/ room:b] map[members:2 nsp:/ room:a]] total:5]" {
		t.Error(got)
	}
	if got := fmt.Sprint(mergeCounts("rooms", "members")(parts, 1)); strings.Contains(got, "room:a") {
		t.Error(got)
	}
}
