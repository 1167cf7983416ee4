package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// serveHeld is serve with what run made of it, for what can't be reached from
// outside.
func serveHeld(t *testing.T, args ...string) (*running, *server) {
	t.Helper()
	c := parse(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--loops", "2", "--drain-lb-wait", "0s", "--admin-listen", "127.0.0.1:0"}, args...)...)
	cfg := c.Serve.config(&process{stdout: t.Output(), stderr: t.Output()})
	var held *server
	cfg.routes = func(s *server) {
		held = s
		serveRoutes(s)
	}
	return start(t, cfg), held
}

// Health probes take GET and HEAD, are never cached, and need no token.
func TestHealthProbes(t *testing.T) {
	r := serve(t, "--admin-token", "open sesame")
	for _, path := range []string{"/health", "/livez", "/readyz"} {
		for method, want := range map[string]int{http.MethodGet: 200, http.MethodHead: 200, http.MethodPost: 405} {
			resp, _ := r.fetch(method, path, nil)
			if resp.StatusCode != want || want == 200 && resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: %d, %v", method, path, resp.StatusCode, resp.Header)
			}
			if status, body := r.askAdmin(method, path, ""); status != want {
				t.Errorf("admin %s %s: %d %s", method, path, status, body)
			}
		}
	}
}

func TestReadyNamesEveryReason(t *testing.T) {
	r, s := serveHeld(t, "--max-connections", "1")
	if status, body := r.askAdmin(http.MethodGet, "/readyz", ""); status != 200 || body != `{"status":"ready"}`+"\n" {
		t.Errorf("%d %s", status, body)
	}
	c := r.dial("/echo", nil)
	c.send(1, "x")
	c.expect(1, "x")
	const full = `"capacity: 1 of 1 connections"`
	if status, body := r.askAdmin(http.MethodGet, "/readyz", ""); status != 503 || !strings.Contains(body, full) {
		t.Errorf("%d %s", status, body)
	}
	if status, body := r.askAdmin(http.MethodGet, "/health", ""); status != 200 || !strings.Contains(body, `"accepting":false`) {
		t.Errorf("%d %s", status, body)
	}
	s.draining.begun.Store(true)
	if status, body := r.askAdmin(http.MethodGet, "/readyz", ""); status != 503 || !strings.Contains(body, full) || !strings.Contains(body, `"draining"`) {
		t.Errorf("%d %s", status, body)
	}
}

// A loop that hangs is named, by /livez and in the metrics, and asked one question
// only, however often somebody wants to know.
func TestLiveNamesALoopThatHangs(t *testing.T) {
	r, s := serveHeld(t)
	testkit.Eventually(t, func() bool { return s.app.Loops() != nil }, patience)
	loop := s.app.Loops()[1]
	hangs, release := make(chan struct{}), make(chan struct{})
	loop.Post(func() {
		close(hangs)
		<-release
	})
	<-hangs // behind what it was asked before
	for range 3 {
		if status, body := r.askAdmin(http.MethodGet, "/livez", ""); status != 503 || body != `{"status":"hung","loops":2,"hung":[1]}`+"\n" {
			t.Errorf("%d %s", status, body)
		}
	}
	if _, body := r.askAdmin(http.MethodGet, "/metrics", ""); !strings.Contains(body, "\nwsd_loops_hung 1\n") || !strings.Contains(body, "\nwsd_stats_stale 1\n") {
		t.Error(body)
	}
	close(release)
	testkit.Eventually(t, func() bool {
		status, _ := r.askAdmin(http.MethodGet, "/livez", "")
		return status == 200
	}, patience)
	if _, body := r.askAdmin(http.MethodGet, "/metrics", ""); !strings.Contains(body, "\nwsd_loops_hung 0\n") {
		t.Error(body)
	}
}

