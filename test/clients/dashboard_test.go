package clients

import (
	"syscall"
	"testing"
)

// The dashboard: its figures follow, names from clients stay text, a token is asked
// for, and a server that is gone is missed.
func TestDashboard(t *testing.T) {
	p := serve(t, "--sio-allow-join", "**")
	guarded := serve(t, "--admin-token", "open sesame")
	j := startNode(t, true, "js/dashboard.mjs", "http://"+p.Addr, "http://"+p.Admin, "http://"+guarded.Admin, "open sesame")
	if s := j.line(t); s != "ready" {
		t.Fatal(s)
	}
	p.Signal(t, syscall.SIGTERM)
	j.finish(t)
	if code := p.Wait(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.Log())
	}
}
