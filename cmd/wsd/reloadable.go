package main

import (
	"errors"
	"fmt"
)

// reloadable registers the parts that have no room of their own.
func (s *server) reloadable() {
	if s.daemonFlags == nil {
		return
	}
	s.onReload(s.reloadOrigins, "origins", "cors-origin", "cors-credentials")
	s.onReload(s.reloadConnections, "max-connections")
	s.onReload(s.reloadLogs, "log-level")
	s.onReload(s.reloadKeys, "jwt-secret", "jwt-secret-file", "jwt-public-key", "jwks-url",
		"jwt-issuer", "jwt-audience", "jwt-algorithms", "jwt-require-exp")
}

func (s *server) reloadOrigins(next *serveCmd) (func(), error) {
	allowed, err := parseOrigins(next.Origins)
	if err != nil {
		return nil, err
	}
	cors, err := next.cors(next.Origins)
	if err != nil {
		return nil, err
	}
	return func() {
		s.origins.set(allowed)
		// It can't fail: of several origins none is *.
		_ = s.sio.io.Engine().SetCORS(cors)
	}, nil
}

// reloadConnections changes how many clients may connect. Who is connected stays.
func (s *server) reloadConnections(next *serveCmd) (func(), error) {
	limit := connectionLimit(next.MaxConnections, s.log)
	return func() {
		s.limit.Store(int64(limit))
		s.app.SetMaxConnections(s.webSockets())
		s.app.SetMaxHTTP(s.httpConnections())
		s.sio.io.Engine().SetMaxSessions(limit)
	}, nil
}

func (s *server) reloadLogs(next *serveCmd) (func(), error) {
	return func() {
		if s.logLevel != nil {
			s.logLevel.Set(next.level())
		}
	}, nil
}

// reloadKeys reads the keys of tokens, which may be others under the same name.
func (s *server) reloadKeys(next *serveCmd) (func(), error) {
	flags := next.authFlags
	if flags.configured() != (s.identity.keys != nil) {
		return nil, usageError(errors.New("whether tokens are asked for can't change without a restart"))
	}
	if s.identity.keys == nil {
		return func() {}, nil
	}
	flags.JWTLeeway = s.authFlags.JWTLeeway // connections are held against it, too
	verifier, err := flags.verifier(s.log)
	if err != nil {
		return nil, fmt.Errorf("keys of tokens: %w", err)
	}
	return func() { s.identity.keys.exchange(verifier) }, nil
}
