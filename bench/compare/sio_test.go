package main

import (
	"bytes"
	"errors"
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
	// On a busy machine no message may end in so short a time: then there is more of it.
	var err error
	for _, duration := range []string{"200ms", "2s", "20s"} {
		if err = runSocketIOCases(t, duration); err == nil || !onlyNothing(err) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// onlyNothing reports whether runs were given up because there was no message in them,
// and none for another reason.
func onlyNothing(err error) bool {
	_, runs, ok := strings.Cut(err.Error(), " runs given up:\n")
	for run := range strings.Lines(runs) {
		ok = ok && strings.HasSuffix(strings.TrimSpace(run), ": no messages")
	}
	return ok
}

func TestOnlyNothing(t *testing.T) {
	for text, want := range map[string]bool{
		"1 runs given up:\n  sioecho wsd-sio: no messages":                                    true,
		"2 runs given up:\n  sioecho wsd-sio: no messages\n  sioroom wsd-sio: no messages":    true,
		"2 runs given up:\n  sioecho wsd-sio: no messages\n  sioroom wsd-sio: wrong messages": false,
		"cc: no messages": false,
	} {
		if got := onlyNothing(errors.New(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// runSocketIOCases measures each of them for so long.
func runSocketIOCases(t *testing.T, duration string) error {
	t.Helper()
	cfg, err := parseFlags(strings.Fields("-root ../.. -case sio* -peers wsd-sio-inline,wsd-sio -reps 1 -attempts 1"+
		" -warmup 50ms -duration "+duration+" -hold 200ms -max-other 1000 -quiet 0 -server-cpu= -load-cpu="), t.Output())
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
		return err
	}
	t.Logf("%v\n%s", time.Since(start), &out)
	for _, c := range cfg.cases {
		if !strings.Contains(out.String(), "| "+c.title+" | wsd-sio-inline | ") {
			t.Errorf("no row of %s", c.name)
		}
	}
	return nil
}