// While messages don't pass between servers, new clients are to go elsewhere, and
// none of those that are here is to be cut off.
func TestReadyWithRedis(t *testing.T) {
	redis := testkit.StartRedis(t)
	args := []string{"--adapter", "classic", "--redis-url", redis.URL(), "--server-id"}
	r := serve(t, append(args, "a")...)
	brave := serve(t, append(args, "b", "--broker-required", "off")...)
	ready := func() (int, string) { return r.askAdmin(http.MethodGet, "/readyz", "") }
	red := func() bool {
		status, body := ready()
		return status == 503 && strings.Contains(body, `"broker: `)
	}
	green := func() bool { status, _ := ready(); return status == 200 }
	testkit.Eventually(t, green, patience)
	for _, x := range []struct {
		name       string
		begin, end func()
	}{
		{"Redis hangs", redis.Stop, redis.Cont},
		{"Redis takes commands, and no publications",
			func() { redis.Do("ACL", "SETUSER", "default", "resetchannels") },
			func() { redis.Do("ACL", "SETUSER", "default", "allchannels") }},
	} {
		t.Run(x.name, func(t *testing.T) {
			x.begin()
			testkit.Eventually(t, red, patience)
			if status, body := r.askAdmin(http.MethodGet, "/livez", ""); status != 200 {
				t.Errorf("/livez: %d %s", status, body)
			}
			if status, body := r.askAdmin(http.MethodGet, "/health", ""); status != 200 {
				t.Errorf("/health: %d %s", status, body)
			}
			if status, body := brave.askAdmin(http.MethodGet, "/readyz", ""); status != 200 {
				t.Errorf("--broker-required off: %d %s", status, body)
			}
			if _, body := r.askAdmin(http.MethodGet, "/metrics", ""); !strings.Contains(body, "\nwsd_broker_up 0\n") {
				t.Error("/metrics has no wsd_broker_up 0")
			}
			x.end()
			testkit.Eventually(t, green, patience)
		})
	}
}

func TestProfilesNeedTheToken(t *testing.T) {
	r := serve(t, "--admin-token", "open sesame")
	for _, x := range []struct {
		path, token string
		want        int
	}{
		{"/debug/pprof/", "", 401},
		{"/debug/pprof/", "open sesame", 200},
		{"/debug/pprof/goroutine?debug=1", "open sesame", 200},
		{"/debug/pprof/cmdline", "open sesame", 404},
	} {
		if status, body := r.askAdmin(http.MethodGet, x.path, x.token); status != x.want {
			t.Errorf("%s, token %q: %d %.80s", x.path, x.token, status, body)
		}
	}
	if resp, _ := r.fetch(http.MethodGet, "/debug/pprof/", nil); resp.StatusCode != 404 {
		t.Errorf("on the public port: %d", resp.StatusCode)
	}
}

// hangHere is what a stack is recognised by.
//
//go:noinline
func hangHere(release <-chan struct{}) { <-release }

// A loop that hangs is logged with its own stack, and logged again when it turns,
// without anybody who asks.
func TestLoopThatHangsIsLogged(t *testing.T) {
	var log lockedBuffer
	c := parse(t, "serve", "--listen", "127.0.0.1:0", "--loops", "3", "--drain-lb-wait", "0s", "--admin-listen", "127.0.0.1:0", "--log-format", "text")
	r := startLogging(t, c.Serve.config(&process{stdout: io.Discard, stderr: &log}))
	testkit.Eventually(t, func() bool { return len(r.server.app.Loops()) == 3 }, patience)
	loop := r.server.app.Loops()[1]
	release := make(chan struct{})
	loop.Post(func() { hangHere(release) })
	said := func(text string) func() bool { return func() bool { return strings.Contains(log.String(), text) } }
	testkit.Eventually(t, said(`msg="loops hang" loops=[1] `), patience)
	if s := log.String(); !strings.Contains(s, ".hangHere(") || strings.Count(s, "engine.(*Loop).run(") != 1 {
		t.Error(s)
	}
	if _, body := r.askAdmin(http.MethodGet, "/metrics", ""); !strings.Contains(body, "\nwsd_loop_hangs_total 1\n") {
		t.Error(body)
	}
	close(release)
	testkit.Eventually(t, said(`msg="loops that hung turn again" loops=[1] longest=`), patience)
	if _, body := r.askAdmin(http.MethodGet, "/metrics", ""); !strings.Contains(body, "\nwsd_loop_hangs_total 1\n") {
		t.Error(body)
	}
}
