package main

import (
	"net/http"
	"strings"
	"testing"
)

// reload has the server read its configuration again.
func (r *running) reload() error { return r.server.reload() }

func TestReloadMetrics(t *testing.T) {
	r := serve(t)
	if err := r.reload(); err != nil {
		t.Fatal(err)
	}
	_, body := r.askAdmin(http.MethodGet, "/metrics", "")
	for _, line := range []string{"wsd_config_last_reload_successful 1\n", `wsd_config_reloads_total{result="ok"} 1` + "\n"} {
		if !strings.Contains(body, line) {
			t.Errorf("no %q", line)
		}
	}
}
