package main

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// page asks for a page under a name.
func (r *running) page(path, host string) (header http.Header, body string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.addr+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Host, req.Close = host, true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		r.t.Fatalf("GET %s: %d, %v", path, res.StatusCode, err)
	}
	return res.Header, string(text)
}

func TestStartPage(t *testing.T) {
	r := serve(t, "--sio-path", "/a<b/")
	header, body := r.page("/", r.addr)
	for _, part := range []string{"/a&lt;b/", `href="/chat"`, "http://" + r.admin + "/v1/publish", `href="http://` + r.admin + `/"`, "ws://" + r.addr + "/topics/news"} {
		if !strings.Contains(body, part) {
			t.Errorf("no %q in the page", part)
		}
	}
	if policy := header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") {
		t.Errorf("policy %q", policy)
	}
	if strings.Contains(body, "{{") {
		t.Errorf("a place is left empty:\n%s", body)
	}
}

// Who comes from elsewhere does not learn where the admin listener is.
func TestStartPageHidesTheAdminListener(t *testing.T) {
	r := serve(t)
	if _, body := r.page("/", "chat.example.org"); strings.Contains(body, r.admin) || strings.Contains(body, "{{") {
		t.Errorf("%s", body)
	}
}

// A worker's admin listener is a socket that only its parent reaches.
func TestStartPageOfAWorker(t *testing.T) {
	path := filepath.Join(t.TempDir(), "1.admin")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	cfg := parse(t, "serve", "--listen", "127.0.0.1:0", "--loops", "1", "--drain-lb-wait", "0s").Serve.config(&process{stdout: io.Discard, stderr: io.Discard})
	cfg.host.admin = l
	r := start(t, cfg)
	if _, body := r.page("/", r.addr); strings.Contains(body, "1.admin") || strings.Contains(body, "{{") {
		t.Errorf("%s", body)
	}
}

func TestChatPage(t *testing.T) {
	header, body := serve(t).page("/chat", "chat.example.org")
	if policy := header.Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	if !strings.Contains(body, `data-token=""`) || strings.Contains(body, "{{") {
		t.Errorf("%s", body)
	}
	if _, body := serve(t, "--jwt-secret", strings.Repeat("x", 32)).page("/chat", "chat.example.org"); !strings.Contains(body, `data-token="needed"`) {
		t.Errorf("it does not ask for a token:\n%s", body)
	}
}

func TestNoStartPage(t *testing.T) {
	r := serve(t, "--no-start-page")
	for _, path := range []string{"/", "/chat"} {
		if status, _ := r.get(path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
}
