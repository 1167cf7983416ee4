package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// dashboardRows are the panels of deploy/grafana/wsd.json, by row.
var dashboardRows = []dashboardRow{
	{"Clients", []panel{
		{"Connected", "short", []query{{`sum by (instance) (websocket_connections{$of})`, "{{instance}}"}, {`sum (wsd_connections_limit{$of})`, "limit of all"}}},
		{"By transport", "short", []query{{`sum by (kind, transport) (wsd_connections{$of})`, "{{kind}} {{transport}}"}}},
		{"Connects", "cps", []query{{`sum by (kind) (rate(wsd_connections_accepted_total{$of}[$__rate_interval]))`, "{{kind}}"}}},
		{"Refused", "cps", []query{{`sum by (reason) (rate(wsd_connections_rejected_total{$of}[$__rate_interval]))`, "{{reason}}"}}},
		{"Ends by code", "cps", []query{{`sum by (code, initiator) (rate(wsd_connections_closed_total{$of}[$__rate_interval])) > 0`, "{{code}} by {{initiator}}"}}},
		{"Handshakes, p50 and p99", "s", quantiles("wsd_handshake_duration_seconds")},
		{"Pongs, p50 and p99", "s", quantiles("wsd_ping_rtt_seconds")},
		{"Sessions unknown", "reqps", []query{{`sum by (cause) (rate(wsd_sio_sessions_unknown_total{$of}[$__rate_interval]))`, "{{cause}}"}}},
	}},
	{"Messages", []panel{
		{"WebSocket messages", "mps", []query{
			{`sum by (kind, op) (rate(wsd_messages_received_total{$of}[$__rate_interval]))`, "{{kind}} {{op}} received"},
			{`sum by (kind, op) (rate(wsd_messages_sent_total{$of}[$__rate_interval]))`, "{{kind}} {{op}} sent"}}},
		{"Bytes", "Bps", []query{
			{`sum by (transport) (rate(wsd_bytes_received_total{$of}[$__rate_interval]))`, "{{transport}} received"},
			{`sum by (transport) (rate(wsd_bytes_sent_total{$of}[$__rate_interval]))`, "{{transport}} sent"}}},
		{"Socket.IO packets", "pps", []query{{`sum by (dir, type) (rate(wsd_sio_packets_total{$of}[$__rate_interval]))`, "{{type}} {{dir}}"}}},
		{"Published to topics", "mps", []query{{`sum by (from) (rate(wsd_published_total{$of}[$__rate_interval]))`, "by {{from}}"}}},
		{"Fan-out, p50 and p99", "short", quantiles("wsd_fanout_size")},
		{"Delivery on a server, p50 and p99", "s", quantiles("wsd_delivery_latency_seconds")},
	}},
	{"Trouble", []panel{
		{"Dropped", "mps", []query{{`sum by (reason) (rate(wsd_messages_dropped_total{$of}[$__rate_interval]))`, "{{reason}}"}}},
		{"Slow readers", "short", []query{{`sum by (instance) (wsd_slow_connections{$of})`, "{{instance}}"}}},
		{"Bytes that wait", "bytes", []query{{`sum by (instance) (wsd_outbound_buffered_bytes{$of})`, "{{instance}}"}}},
		{"Recovery", "ops", []query{{`sum by (result) (rate(wsd_recovery_total{$of}[$__rate_interval]))`, "{{result}}"}}},
	}},
	{"Loops and process", []panel{
		{"Loop lag, p50 and p99", "s", quantiles("wsd_loop_lag_seconds")},
		{"Loops busy", "percentunit", []query{{`wsd_loop_busy_ratio{$of}`, "{{instance}} loop {{loop}}"}}},
		{"CPU", "short", []query{{`rate(process_cpu_seconds_total{$of}[$__rate_interval])`, "{{instance}}"}}},
		{"Memory", "bytes", []query{{`process_resident_memory_bytes{$of}`, "{{instance}}"}}},
		{"Descriptors", "percentunit", []query{{`wsd_fds_open{$of} / wsd_fds_limit{$of}`, "{{instance}}"}}},
		{"Ready", "bool", []query{{`wsd_ready{$of}`, "{{instance}}"}}},
	}},
	{"Redis", []panel{
		{"Up", "bool", []query{{`wsd_broker_up{$of}`, "{{instance}}"}}},
		{"Probes, p50 and p99", "s", quantiles("wsd_broker_lag_seconds")},
		{"Last probe", "s", []query{{`wsd_broker_last_lag_seconds{$of}`, "{{instance}}"}}},
		{"Servers", "short", []query{{`wsd_cluster_nodes{$of}`, "seen by {{instance}}"}}},
		{"Requests to servers", "reqps", []query{{`sum by (type, result) (rate(wsd_cluster_requests_total{$of}[$__rate_interval])) > 0`, "{{type}}: {{result}}"}}},
		{"How far streams reach", "s", []query{
			{`wsd_stream_window_seconds{$of}`, "{{instance}}"},
			{`max (wsd_recovery_limit_seconds{$of})`, "wanted for recovery"}}},
		{"Messages", "mps", []query{
			{`sum (rate(wsd_broker_sent_total{$of}[$__rate_interval]))`, "sent"},
			{`sum (rate(wsd_broker_received_total{$of}[$__rate_interval]))`, "received"},
			{`sum (rate(wsd_broker_wasted_total{$of}[$__rate_interval]))`, "for nobody"}}},
		{"Gaps and losses", "short", []query{
			{`sum by (reason) (increase(wsd_broker_gaps_total{$of}[$__rate_interval]))`, "gap: {{reason}}"},
			{`sum by (reason) (increase(wsd_broker_lost_total{$of}[$__rate_interval]))`, "lost: {{reason}}"},
			{`sum by (reason) (increase(wsd_broker_send_errors_total{$of}[$__rate_interval]))`, "not sent: {{reason}}"}}},
		{"Queues", "short", []query{{`sum by (queue) (wsd_broker_queue_depth{$of})`, "{{queue}}"}}},
		{"Presence cache hits", "percentunit", []query{{`sum (rate(wsd_cache_hits_total{$of}[$__rate_interval])) / (sum (rate(wsd_cache_hits_total{$of}[$__rate_interval])) + sum (rate(wsd_cache_misses_total{$of}[$__rate_interval])))`, "hits"}}},
	}},
}

