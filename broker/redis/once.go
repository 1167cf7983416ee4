package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// oncePrefix begins the keys of Claim.
const oncePrefix = "wsd:once:"

// Claim notes for at most ttl that whoever holds token does what id names, unless
// somebody has before: then it returns what that one has noted, "" otherwise. id and
// token are not empty. An error means that Redis does not answer: whether the claim
// was noted is open. It blocks.
func (b *Broker) Claim(ctx context.Context, id, token string, ttl time.Duration) (noted string, err error) {
	key := oncePrefix + id
	for range 2 {
		cmd := b.client.B().Set().Key(key).Value(token).Nx().Px(ttl).Build()
		err := b.do(ctx, cmd).Error()
		switch {
		case err == nil:
			return "", nil
		case !rueidis.IsRedisNil(err):
			return "", fmt.Errorf("redis: claim: %w", err)
		}
		noted, err := b.do(ctx, b.client.B().Get().Key(key).Build()).ToString()
		switch {
		case err == nil:
			return noted, nil
		case !rueidis.IsRedisNil(err):
			return "", fmt.Errorf("redis: claim: %w", err)
		}
		// It has just run out: once more.
	}
	return token, nil // it runs out again and again: not to be taken for free
}

// settleScript replaces a value, or deletes it for an empty one, if it still is what
// the caller put there. KEYS[1] is the key; ARGV: that value, the new one,
// milliseconds.
const settleScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`

// settle is never known to be loaded, so it is always sent as a whole.
var settle = script{text: settleScript}

// Settle replaces the token of a Claim, if that still stands, by what others are to
// be told for ttl; "" gives the claim back. It blocks.
func (b *Broker) Settle(ctx context.Context, id, token, value string, ttl time.Duration) error {
	r := b.run(ctx, &settle, oncePrefix+id, token, value, strconv.FormatInt(ttl.Milliseconds(), 10))
	if err := r.Error(); err != nil {
		return fmt.Errorf("redis: settle: %w", err)
	}
	return nil
}
