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

// Pages of other sites reach nothing: neither by a name that leads here, nor by
// sending forms.
func TestAdminIsNotForOtherSites(t *testing.T) {
	r := serve(t)
	for _, c := range []struct {
		method, host, origin string
		want                 int
	}{
		{"GET", "", "", 200},
		{"GET", "localhost:9090", "", 200},
		{"GET", "[::1]:9090", "", 200},
		{"GET", "evil.example:9090", "", 403},
		{"GET", "127.0.0.1.evil.example", "", 403},
		{"POST", "", "http://evil.example", 403},
		{"POST", "", "null", 403},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+r.admin+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = c.host
		if c.origin != "" {
			req.Header.Set("Origin", c.origin)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%+v: %d", c, res.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
