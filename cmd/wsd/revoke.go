package main

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/redis"
)

const (
	// maxRevoked bounds the users whose revocation this server remembers by itself.
	maxRevoked = 100_000
	// maxLookFailures in a row end a look at everybody: Redis is gone, and when it is
	// back there is another look.
	maxLookFailures = 3
)

// revocations know the users whose tokens count no more: those that were issued
// before a moment. This server remembers what it was told; Redis, where there is
// one, keeps it for all servers.
type revocations struct {
	log    *slog.Logger
	users  *userIndex
	keep   time.Duration      // --revocation-ttl
	shared *redis.Revocations // nil: this server is alone

	count  atomic.Uint64 // revocations that were heard of
	ended  atomic.Uint64 // connections closed by name
	failed atomic.Uint64 // lookups that Redis did not answer

	mu    sync.Mutex
	known map[string]revoked
}

// revoked is what is remembered of a user.
type revoked struct {
	before time.Time
	until  time.Time // when it may be forgotten: no token is that old
}

func newRevocations(users *userIndex, keep time.Duration, log *slog.Logger) *revocations {
	return &revocations{log: log, users: users, keep: keep, known: map[string]revoked{}}
}

// join shares them with the other servers.
func (r *revocations) join(b *redis.Broker) {
	r.shared = b.Revocations(redis.RevocationHandler{Heard: r.heard, Gap: r.lookAtAll})
}

// heard acts on what this or another server was told.
func (r *revocations) heard(n redis.Revocation) {
	if n.Before.IsZero() {
		r.end(n.User, endDisconnected)
		return
	}
	r.remember(n.User, n.Before)
	r.end(n.User, endRevoked)
}

// remember notes that a user's tokens from before a moment count no more.
func (r *revocations) remember(user string, before time.Time) {
	r.count.Add(1)
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	old, known := r.known[user]
	if known && old.before.After(before) {
		return
	}
	if !known && len(r.known) >= maxRevoked {
		r.forgetOne(now)
	}
	r.known[user] = revoked{before, now.Add(r.keep)}
}

// forgetOne makes room: for one that is due if it is at hand, else of any. Redis has
// them all.
func (r *revocations) forgetOne(now time.Time) {
	looked := 0
	for user, x := range r.known {
		if looked++; looked == 64 || now.After(x.until) {
			delete(r.known, user)
			return
		}
	}
}

// remembered reports whether this server knows that a user's tokens of a moment
// count no more. A token that does not tell when it was issued is as old as any; one
// of the same second is too old, since tokens know no fractions of it.
func (r *revocations) remembered(user string, issued time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	x, ok := r.known[user]
	if ok && time.Now().After(x.until) {
		delete(r.known, user)
		return false
	}
	return ok && !issued.After(x.before)
}

// check refuses a user whose token was revoked. Where Redis does not answer, what
// this server remembers counts: an outage of Redis does not keep everybody out. The
// error is a *refused.
func (r *revocations) check(ctx context.Context, user string, issued time.Time) error {
	if r == nil || user == "" {
		return nil
	}
	if r.remembered(user, issued) {
		return errRevoked
	}
	if r.shared == nil {
		return nil
	}
	before, err := r.shared.Before(ctx, user)
	switch {
	case err != nil:
		r.failed.Add(1)
		r.log.Warn("Redis does not tell whether a user's tokens were revoked: what this server knows counts", "err", err)
	case !before.IsZero() && !issued.After(before):
		return errRevoked
	}
	return nil
}

var errRevoked = &refused{codeRevoked, "the token has been revoked"}

// end closes a user's connections on this server. Who has connected by a token that
// is younger than the revocation stays.
func (r *revocations) end(user string, why ending) int {
	n := 0
	for _, m := range r.users.of(user) {
		if why == endRevoked && !r.remembered(user, m.issued) {
			continue
		}
		m.end(why)
		n++
	}
	r.ended.Add(uint64(n))
	return n
}

// settled ends a connection whose user's tokens were revoked while it was let in.
// Call when it is in the index.
func (r *revocations) settled(m *member) {
	if r.remembered(m.user, m.issued) {
		m.end(endRevoked)
	}
}

// lookAtAll asks Redis about everybody who is connected, since this server may have
// missed something.
func (r *revocations) lookAtAll(ctx context.Context) {
	failures := 0
	for _, user := range r.users.users() {
		before, err := r.shared.Before(ctx, user)
		if err != nil {
			r.failed.Add(1)
			if failures++; failures == maxLookFailures {
				return
			}
			continue
		}
		failures = 0
		if !before.IsZero() {
			r.remember(user, before)
			r.end(user, endRevoked)
		}
	}
}

// revoke ends all connections of a user, on every server, whose tokens were issued
// before a moment, and refuses such tokens for --revocation-ttl. closed counts those
// of this server. Errors are broker.ErrUser, and broker.ErrUnavailable when other
// servers could not be told: this one has done its part all the same.
func (s *server) revoke(ctx context.Context, user string, before time.Time) (closed int, err error) {
	if err := broker.CheckUser(user); err != nil {
		return 0, err
	}
	s.revoked.remember(user, before)
	closed = s.revoked.end(user, endRevoked)
	if s.revoked.shared != nil {
		err = s.revoked.shared.Tell(ctx, redis.Revocation{User: user, Before: before}, s.revoked.keep)
	}
	return closed, err
}

// disconnectUser ends all connections of a user, on every server. They may come
// back. closed and errors are those of revoke.
func (s *server) disconnectUser(ctx context.Context, user string) (closed int, err error) {
	if err := broker.CheckUser(user); err != nil {
		return 0, err
	}
	closed = s.revoked.end(user, endDisconnected)
	if s.revoked.shared != nil {
		err = s.revoked.shared.Tell(ctx, redis.Revocation{User: user}, 0)
	}
	return closed, err
}
