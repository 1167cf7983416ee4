package daemon

import (
	"context"
	"encoding/json"
	"os/exec"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// Code for Node that reads who is online from Redis goes on reading it.
func TestPresenceKeysForNode(t *testing.T) {
	redis := testkit.StartRedis(t)
	s := wsdproc.Start(t, "serve", "--server-id", "ws1", "--adapter", "classic", "--redis-url", redis.URL(),
		"--insecure-user-from", "auth.userId", "--drain-lb-wait", "0s")
	settings, err := json.Marshal(map[string]string{"url": "http://" + s.Addr, "redis": redis.URL(), "server": "ws1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "node", "js/presence.mjs", string(settings)).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
