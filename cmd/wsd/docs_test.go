package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// update has tests write the files that they hold against the program.
var update = flag.Bool("update", false, "write what is generated of the program, instead of comparing it")

// operations is the document for who runs wsd.
var operations = filepath.Join("..", "..", "docs", "operations.md")

// generated is the part of a document between two comments that name it; with
// -update it is replaced by want.
func generated(t *testing.T, path, name, want string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := []byte("<!-- "+name+": "), []byte("<!-- end of "+name+" -->\n")
	from, to := bytes.Index(text, begin), bytes.Index(text, end)
	if from < 0 || to < from {
		t.Fatalf("%s: no comments for %q", path, name)
	}
	from += bytes.IndexByte(text[from:], '\n') + 1
	if *update {
		text = slices.Concat(text[:from], []byte(want), text[to:])
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return want
	}
	return string(text[from:to])
}

// serveEverything is a server with everything switched on.
func serveEverything(t *testing.T) (*running, *server) {
	t.Helper()
	return serveHeld(t, "--adapter", "streams", "--redis-url", testkit.StartRedis(t).URL(), "--server-id", "docs")
}

// allMetrics are those of a server with everything switched on.
func allMetrics(t *testing.T) []metrics.Def {
	t.Helper()
	_, s := serveEverything(t)
	return s.metrics.Defs()
}

// row is a metric's line in the table of the document.
func row(d metrics.Def) string {
	labels := ""
	for i, l := range d.Labels {
		if i > 0 {
			labels += ", "
		}
		labels += "`" + l + "`"
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s |\n", d.Name, d.Kind, labels, d.Help)
}

// Every metric is documented, in the table or in a section of its own, and the
// table tells the truth.
func TestMetricsAreDocumented(t *testing.T) {
	defs := allMetrics(t)
	rows := map[string]bool{}
	var table strings.Builder
	table.WriteString("| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, d := range defs {
		rows[row(d)] = true
		table.WriteString(row(d))
	}
	got := generated(t, operations, "metrics", table.String())
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "| `") && !rows[line] {
			t.Errorf("%s: the program has no such metric, or describes it otherwise: go test ./cmd/wsd -run TestMetricsAreDocumented -update\n%s", operations, line)
		}
	}
	text, err := os.ReadFile(operations)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range defs {
		if !bytes.Contains(text, []byte("`"+d.Name+"`")) {
			t.Errorf("%s does not name `%s`", operations, d.Name)
		}
	}
}

// Names follow Prometheus's conventions, so that alert rules can rely on them.
func TestMetricNames(t *testing.T) {
	for _, d := range allMetrics(t) {
		if d.Name != "websocket_connections" && !strings.HasPrefix(d.Name, "wsd_") {
			t.Errorf("%s: want wsd_ in front", d.Name)
		}
		if (d.Kind == metrics.KindCounter) != strings.HasSuffix(d.Name, "_total") {
			t.Errorf("%s, a %s: counters end in _total, and nothing else does", d.Name, d.Kind)
		}
		if !strings.HasSuffix(d.Help, ".") {
			t.Errorf("%s: %q is no sentence", d.Name, d.Help)
		}
	}
}
