package main

import (
	"encoding/json"
	"net/http"
)

// health is the answer to GET /health, for load balancers.
type health struct {
	Status      string `json:"status"` // ok, full or draining
	Connections int    `json:"connections"`
	Limit       int    `json:"limit"`
	Accepting   bool   `json:"accepting"`
	Draining    bool   `json:"draining"`
	// Broker tells whether other servers are reached. Clients are served all the
	// same, so it does not change Status.
	Broker *brokerHealth `json:"broker,omitempty"`
}

// health describes the server now. At capacity it is still healthy: taking it
// out of a balancer would move the connections that live here.
func (s *server) health() health {
	h := health{Status: "ok", Connections: s.connections(), Limit: int(s.limit.Load()), Draining: s.isDraining(), Broker: s.brokerHealth()}
	switch {
	case h.Draining:
		h.Status = "draining"
	case h.Connections >= h.Limit:
		h.Status = "full"
	default:
		h.Accepting = true
	}
	return h
}

// serveHealth answers 200, or 503 while draining.
func (s *server) serveHealth(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "use GET", http.StatusMethodNotAllowed)
		return
	}
	h := s.health()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if h.Draining {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(h) // the client may be gone: nothing to do
}
