package redis

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
)

const (
	// revokedChannel is where servers hear of revocations.
	revokedChannel = "wsd:revoked"
	// maxRevocation bounds what arrives there, in bytes.
	maxRevocation = 4 << 10
	// revokedTTL is how old a cached answer may be where Redis can't tell that it
	// changed; with tracking it tells.
	revokedTTL = 10 * time.Second
)

// Revocation says that a user's tokens from before a moment count no more; with a
// zero Before, that the user's connections are to end.
type Revocation struct {
	User   string
	Before time.Time // to the millisecond
}

// RevocationHandler hears of revocations: neither method is called twice at a time,
// and each may take its time.
type RevocationHandler struct {
	// Heard gets what other servers told.
	Heard func(Revocation)
	// Gap says that some may have been missed. ctx ends with the Broker.
	Gap func(ctx context.Context)
}

// Revocations carries them between servers, and keeps them. Its methods are safe
// from any goroutine.
type Revocations struct {
	b       *Broker
	node    string // whose own word it need not hear
	handler RevocationHandler
	inbox   *inbox
	script  *script
	asking  sync.Mutex  // held while Gap runs
	waiting atomic.Bool // one more Gap is due
}

// revocationWire is a message on revokedChannel.
type revocationWire struct {
	Node   string `json:"node"`
	User   string `json:"user"`
	Before int64  `json:"before,omitempty"` // Unix milliseconds
}

// Revocations begins to listen for them. Call once.
func (b *Broker) Revocations(h RevocationHandler) *Revocations {
	r := &Revocations{b: b, node: newToken(), handler: h, script: &script{text: revokeScript, sha1: digest(revokeScript)}}
	r.inbox = b.newInbox(broker.ClusterReceiver{Gap: func(broker.Gap) { r.missed() }}, r.open)
	b.hub.subscribe(plain, revokedChannel, r.inbox)
	return r
}

// open hands over what arrived; there is nothing for the inbox's receiver.
func (r *Revocations) open(_, payload string) *cluster.Message {
	var w revocationWire
	if len(payload) > maxRevocation || json.Unmarshal([]byte(payload), &w) != nil || broker.CheckUser(w.User) != nil || w.Before < 0 {
		r.b.log.Warn("redis: a revocation makes no sense", "channel", revokedChannel)
		return nil
	}
	if w.Node == r.node {
		return nil
	}
	n := Revocation{User: w.User}
	if w.Before > 0 {
		n.Before = time.UnixMilli(w.Before)
	}
	r.handler.Heard(n)
	return nil
}

// missed has Gap called, once for all that was missed until it begins.
func (r *Revocations) missed() {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	if r.b.closed || !r.waiting.CompareAndSwap(false, true) {
		return
	}
	r.b.wg.Go(func() {
		r.asking.Lock()
		defer r.asking.Unlock()
		r.waiting.Store(false)
		r.handler.Gap(r.b.ctx)
	})
}

// revokedKey is where the moment stands; the tag is that of the user's other keys.
func revokedKey(user string) string { return "wsd:{u:" + user + "}:revoked" }

// revokeScript keeps the youngest moment. KEYS[1] is where it stands; ARGV: the
// moment, milliseconds to keep it.
const revokeScript = `
local held = redis.call('GET', KEYS[1])
if held and tonumber(held) and tonumber(held) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

// Tell keeps a revocation for a time and tells all servers; one with a zero Before is
// only told. An older one does not replace a younger. Errors are broker.ErrUser and
// broker.ErrUnavailable.
func (r *Revocations) Tell(ctx context.Context, n Revocation, keep time.Duration) error {
	if err := broker.CheckUser(n.User); err != nil {
		return err
	}
	w := revocationWire{Node: r.node, User: n.User}
	if !n.Before.IsZero() {
		w.Before = n.Before.UnixMilli()
		err := r.b.run(ctx, r.script, revokedKey(n.User), strconv.FormatInt(w.Before, 10), strconv.FormatInt(max(keep.Milliseconds(), 1), 10)).Error()
		if err != nil {
			return errors.Join(broker.ErrUnavailable, err)
		}
	}
	text, err := json.Marshal(&w)
	if err != nil {
		return err
	}
	if err := r.b.do(ctx, r.b.client.B().Publish().Channel(revokedChannel).Message(rueidis.BinaryString(text)).Build()).Error(); err != nil {
		return errors.Join(broker.ErrUnavailable, err)
	}
	return nil
}

// Before is the moment before which a user's tokens count no more, the zero time if
// there is none. Answers come from the client-side cache where there is one. Errors
// are broker.ErrUser and broker.ErrUnavailable.
func (r *Revocations) Before(ctx context.Context, user string) (time.Time, error) {
	if err := broker.CheckUser(user); err != nil {
		return time.Time{}, err
	}
	b := r.b
	ctx, cancel := context.WithTimeout(ctx, b.opts.CommandTimeout)
	defer cancel()
	get := b.client.B().Get().Key(revokedKey(user))
	var result rueidis.RedisResult
	if b.opts.NoTracking {
		result = b.client.Do(ctx, get.Build())
	} else {
		result = b.client.DoCache(ctx, get.Cache(), revokedTTL)
	}
	ms, err := result.AsInt64()
	switch {
	case rueidis.IsRedisNil(err):
		return time.Time{}, nil
	case err != nil:
		b.count.commandErrors.Add(1)
		return time.Time{}, errors.Join(broker.ErrUnavailable, err)
	}
	return time.UnixMilli(ms), nil
}
