package main

import (
	"net/http"
	"net/netip"
	"sync/atomic"

	"github.com/fe4bcecb/wsd/internal/limit"
)

// What clients are told that do too much.
const (
	textRate       = "Too many connection attempts"
	textPerIP      = "Too many connections from your address"
	textMessages   = "rate limit"
	textAtCapacity = "Server at capacity"
	textMemory     = "Server is short of memory"
)

// limitRules are what limitFlags come down to.
type limitRules struct {
	connectionsPerIP            int
	handshakes, handshakesPerIP limit.Rate
	messages                    limit.Rate
	closes                      bool // connections that send too much, rather than dropping it
}

// limiter holds clients to the rules. Its methods are safe from any goroutine.
type limiter struct {
	short      *atomic.Bool // memory is
	rules      atomic.Pointer[limitRules]
	handshakes limit.SharedMeter
	addresses  *limit.Table

	closed  atomic.Uint64 // connections that sent too much
	dropped atomic.Uint64 // messages of those that may go on
}

func newLimiter(rules *limitRules) *limiter {
	l := &limiter{short: new(atomic.Bool), addresses: limit.NewTable()}
	l.rules.Store(rules)
	return l
}

// handshake reports whether an address may have one more connection, or why not. It
// is a try, whatever becomes of it.
func (l *limiter) handshake(addr netip.Addr) (why reason, ok bool) {
	if l.short.Load() {
		return reasonMemory, false
	}
	r := l.rules.Load()
	now := limit.Now()
	if addr.IsValid() {
		if !l.addresses.Try(addr, r.handshakesPerIP, now) {
			return reasonRate, false
		}
		if r.connectionsPerIP > 0 && l.addresses.Connections(addr) >= r.connectionsPerIP {
			return reasonIP, false
		}
	}
	if !l.handshakes.Take(r.handshakes, now) {
		return reasonRate, false
	}
	return 0, true
}

// enter counts a connection that is open, unless others of the address have come
// before it since handshake. leave ends that.
func (l *limiter) enter(addr netip.Addr) bool {
	return !addr.IsValid() || l.addresses.Enter(addr, l.rules.Load().connectionsPerIP)
}

func (l *limiter) leave(addr netip.Addr) {
	if addr.IsValid() {
		l.addresses.Leave(addr, limit.Now())
	}
}

// verdict is what becomes of a message.
type verdict uint8

const (
	pass verdict = iota
	drop
	closeIt
)

// message takes one message of a connection, whose state m is.
//
// Hot path: per message.
func (l *limiter) message(m *limit.Meter) verdict {
	r := l.rules.Load()
	switch {
	case !r.messages.Limited() || m.Take(r.messages, limit.Now()):
		return pass
	case r.closes:
		l.closed.Add(1)
		return closeIt
	}
	l.dropped.Add(1)
	return drop
}

// refusalOf is what a client is told that handshake has refused.
func refusalOf(why reason) (status int, text string) {
	switch why {
	case reasonIP:
		return http.StatusTooManyRequests, textPerIP
	case reasonMemory:
		return http.StatusServiceUnavailable, textMemory
	}
	return http.StatusTooManyRequests, textRate
}
