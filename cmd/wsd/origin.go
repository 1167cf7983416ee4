package main

import (
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/fe4bcecb/wsd/codec/handshake"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// originRule is the rule for --origins, which a reload may change. The zero value
// lets in pages of the same host only.
type originRule struct{ origins atomic.Pointer[origins] }

// origins are what a rule lets in: any origin, those listed, or for a nil map the
// same host's only. A client that sends no Origin is no browser and passes.
type origins struct {
	any    bool
	listed map[string]bool
}

// set changes the rule.
func (r *originRule) set(o *origins) { r.origins.Store(o) }

// allows reports what the rule says of an origin; known is false where that depends
// on the host.
func (r *originRule) allows(origin string) (allowed, known bool) {
	o := r.origins.Load()
	if o == nil || !o.any && o.listed == nil {
		return false, false
	}
	return o.any || origin == "" || o.listed[strings.ToLower(origin)], true
}

// handshake is engine.Options.CheckOrigin.
func (r *originRule) handshake(u *engine.Handshake) bool {
	if allowed, known := r.allows(u.Header("Origin")); known {
		return allowed
	}
	return u.SameOrigin()
}

// session is the same rule for handshakes of Engine.IO, by polling or WebSocket.
func (r *originRule) session(q *engineio.Request) bool {
	if allowed, known := r.allows(q.Origin()); known {
		return allowed
	}
	return sameOrigin(q)
}

// sameOrigin is the engine's same-host rule for a request that is no longer as
// it was sent.
func sameOrigin(r *engineio.Request) bool {
	sent := r.Headers()["Origin"]
	if len(sent) == 0 {
		return true
	}
	head := "GET / HTTP/1.1\r\nHost: " + r.Host() + "\r\n"
	for _, origin := range sent {
		head += "Origin: " + origin + "\r\n"
	}
	var parsed handshake.Request
	return parsed.Parse([]byte(head+"\r\n")) == nil && parsed.SameOrigin()
}

// parseOrigins reads --origins.
func parseOrigins(given []string) (*origins, error) {
	o := &origins{}
	for _, origin := range given {
		if origin == "*" {
			return &origins{any: true}, nil
		}
		canonical, err := canonicalOrigin(origin)
		if err != nil {
			return nil, usageError(fmt.Errorf("--origins %s: %w", origin, err))
		}
		if o.listed == nil {
			o.listed = map[string]bool{}
		}
		o.listed[canonical] = true
	}
	return o, nil
}

// canonicalOrigin is the form in which browsers send an origin: lower case,
// without the scheme's own port (RFC 6454 6.1).
func canonicalOrigin(origin string) (string, error) {
	u, err := url.Parse(strings.ToLower(strings.TrimSpace(origin)))
	if err != nil {
		return "", err
	}
	if u.Scheme == "" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return "", fmt.Errorf("want scheme://host[:port], such as https://app.example.org, or *")
	}
	host := u.Host
	switch {
	case u.Scheme == "http" && u.Port() == "80", u.Scheme == "https" && u.Port() == "443":
		host = strings.TrimSuffix(host, ":"+u.Port())
	}
	return u.Scheme + "://" + host, nil
}
