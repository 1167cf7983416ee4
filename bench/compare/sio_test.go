package main

import (
	"bytes"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestSocketIOCases runs every Socket.IO case once against our own servers,
// small and short: nothing may be wrong, lost or out of order. What the
// figures are does not matter.
func TestSocketIOCases(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the load generator is for Linux")
	}
	if testing.Short() {
		t.Skip("builds two programs")
	}
	header := exec.Command("cc", "-E", "-xc", "-")
	header.Stdin = strings.NewReader("#include <zlib.h>\n")
	if err := header.Run(); err != nil {
		t.Skip("no C compiler with zlib's headers")
	}
	cfg, err := parseFlags(strings.Fields("-root ../.. -case sio* -peers wsd-sio-inline,wsd-sio -reps 1 -attempts 1"+
		" -warmup 50ms -duration 200ms -hold 200ms -max-other 1000 -quiet 0 -server-cpu= -load-cpu="), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	conns := regexp.MustCompile(`--conns \d+`)
	for i := range cfg.cases {
		c := &cfg.cases[i]
		c.args = conns.ReplaceAllString(c.args, "--conns 20")
		c.sessions = min(c.sessions, 20)
	}
	var out bytes.Buffer
	start := time.Now()
	if err := run(t.Context(), cfg, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%v\n%s", time.Since(start), &out)
	for _, c := range cfg.cases {
		if !strings.Contains(out.String(), "| "+c.title+" | wsd-sio-inline | ") {
			t.Errorf("no row of %s", c.name)
		}
	}
}
