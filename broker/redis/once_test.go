package redis

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestClaim(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	a, b := openBroker(t, server.URL(), nil), openBroker(t, server.URL(), nil)
	ctx := context.Background()
	claim := func(b *Broker, id, token, want string) {
		t.Helper()
		if noted, err := b.Claim(ctx, id, token, time.Minute); err != nil || noted != want {
			t.Errorf("claim of %s for %s: %q, %v, want %q", id, token, noted, err, want)
		}
	}
	settle := func(b *Broker, id, token, value string) {
		t.Helper()
		if err := b.Settle(ctx, id, token, value, time.Minute); err != nil {
			t.Error(err)
		}
	}
	claim(a, "x", "a", "")
	claim(b, "x", "b", "a")
	claim(b, "y", "b", "")
	settle(b, "x", "b", "not b's")
	claim(b, "x", "b", "a")
	settle(a, "x", "a", "done")
	claim(b, "x", "b", "done")
	settle(a, "x", "a", "twice")
	claim(b, "x", "b", "done")
	settle(b, "y", "b", "") // given back
	claim(a, "y", "a", "")

	var winners atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if noted, err := []*Broker{a, b}[i%2].Claim(ctx, "race", string(rune('A'+i)), time.Minute); err == nil && noted == "" {
				winners.Add(1)
			}
		})
	}
	wg.Wait()
	if n := winners.Load(); n != 1 {
		t.Errorf("%d claims of one id", n)
	}
	if ttl, _ := server.Do("PTTL", "wsd:once:x").(int64); ttl < 1 {
		t.Errorf("PTTL %d", ttl)
	}
}
