package client_test

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

// TestClient runs the client in Node against a server that each script plays.
func TestClient(t *testing.T) {
	for _, script := range []string{"unsubscribe", "presence", "token"} {
		t.Run(script, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if out, err := exec.CommandContext(ctx, "node", "testdata/"+script+".cjs").CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}
