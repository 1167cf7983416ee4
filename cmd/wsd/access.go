package main

import (
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/fe4bcecb/wsd/engine"
)

// access is what decides who may connect and for how long, on every path. Its parts
// are safe from any goroutine.
type access struct {
	identity *identifier
	trust    trust
	origin   *originRule
	limiter  *limiter
	refusals refusals
	users    userIndex
	revoked  *revocations
	expired  atomic.Uint64 // connections whose token has ended
	renewals renewals
}

// renewals counts fresh tokens of clients that are connected.
type renewals struct{ accepted, refused atomic.Uint64 }

// note counts one by its outcome.
func (r *renewals) note(err error) {
	if err != nil {
		r.refused.Add(1)
	} else {
		r.accepted.Add(1)
	}
}

// newAccess makes access of the flags, which were checked.
func newAccess(f *daemonFlags, origin *originRule, log *slog.Logger) (*access, error) {
	a := &access{origin: origin, limiter: newLimiter(f.limitFlags.rules())}
	a.refusals.log = log
	p, err := parseProxies(f.TrustedProxies, f.ForwardedHeader)
	if err != nil {
		return nil, usageError(err)
	}
	a.trust.Store(p)
	a.revoked = newRevocations(&a.users, f.RevocationTTL, log)
	return a, nil
}

// originOfHandshake is the check of raw WebSocket handshakes; those of Engine.IO tell
// by themselves what they refuse.
func (a *access) originOfHandshake(u *engine.Handshake) bool {
	if a.origin.handshake(u) {
		return true
	}
	a.refusals.add(reasonOrigin, routeOf(u), a.trust.ofHandshake(u).text(), http.StatusForbidden, "origin not allowed")
	return false
}

// reload takes new flags; see onReload.
func (a *access) reload(new *serveCmd) (commit func(), err error) {
	p, err := parseProxies(new.TrustedProxies, new.ForwardedHeader)
	if err != nil {
		return nil, usageError(err)
	}
	return func() {
		a.trust.Store(p)
		a.limiter.rules.Store(new.limitFlags.rules())
	}, nil
}
