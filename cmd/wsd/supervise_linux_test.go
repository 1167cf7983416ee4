package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
	"github.com/fe4bcecb/wsd/cmd/wsd/workers"
)

func TestWorkersThatCanNotBe(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string // in what is said
	}{
		{[]string{"--workers", "2"}, "give --adapter and --redis-url, or leave --workers out"},
		{[]string{"--workers", "1", "--tls-cert", "c.pem", "--tls-key", "k.pem"}, "have a load balancer in front end TLS"},
		{[]string{"--workers", "4", "--memory-limit", "100MiB"}, "want at least 32MiB for each"},
		{[]string{"--workers=-1"}, "want 0 to 64"},
		{[]string{"--workers", "65"}, "want 0 to 64"},
		{[]string{"--workers", "1", "--listen", ":0"}, "--anonymous"},
	} {
		var stderr bytes.Buffer
		code := execute(context.Background(), append([]string{"serve", "--admin-listen", "off"}, tt.args...), io.Discard, &stderr)
		if code != exitUsage || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%v: exit code %d, %s", tt.args, code, &stderr)
		}
	}
	if err := distinctWorkers("any", 64); err != nil {
		t.Error(err)
	}
}

// The parent's metrics, and those that only workers have, are documented.
func TestWorkerMetricsAreDocumented(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := workers.New(workers.Options{Workers: 1, Public: [][]net.Listener{{l}}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x := &parent{workers: s}
	x.registerMetrics()
	var worker metrics.Set
	workerMetrics(&worker, new(workers.Worker))
	text, err := os.ReadFile(operations)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range slices.Concat(x.metrics.Defs(), worker.Defs()) {
		if !bytes.Contains(text, []byte("| `"+d.Name+"` | "+string(d.Kind)+" |")) {
			t.Errorf("%s: no row for %s, a %s", operations, d.Name, d.Kind)
		}
	}
}
