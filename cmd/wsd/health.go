package main

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// health is the answer to GET /health, for load balancers.
type health struct {
	Status      string `json:"status"` // ok, full or draining
	Connections int    `json:"connections"`
	Limit       int    `json:"limit"`
	Accepting   bool   `json:"accepting"`
	Draining    bool   `json:"draining"`
	full        bool   // no room, whether it drains or not
	// Broker tells whether other servers are reached. Clients are served all the
	// same, so it does not change Status.
	Broker *brokerHealth `json:"broker,omitempty"`
}

// health describes the server now. At capacity it is still healthy: taking it
// out of a balancer would move the connections that live here.
func (s *server) health() health {
	h := health{Status: "ok", Connections: s.connections(), Limit: int(s.limit.Load()), Draining: s.isDraining(), Broker: s.brokerHealth()}
	h.full = h.Connections >= h.Limit
	if s.host.worker != nil {
		// Of all: whoever asks is sent to any of them.
		if t, ok := s.host.worker.Totals(); ok {
			h.Connections, h.Limit, h.full = t.Connections, t.Limit, !t.Accepting
		}
	}
	switch {
	case h.Draining:
		h.Status = "draining"
	case h.full:
		h.Status = "full"
	default:
		h.Accepting = true
	}
	return h
}

// serveHealth answers 200, or 503 while draining.
func (s *server) serveHealth() (bool, any) {
	h := s.health()
	return !h.Draining, h
}

// liveness is the answer to GET /livez, for whoever restarts a process that hangs.
type liveness struct {
	Status string `json:"status"` // ok or hung
	Loops  int    `json:"loops"`
	Hung   []int  `json:"hung,omitempty"` // their numbers
}

// serveLive answers 503 when a loop does not answer within hungAfter. It depends
// on nothing outside of the process: a restart would not mend that.
func (s *server) serveLive() (bool, any) {
	l := liveness{Status: "ok", Loops: len(s.app.Loops()), Hung: s.hungLoops(hungAfter)}
	if len(l.Hung) > 0 {
		l.Status = "hung"
	}
	return len(l.Hung) == 0, l
}

// readiness is the answer to GET /readyz, for whoever sends new clients.
type readiness struct {
	Status  string   `json:"status"` // ready or unready
	Reasons []string `json:"reasons,omitempty"`
}

// notReady registers a reason for /readyz to be red: why returns it in a few
// words, or "". It must not block, and is called on any goroutine. Call before the
// server listens.
func (s *server) notReady(why func() string) { s.unready = append(s.unready, why) }

// reasonsUnready are why the server is to get no new clients, none when it is
// ready. Safe from any goroutine.
func (s *server) reasonsUnready() []string {
	var all []string
	for _, why := range s.unready {
		if reason := why(); reason != "" {
			all = append(all, reason)
		}
	}
	return all
}

// serveReady answers 503 while there is a reason not to send new clients.
func (s *server) serveReady() (bool, any) {
	reasons := s.reasonsUnready()
	if len(reasons) > 0 {
		return false, readiness{"unready", reasons}
	}
	return true, readiness{Status: "ready"}
}

// registerReadiness registers the reasons that are the server's own.
func (s *server) registerReadiness() {
	s.notReady(func() string {
		if s.isDraining() {
			return "draining"
		}
		return ""
	})
	s.notReady(func() string {
		if h := s.health(); h.full {
			return fmt.Sprintf("capacity: %d of %d connections", h.Connections, h.Limit)
		}
		return ""
	})
	s.notReady(func() string {
		if open, limit, scarce := s.fds.scarce(); scarce {
			return fmt.Sprintf("descriptors: %d of %d open", open, limit)
		}
		return ""
	})
	if s.redis != nil && s.healthFlags.BrokerRequired == "ready" {
		s.notReady(func() string {
			if h := s.redis.Health(); !h.Up {
				return "broker: " + h.Reason
			}
			return ""
		})
	}
}

// healthRoutes serves /health, /livez and /readyz.
func (s *server) healthRoutes(handle func(string, http.Handler)) {
	handle("/health", probe(s.serveHealth))
	handle("/livez", probe(s.serveLive))
	handle("/readyz", probe(s.serveReady))
}

// probe makes a handler of what tells whether all is well, and more as JSON: 200
// or 503, never cached.
func probe(tell func() (well bool, more any)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "use GET", http.StatusMethodNotAllowed)
			return
		}
		well, more := tell()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !well {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(more) // the client may be gone: nothing to do
	})
}
