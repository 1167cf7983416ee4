package main

import (
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync/atomic"

	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
	"github.com/fe4bcecb/wsd/engine"
)

// reason says why a client was refused. It is a metric's label.
type reason uint8

// The reasons.
const (
	reasonCapacity   reason = iota // --max-connections, or too many HTTP connections
	reasonRate                     // --handshakes-per-second, for all or an address
	reasonIP                       // --max-connections-per-ip
	reasonOrigin                   // --origins
	reasonAuth                     // no token, a bad one, or not allowed by it
	reasonBadRequest               // no handshake, or one that can't be meant
	reasonDraining                 // the server is about to end
	reasonTLS                      // no TLS handshake
	reasonFD                       // no descriptors left
	reasonMemory                   // no memory left
	reasons
)

var reasonNames = [reasons]string{"capacity", "rate", "ip", "origin", "auth", "bad_request", "draining", "tls", "fd", "memory"}

// reasonTexts are the log lines: constant, so that those that repeat are thinned.
var reasonTexts = [reasons]string{
	"a client was refused: the server is at capacity",
	"a client was refused: too many handshakes",
	"a client was refused: too many connections from its address",
	"a client was refused: its origin is not allowed",
	"a client was refused: it may not",
	"a client was refused: its request can't be served",
	"a client was refused: the server is draining",
	"a client was refused: no TLS handshake",
	"a client was refused: no file descriptors are left",
	"a client was refused: memory is short",
}

func (r reason) String() string { return reasonNames[r] }

// refusals counts and logs who was refused. Its methods are safe from any goroutine.
type refusals struct {
	log   *slog.Logger // thins out what repeats
	count [reasons]atomic.Uint64
}

// add notes a refusal on a path, by an HTTP status or a close code. remote is the
// client's address, "" where it is not known; why says more, and nothing that the
// client must not see in a log.
func (r *refusals) add(about reason, path, remote string, answer int, why string) {
	r.count[about].Add(1)
	r.log.Warn(reasonTexts[about], "reason", about.String(), "path", path, "remote", remote, "answer", answer, "why", why)
}

// byEngine notes what the engine itself refused: engine.Options.Refused. Origins are
// noted by the check.
func (s *server) byEngine(r engine.Refusal) {
	remote := ""
	if r.Remote.IsValid() {
		remote = r.Remote.Addr().Unmap().String()
	}
	if why, ok := map[engine.RefusalCause]reason{
		engine.RefusedRequest:     reasonBadRequest,
		engine.RefusedDecision:    reasonAuth,
		engine.RefusedCapacity:    reasonCapacity,
		engine.RefusedShutdown:    reasonDraining,
		engine.RefusedDescriptors: reasonFD,
		engine.RefusedTLS:         reasonTLS,
	}[r.Cause]; ok {
		s.refusals.add(why, firstSegment(r.Route), remote, r.Answer, r.Text)
	}
}

// retryAfter spreads the return of those who were refused, in seconds.
func retryAfter() string { return strconv.Itoa(1 + rand.IntN(5)) }

// refusalMetrics tells who was refused, and what the limits did.
func (s *server) refusalMetrics() {
	s.metrics.CounterVec("wsd_connections_rejected_total", "Clients that were refused, by reason.", []string{"reason"}, func(emit metrics.Emit) {
		for i := range s.refusals.count {
			emit(float64(s.refusals.count[i].Load()), reason(i).String())
		}
	})
	s.metrics.CounterVec("wsd_messages_rate_limited_total", "Messages beyond --messages-per-second, by what became of them or of their connection.", []string{"action"}, func(emit metrics.Emit) {
		emit(float64(s.limiter.closed.Load()), "close")
		emit(float64(s.limiter.dropped.Load()), "drop")
	})
	s.metrics.Gauge("wsd_client_addresses", "Addresses (IPv6: /64) that the limits per address know.",
		func() float64 { return float64(s.limiter.addresses.Len()) })
	s.metrics.Counter("wsd_tokens_expired_total", "Connections that were closed because their token expired.",
		func() float64 { return float64(s.expired.Load()) })
	s.metrics.CounterVec("wsd_reauthentications_total", "Fresh tokens of connected clients, by result.", []string{"result"}, func(emit metrics.Emit) {
		emit(float64(s.renewals.accepted.Load()), "accepted")
		emit(float64(s.renewals.refused.Load()), "refused")
	})
	s.metrics.Counter("wsd_revocations_total", "Revocations of users' tokens that this server has heard of.",
		func() float64 { return float64(s.revoked.count.Load()) })
	s.metrics.Counter("wsd_connections_ended_by_user_total", "Connections that were closed because their user was disconnected or revoked.",
		func() float64 { return float64(s.revoked.ended.Load()) })
	s.metrics.Counter("wsd_revocation_lookups_failed_total", "Lookups of revocations that Redis did not answer.",
		func() float64 { return float64(s.revoked.failed.Load()) })
	s.metrics.Gauge("wsd_insecure_switches", "Switches in force that lower the guard: --insecure-user-from, --anonymous.",
		func() float64 { return float64(len(s.insecure())) })
}

// insecure are the switches in force that lower the guard.
func (s *server) insecure() []string {
	var all []string
	if s.authFlags.InsecureUserFrom != "" {
		all = append(all, "--insecure-user-from")
	}
	if s.Anonymous {
		all = append(all, "--anonymous")
	}
	return all
}
