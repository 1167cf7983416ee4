package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/fe4bcecb/wsd/codec/handshake"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// originCheck returns the rule for --origins: nil, the engine's same-host
// rule, when it is empty; any origin for "*"; otherwise exactly the listed
// ones. A client that sends no Origin is no browser and passes.
func originCheck(origins []string) (func(*engine.Handshake) bool, error) {
	allowed, err := parseOrigins(origins)
	switch {
	case err != nil || len(origins) == 0:
		return nil, err
	case allowed == nil:
		return engine.AnyOrigin, nil
	}
	return func(u *engine.Handshake) bool {
		origin := u.Header("Origin")
		return origin == "" || allowed[strings.ToLower(origin)]
	}, nil
}

// sioOriginCheck is the same rule for handshakes of Engine.IO, by polling or
// WebSocket; nil is any origin there.
func sioOriginCheck(origins []string) (func(*engineio.Request) bool, error) {
	allowed, err := parseOrigins(origins)
	switch {
	case err != nil:
		return nil, err
	case len(origins) == 0:
		return sameOrigin, nil
	case allowed == nil:
		return nil, nil
	}
	return func(r *engineio.Request) bool {
		origin := r.Origin()
		return origin == "" || allowed[strings.ToLower(origin)]
	}, nil
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

// parseOrigins reads --origins; nil stands for any.
func parseOrigins(origins []string) (map[string]bool, error) {
	allowed := make(map[string]bool, len(origins))
	for _, origin := range origins {
		if origin == "*" {
			return nil, nil
		}
		canonical, err := canonicalOrigin(origin)
		if err != nil {
			return nil, usageError(fmt.Errorf("--origins %s: %w", origin, err))
		}
		allowed[canonical] = true
	}
	return allowed, nil
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
