package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestBenchAgainstServe(t *testing.T) {
	r := serve(t)
	for _, tt := range []struct{ mode, path string }{
		{"echo", "/echo"}, {"paced", "/echo"}, {"fanout", "/topics/bench"}, {"idle", "/echo"},
	} {
		for _, deflate := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, deflate %v", tt.mode, deflate), func(t *testing.T) {
				var out, errs bytes.Buffer
				args := []string{"bench", tt.mode, "--url", "ws://" + r.addr + tt.path, "--connections", "5",
					"--size", "300", "--warmup", "0s", "--duration", "100ms", "--json"}
				if deflate {
					args = append(args, "--deflate")
				}
				code := execute(context.Background(), args, &out, &errs)
				var got struct{ Mode string }
				if err := json.Unmarshal(out.Bytes(), &got); code != 0 || err != nil || got.Mode != tt.mode {
					t.Errorf("exit code %d, %v:\n%s%s", code, err, &out, &errs)
				}
			})
		}
	}
}

func TestBenchPrintsForPeople(t *testing.T) {
	r := serve(t)
	var out bytes.Buffer
	code := execute(context.Background(), []string{"bench", "--url", "ws://" + r.addr + "/echo", "--connections", "2", "--warmup", "0s", "--duration", "50ms"}, &out, &out)
	if code != 0 || !strings.Contains(out.String(), "latency us") {
		t.Errorf("exit code %d:\n%s", code, &out)
	}
}
