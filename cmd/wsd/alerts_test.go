package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"
)

// alertRules are deploy/prometheus/alerts.yaml. What each is for, and what to do
// then, is in docs/operations.md.
var alertRules = []alert{
	{"WsdBrokerDown", `wsd_broker_up == 0`, "30s", critical,
		"No messages pass between {{ $labels.instance }} and the other servers",
		"Probes through Redis do not come back. Clients stay connected and get what is published on their own server. /readyz names the reason."},
	{"WsdBrokerSlow", `wsd_broker_last_lag_seconds > 0.25`, "5m", warning,
		"Messages between servers take {{ $value }} s",
		"The time of a probe that is published and comes back. Look at the load of Redis and at wsd_broker_queue_depth."},
	{"WsdMessagesLostBetweenServers", `increase(wsd_broker_gaps_total[5m]) > 0 or increase(wsd_broker_lost_total[5m]) > 0`, "0s", warning,
		"{{ $labels.instance }} lost messages of other servers ({{ $labels.reason }})",
		"Clients of Socket.IO with recovery and of /pubsub with history get them all the same; others were told, or have lost them."},
	{"WsdPublicationsLost", `increase(wsd_broker_send_errors_total[5m]) > 0`, "0s", warning,
		"{{ $labels.instance }} could not publish to other servers ({{ $labels.reason }})",
		"unavailable and refused: surely not taken. unknown: perhaps."},
	// A young stream that grows has dropped nothing yet: its window grows by the second.
	{"WsdStreamTooShort", `wsd_stream_window_seconds < wsd_recovery_limit_seconds and delta(wsd_stream_window_seconds[5m]) < 150`, "5m", warning,
		"The stream reaches back {{ $value }} s, which is less than the --recovery of {{ $labels.instance }}",
		"Clients that were away for longer can't be recovered. Raise --stream-max-len, on Node's servers maxLen, and see to the memory of Redis."},
	{"WsdDropsMessages", `sum by (instance, job) (rate(wsd_messages_dropped_total{reason!="volatile"}[5m])) > 0.01 * sum by (instance, job) (rate(wsd_messages_sent_total[5m]))`, "10m", warning,
		"{{ $labels.instance }} drops more than 1 % of its messages",
		"Readers are slower than what is sent to them: see wsd_slow_connections, --max-backpressure and --backpressure-policy."},
	{"WsdNearCapacity", `websocket_connections > 0.8 * wsd_connections_limit`, "10m", warning,
		"{{ $labels.instance }} has more than 80 % of the connections that it may have",
		"Add servers, or raise --max-connections and the limit on open files."},
	{"WsdFewDescriptorsLeft", `wsd_fds_open > 0.9 * wsd_fds_limit`, "5m", critical,
		"{{ $labels.instance }} has used more than 90 % of its file descriptors",
		"At 95 %, or when 48 are left, /readyz turns red; the last 32 are not for clients, who are refused. Raise LimitNOFILE."},
	{"WsdAcceptPaused", `increase(wsd_connections_rejected_total{reason="fd"}[5m]) > 0 or increase(wsd_accept_pauses_total[5m]) > 0`, "0s", critical,
		"{{ $labels.instance }} ran out of file descriptors",
		"New clients are closed at once, or wait in the kernel's backlog, until some end."},
	{"WsdReconnectStorm", `sum by (instance, job) (increase(wsd_connections_accepted_total[2m])) > 100 and sum by (instance, job) (increase(wsd_connections_accepted_total[2m])) > 0.5 * sum by (instance, job) (websocket_connections)`, "4m", warning,
		"Half as many clients connect to {{ $labels.instance }} within two minutes as it has",
		"Clients come back again and again, or in a wave: see wsd_connections_closed_total by code."},
	{"WsdLoopLag", `histogram_quantile(0.99, sum by (instance, job, le) (rate(wsd_loop_lag_seconds_bucket[5m]))) > 0.05`, "5m", warning,
		"Turns of an event loop of {{ $labels.instance }} take {{ $value }} s",
		"The first sign of overload: each client of the loop waits as long. See wsd_loop_busy_ratio and wsd_fanout_size."},
	{"WsdLoopHung", `wsd_loops_hung > 0 or min_over_time(wsd_stats_stale[2m]) == 1`, "15s", critical,
		"An event loop of {{ $labels.instance }} does not answer",
		"/livez names it, and the log has its stack. SIGUSR1 writes those of all goroutines."},
	{"WsdPanics", `increase(wsd_panics_total[10m]) > 0`, "0s", warning,
		"A callback panicked on {{ $labels.instance }}",
		"One connection was closed; the log has the stack."},
	{"WsdBalancerNotSticky", `increase(wsd_sio_sessions_unknown_total{cause="foreign"}[5m]) > 10`, "5m", warning,
		"{{ $labels.instance }} gets requests for sessions of other servers",
		"A client that polls must reach one server all the time: see deploy/ for balancers that do that."},
	{"WsdReloadFailed", `wsd_config_last_reload_successful == 0`, "0s", warning,
		"{{ $labels.instance }} did not take its new configuration",
		"The old one is in force; the log says why."},
	{"WsdDrainsTooLong", `wsd_draining == 1`, "2m", warning,
		"{{ $labels.instance }} has been draining for more than two minutes",
		"--drain-timeout should have ended it."},
	{"WsdNotReady", `wsd_ready == 0 and wsd_draining == 0`, "5m", warning,
		"{{ $labels.instance }} gets no new clients",
		"/readyz names the reasons."},
	{"WsdRestarts", `changes(process_start_time_seconds[1h]) > 2 and on (instance, job) wsd_build_info`, "0s", critical,
		"{{ $labels.instance }} has been restarted more than twice within an hour",
		"Each restart cuts off all its clients."},
}

