package clients

import (
	"syscall"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// TestPubsubPage runs the client for browsers while one of two servers restarts.
func TestPubsubPage(t *testing.T) {
	r := testkit.StartRedis(t)
	args := []string{"--adapter", "classic", "--redis-url", r.URL(), "--durable", "log/**=10000"}
	first, second := serve(t, append(args, "--server-id", "one")...), serve(t, append(args, "--server-id", "two")...)
	guarded := serve(t, "--jwt-secret", "0123456789abcdef0123456789abcdef", "--jwt-leeway", "0s")
	front := testkit.StartProxy(t, first.Addr)
	page := startNode(t, true, "js/pubsub.mjs", "http://"+front.Addr, "http://"+second.Addr, "http://"+guarded.Addr, "0123456789abcdef0123456789abcdef")
	if line := page.line(t); line != "restart" {
		t.Fatalf("the page says %s", line)
	}
	first.Signal(t, syscall.SIGKILL)
	first = serve(t, append(args, "--server-id", "three")...)
	front.Target(first.Addr)
	page.finish(t)
}
