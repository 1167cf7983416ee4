package main

import (
	"errors"
	"net/http"
	"testing"

	"github.com/gobwas/ws"
)

func TestCanonicalOrigin(t *testing.T) {
	tests := []struct{ given, want string }{
		{"https://App.Example.org", "https://app.example.org"},
		{"https://app.example.org:443/", "https://app.example.org"},
		{"http://app.example.org:80", "http://app.example.org"},
		{"https://app.example.org:8443", "https://app.example.org:8443"},
		{"http://[::1]:80", "http://[::1]"},
		{"app.example.org", ""}, {"https://", ""}, {"https://a.example/path", ""}, {"https://a.example?q", ""}, {"https://u@a.example", ""}, {"://", ""},
	}
	for _, tt := range tests {
		got, err := canonicalOrigin(tt.given)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q: %q, %v; want %q", tt.given, got, err, tt.want)
		}
	}
}

func TestOrigins(t *testing.T) {
	same := "http://" // completed with the server's address
	tests := []struct {
		name, flag, origin string
		status             int
	}{
		{"none sent", "", "", 101},
		{"same host", "", same, 101},
		{"other host", "", "https://a.example", 403},
		{"listed", "https://a.example,https://b.example", "https://b.example", 101},
		{"listed, other case", "https://a.example", "https://A.example", 101},
		{"not listed", "https://a.example", "https://c.example", 403},
		{"other scheme", "https://a.example", "http://a.example", 403},
		{"listed, none sent", "https://a.example", "", 101},
		{"any", "*", "https://c.example", 101},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var args []string
			if tt.flag != "" {
				args = []string{"--origins", tt.flag}
			}
			r := serve(t, args...)
			header := http.Header{}
			switch tt.origin {
			case "":
			case same:
				header.Set("Origin", same+r.addr)
			default:
				header.Set("Origin", tt.origin)
			}
			c, err := dial("ws://"+r.addr+"/echo", header)
			if got := status(err); got != tt.status {
				t.Errorf("status %d (%v), want %d", got, err, tt.status)
			}
			if err == nil {
				c.conn.Close()
			}
		})
	}
}

// status is the HTTP status of a handshake.
func status(err error) int {
	var refused ws.StatusError
	switch {
	case err == nil:
		return http.StatusSwitchingProtocols
	case errors.As(err, &refused):
		return int(refused)
	}
	return 0
}