const (
	warning  = "warning"
	critical = "critical"
)

// alert is one rule. It fires when expr holds for the time.
type alert struct{ name, expr, hold, severity, summary, description string }

// The form of a file of rules.
type (
	ruleFile  struct{ Groups []ruleGroup }
	ruleGroup struct {
		Name  string
		Rules []rule
	}
	rule struct {
		Alert       string
		Expr        string
		For         string
		Labels      map[string]string
		Annotations map[string]string
	}
)

// alertsFile is what alertRules are in YAML.
func alertsFile(t *testing.T) []byte {
	t.Helper()
	g := ruleGroup{Name: "wsd"}
	for _, a := range alertRules {
		g.Rules = append(g.Rules, rule{a.name, a.expr, a.hold,
			map[string]string{"severity": a.severity},
			map[string]string{"summary": a.summary, "description": a.description}})
	}
	text, err := yaml.Marshal(ruleFile{[]ruleGroup{g}})
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte("# Written by go test ./cmd/wsd -run TestAlertRules -update\n"), text...)
}

// written holds a file against what the program makes of it, or writes it.
func written(t *testing.T, want []byte, path ...string) {
	t.Helper()
	name := filepath.Join(append([]string{"..", ".."}, path...)...)
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != string(want) {
		t.Errorf("%s is out of date (%v): go test ./cmd/wsd -run %s -update", name, err, t.Name())
	}
}

// Rules name metrics that exist, in the way that their type wants, and the file has
// them all.
func TestAlertRules(t *testing.T) {
	check := newExprCheck(t)
	names := map[string]bool{}
	for _, a := range alertRules {
		for _, bad := range check.expr(a.expr) {
			t.Errorf("%s: %s", a.name, bad)
		}
		if names[a.name] || a.summary == "" || a.description == "" {
			t.Errorf("%s: twice, or without words", a.name)
		}
		names[a.name] = true
	}
	file := alertsFile(t)
	written(t, file, "deploy", "prometheus", "alerts.yaml")
	var back ruleFile
	if err := yaml.Unmarshal(file, &back); err != nil || len(back.Groups) != 1 || len(back.Groups[0].Rules) != len(alertRules) {
		t.Errorf("%v, %+v", err, back)
	}
	text, err := os.ReadFile(operations)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alertRules {
		if !bytes.Contains(text, []byte("`"+a.name+"`")) {
			t.Errorf("%s does not name the alert `%s`", operations, a.name)
		}
	}
}

// scrapeAll is what a server with everything switched on tells.
func scrapeAll(t *testing.T) (*server, string) {
	t.Helper()
	r, s := serveEverything(t)
	c := r.dial("/echo", nil)
	c.send(1, "x")
	c.expect(1, "x")
	_, body := r.askAdmin(http.MethodGet, "/metrics", "")
	return s, body
}
