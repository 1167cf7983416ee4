package main

import (
	"bytes"
	"log/slog"
	"math"
	"strings"
	"testing"
)

func TestConnectionLimit(t *testing.T) {
	fds, ok := fdLimit()
	if !ok || fds < 2*reservedFDs {
		t.Fatalf("the limit on open files is %d, %v", fds, ok)
	}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	if n := connectionLimit(10, log); n != 10 || out.Len() > 0 {
		t.Errorf("10 became %d: %s", n, &out)
	}
	if fds > math.MaxInt32 {
		return // unlimited
	}
	if n := connectionLimit(math.MaxInt32, log); n != int(fds)-reservedFDs || !strings.Contains(out.String(), "WARN") {
		t.Errorf("became %d of %d files: %s", n, fds, &out)
	}
}
