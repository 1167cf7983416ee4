package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// askAdmin sends a request to the admin listener.
func (r *running) askAdmin(method, path, token string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.admin+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestAdminToken(t *testing.T) {
	r := serve(t, "--admin-token", "open sesame")
	for given, want := range map[string]int{"": 401, "other": 401, "open sesame": 200} {
		if status, body := r.askAdmin(http.MethodGet, "/metrics", given); status != want {
			t.Errorf("token %q: %d, want %d: %.80s", given, status, want, body)
		}
	}
}

func TestMetricsTellConnections(t *testing.T) {
	r := serve(t)
	c := r.dial("/echo", nil)
	c.send(1, "x")
	c.expect(1, "x")
	if _, body := r.askAdmin(http.MethodGet, "/metrics", ""); !strings.Contains(body, "\nwebsocket_connections 1\n") {
		t.Errorf("%s", body)
	}
}
