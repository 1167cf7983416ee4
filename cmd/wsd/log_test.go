package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestThinnedHoldsBackRepeats(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	log := slog.New(newThinned(slog.NewTextHandler(&out, nil), func() time.Time { return now }))
	lines := func() int { defer out.Reset(); return strings.Count(out.String(), "\n") }

	for range 3 {
		log.Warn("slow", "n", 1)
	}
	log.With("k", "v").Warn("slow") // shares the count
	log.Warn("other")
	if n := lines(); n != 2 {
		t.Errorf("%d lines for two messages", n)
	}
	now = now.Add(repeatEvery)
	log.Warn("slow")
	if !strings.Contains(out.String(), "suppressed=3") || lines() != 1 {
		t.Error("the held back ones were not told")
	}
	for range 3 {
		log.Info("fine")
	}
	if n := lines(); n != 3 {
		t.Errorf("%d of 3 infos", n)
	}
}

func TestLogIsJSONOffATerminal(t *testing.T) {
	var out bytes.Buffer
	log, _ := newLogger(&out, &logFlags{})
	log.Info("hello")
	if !json.Valid(out.Bytes()) {
		t.Errorf("%s", &out)
	}
}