type (
	dashboardRow struct {
		title  string
		panels []panel
	}
	panel struct {
		title, unit string
		queries     []query
	}
	// query is an expression and its legend. {$of} stands for what the dashboard's
	// variables select.
	query struct{ expr, legend string }
)

// quantiles asks for the median and the 99th percentile of a histogram.
func quantiles(name string) (all []query) {
	for _, q := range []struct{ share, legend string }{{"0.5", "p50"}, {"0.99", "p99"}} {
		all = append(all, query{fmt.Sprintf(`histogram_quantile(%s, sum by (le) (rate(%s_bucket{$of}[$__rate_interval])))`, q.share, name), q.legend})
	}
	return all
}

// dashboard is what dashboardRows are for Grafana: two panels in a line.
func dashboard() any {
	type m = map[string]any
	source := m{"type": "prometheus", "uid": "${datasource}"}
	panels := []m{}
	y := 0
	for _, r := range dashboardRows {
		panels = append(panels, m{"type": "row", "title": r.title, "id": len(panels) + 1, "gridPos": m{"h": 1, "w": 24, "x": 0, "y": y}})
		y++
		for i, p := range r.panels {
			targets := []m{}
			for j, q := range p.queries {
				expr := strings.ReplaceAll(q.expr, "{$of}", `{job=~"$job",instance=~"$instance"}`)
				targets = append(targets, m{"refId": string(rune('A' + j)), "expr": expr, "legendFormat": q.legend, "datasource": source})
			}
			panels = append(panels, m{
				"type": "timeseries", "title": p.title, "id": len(panels) + 1, "datasource": source, "targets": targets,
				"gridPos":     m{"h": 8, "w": 12, "x": i % 2 * 12, "y": y + i/2*8},
				"fieldConfig": m{"defaults": m{"unit": p.unit, "min": 0}, "overrides": []m{}},
			})
		}
		y += (len(r.panels) + 1) / 2 * 8
	}
	variable := func(name, of string) m {
		return m{
			"name": name, "type": "query", "datasource": source, "query": "label_values(" + of + ", " + name + ")",
			"multi": true, "includeAll": true, "refresh": 2, "current": m{"text": "All", "value": "$__all"},
		}
	}
	return m{
		"title": "wsd", "uid": "wsd", "tags": []string{"wsd"}, "schemaVersion": 39, "editable": true, "refresh": "10s",
		"time":   m{"from": "now-1h", "to": "now"},
		"panels": panels,
		"templating": m{"list": []m{
			{"name": "datasource", "type": "datasource", "query": "prometheus"},
			variable("job", "wsd_build_info"),
			variable("instance", `wsd_build_info{job=~"$job"}`),
		}},
	}
}

// Panels name metrics that exist, in the way that their type wants, and the file has
// them all.
func TestGrafanaDashboard(t *testing.T) {
	check := newExprCheck(t)
	for _, r := range dashboardRows {
		for _, p := range r.panels {
			for _, q := range p.queries {
				for _, bad := range check.expr(q.expr) {
					t.Errorf("%s: %s", p.title, bad)
				}
				check.legend(t, q)
			}
		}
	}
	text, err := json.MarshalIndent(dashboard(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	written(t, append(text, '\n'), "deploy", "grafana", "wsd.json")
}

var legendLabels = regexp.MustCompile(`\{\{([a-z_]+)\}\}`)

// legend holds the labels of a legend against those that the query leaves.
func (x *exprCheck) legend(t *testing.T, q query) {
	t.Helper()
	for _, m := range legendLabels.FindAllStringSubmatch(q.legend, -1) {
		by := exprLabels.FindStringSubmatch(q.expr)
		if by != nil && !strings.Contains(by[1], m[1]) {
			t.Errorf("%s: the legend wants %s", q.expr, m[1])
		}
	}
}
