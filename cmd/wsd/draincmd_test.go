package main

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// Only who does not listen any more has ended, or has another one in its place.
func TestDrainWaitsForTheEnd(t *testing.T) {
	var answer atomic.Pointer[http.HandlerFunc]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*answer.Load())(w, r) }))
	defer server.Close()
	client, err := (&adminClientFlags{AdminURL: server.URL}).client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.close()
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   bool
	}{
		{"drains", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, false},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false},
		{"another one", func(http.ResponseWriter, *http.Request) {}, true},
	} {
		answer.Store(&c.answer)
		if got := gone(t.Context(), client); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	server.Close()
	if !gone(t.Context(), client) {
		t.Error("nobody listens: it is there")
	}
}
