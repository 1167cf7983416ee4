package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/fe4bcecb/wsd/engine"
)

// originCheck returns the rule for --origins: nil, the engine's same-host
// rule, when it is empty; any origin for "*"; otherwise exactly the listed
// ones. A client that sends no Origin is no browser and passes.
func originCheck(origins []string) (func(*engine.Handshake) bool, error) {
	if len(origins) == 0 {
		return nil, nil
	}
	allowed := make(map[string]bool, len(origins))
	for _, origin := range origins {
		if origin == "*" {
			return engine.AnyOrigin, nil
		}
		canonical, err := canonicalOrigin(origin)
		if err != nil {
			return nil, usageError(fmt.Errorf("--origins %s: %w", origin, err))
		}
		allowed[canonical] = true
	}
	return func(u *engine.Handshake) bool {
		origin := u.Header("Origin")
		return origin == "" || allowed[strings.ToLower(origin)]
	}, nil
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
