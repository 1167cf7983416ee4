package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// reload has the server read its configuration again.
func (r *running) reload() error { return r.server.reload() }

// file is a configuration file, or one that it names.
type file struct {
	t    *testing.T
	name string
}

func newFile(t *testing.T, text string) file {
	t.Helper()
	f := file{t, filepath.Join(t.TempDir(), "wsd.yaml")}
	f.write(text)
	return f
}

func (f file) write(text string) {
	f.t.Helper()
	if err := os.WriteFile(f.name, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// mustReload fails the test unless the reload does what it should.
func (r *running) mustReload(fails string) {
	r.t.Helper()
	err := r.reload()
	if fails == "" && err != nil || fails != "" && (err == nil || !strings.Contains(err.Error(), fails)) {
		r.t.Fatalf("reload: %v, want %q", err, fails)
	}
}

func TestReloadOrigins(t *testing.T) {
	f := newFile(t, "origins: [https://a.example]\n")
	r := serve(t, "--config", f.name)
	ask := func(origin string, want int) {
		t.Helper()
		c, err := dial("ws://"+r.addr+"/echo", http.Header{"Origin": {origin}})
		if err == nil {
			c.conn.Close()
		}
		if got := status(err); got != want {
			t.Errorf("%s: %d, want %d", origin, got, want)
		}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.addr+"/socket.io/?EIO=4&transport=polling", nil)
		req.Header.Set("Origin", origin)
		req.Close = true
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if (res.StatusCode == http.StatusOK) != (want == 101) {
			t.Errorf("%s by polling: %d", origin, res.StatusCode)
		}
		if cors := res.Header.Get("Access-Control-Allow-Origin"); strings.HasPrefix(origin, "https") && (cors == origin) != (want == 101) {
			t.Errorf("%s: its pages may read the answer: %q", origin, cors)
		}
	}
	ask("https://a.example", 101)
	ask("https://b.example", 403)
	f.write("origins: [https://b.example]\n")
	r.mustReload("")
	ask("https://a.example", 403)
	ask("https://b.example", 101)
	f.write("origins: [b.example]\n")
	r.mustReload("want scheme://host")
	ask("https://b.example", 101)
	f.write("")
	r.mustReload("")
	ask("https://b.example", 403)
	ask("http://"+r.addr, 101)
}

func TestReloadConnections(t *testing.T) {
	f := newFile(t, "max-connections: 1\n")
	r := serve(t, "--config", f.name)
	first := r.dial("/echo", nil)
	first.send(ws.OpText, "x")
	first.expect(ws.OpText, "x")
	r.dial("/echo", nil).expectClose(closePolicyCode, "Server at capacity")
	f.write("max-connections: 2\n")
	r.mustReload("")
	second := r.dial("/echo", nil)
	second.send(ws.OpText, "x")
	second.expect(ws.OpText, "x")
	f.write("max-connections: 1\n")
	r.mustReload("")
	r.dial("/echo", nil).expectClose(closePolicyCode, "Server at capacity")
	second.send(ws.OpText, "stays")
	second.expect(ws.OpText, "stays")
}

const closePolicyCode = ws.StatusCode(closePolicy)

func TestReloadKeys(t *testing.T) {
	secret := newFile(t, strings.Repeat("a", 32)+"\n")
	f := newFile(t, "jwt-secret-file: "+secret.name+"\n")
	r := serve(t, "--config", f.name)
	token := func() http.Header {
		t.Helper()
		var out strings.Builder
		if code := execute(t.Context(), []string{"token", "ann", "--jwt-secret-file", secret.name}, &out, &out); code != 0 {
			t.Fatal(out.String())
		}
		return http.Header{"Authorization": {"Bearer " + strings.TrimSpace(out.String())}}
	}
	ask := func(h http.Header) int {
		c, err := dial("ws://"+r.addr+"/echo", h)
		if err == nil {
			c.conn.Close()
		}
		return status(err)
	}
	before := token()
	secret.write(strings.Repeat("b", 32))
	after := token()
	if a, b := ask(before), ask(after); a != 101 || b != 401 {
		t.Fatalf("old %d, new %d", a, b)
	}
	r.mustReload("")
	if a, b := ask(before), ask(after); a != 401 || b != 101 {
		t.Fatalf("after the reload: old %d, new %d", a, b)
	}
	secret.write("")
	r.mustReload("is empty")
	f.write("")
	r.mustReload("restart")
	if b := ask(after); b != 101 {
		t.Fatalf("after a failed one: %d", b)
	}
}

func TestReloadAdminToken(t *testing.T) {
	token := newFile(t, "one\n")
	r := serve(t, "--admin-token-file", token.name)
	token.write("two\n")
	r.mustReload("")
	for given, want := range map[string]int{"": 401, "one": 401, "two": 200} {
		if status, _ := r.askAdmin(http.MethodGet, "/metrics", given); status != want {
			t.Errorf("token %q: %d, want %d", given, status, want)
		}
	}
}

// A reload that fails anywhere changes nothing anywhere.
func TestReloadIsAllOrNothing(t *testing.T) {
	f := newFile(t, "max-connections: 7\n")
	r := serve(t, "--config", f.name)
	r.server.onReload(func(next *serveCmd) (func(), error) {
		return func() {}, next.check()
	}, "idle-timeout")
	for text, says := range map[string]string{
		"max-connections: 8\nmax-paylod: 1KiB\n":     f.name + ":2: unknown key max-paylod: did you mean max-payload?",
		"max-connections: 8\nmax-payload: lots\n":    f.name + ":2: max-payload: size \"lots\"",
		"max-connections: 8\ndrain-timeout: 0s\n":    "--drain-timeout",
		"max-connections: 8\norigins: a\n":           "--origins a",
		"max-connections: 8\n jwt-secret: [":         f.name,
		"max-connections: 8\nmax-connections: 9\n":   f.name + ":2: max-connections stands in line 1 already",
		"max-connections: eight\n":                   f.name + ":1: max-connections",
		"max-connections: 8\nadmin-token-file: /n\n": "--admin-token-file",
	} {
		f.write(text)
		r.mustReload(says)
		if n := r.server.limit.Load(); n != 7 {
			t.Errorf("%q: %d connections", text, n)
		}
	}
	_, body := r.askAdmin(http.MethodGet, "/metrics", "")
	for _, line := range []string{"wsd_config_last_reload_successful 0\n", `wsd_config_reloads_total{result="error"} 8` + "\n"} {
		if !strings.Contains(body, line) {
			t.Errorf("no %q", line)
		}
	}
	f.write("max-connections: 8\nmax-payload: 1KiB\nidle-timeout: 1m\n")
	for range 2 { // what needs a restart is said each time
		changed, restart, err := r.server.tryReload()
		if err != nil || !slices.Equal(restart, []string{"--max-payload"}) || r.server.limit.Load() != 8 {
			t.Errorf("changed %v, restart %v, %v", changed, restart, err)
		}
	}
}

// A listener that other machines reach keeps its token, whatever the file says of
// addresses that count after a restart only.
func TestReloadKeepsTheAdminToken(t *testing.T) {
	f := newFile(t, "admin-listen: ':0'\nadmin-token: open sesame\n")
	args := []string{"serve", "--listen", "127.0.0.1:0", "--loops", "1", "--drain-lb-wait", "0s", "--config", f.name}
	in := parsed(t, args...)
	r := start(t, in.cli.Serve.config(&process{stdout: io.Discard, stderr: io.Discard, args: args, invocation: in}))
	f.write("admin-listen: 127.0.0.1:0\n")
	r.mustReload("needs --admin-token-file")
	_, port, _ := net.SplitHostPort(r.admin)
	r.admin = net.JoinHostPort("127.0.0.1", port)
	if status, body := r.askAdmin(http.MethodGet, "/metrics", ""); status != http.StatusUnauthorized {
		t.Errorf("%d %.80s", status, body)
	}
}

// A drain is the end: what the file says then does not count.
func TestNoReloadDuringADrain(t *testing.T) {
	f := newFile(t, "max-connections: 10\n")
	r := serve(t, "--config", f.name)
	r.server.draining.begun.Store(true)
	f.write("max-connections: nonsense\n")
	if err := r.reload(); err != nil || r.server.reloads.errors.Load() != 0 {
		t.Errorf("it was read: %v", err)
	}
}
