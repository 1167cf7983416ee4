package main

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/fe4bcecb/wsd/internal/auth"
)

// keys verify tokens. A reload may exchange them.
type keys struct {
	log     *slog.Logger
	now     atomic.Pointer[auth.Verifier]
	mu      sync.Mutex
	before  *auth.Verifier // may still be at work, for who came before the exchange
	ctx     context.Context
	cancel  context.CancelFunc
	fetches sync.WaitGroup
}

// newKeys takes charge of v. Close it.
func newKeys(v *auth.Verifier, log *slog.Logger) *keys {
	k := &keys{log: log}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	k.exchange(v)
	return k
}

// verifier is what verifies tokens now. Safe from any goroutine.
func (k *keys) verifier() *auth.Verifier { return k.now.Load() }

// exchange takes charge of v, and has it verify from now on. What is to be fetched
// for it is, in the background, so that a mistake shows in the log before the first
// client comes.
func (k *keys) exchange(v *auth.Verifier) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.before != nil {
		k.before.Close()
	}
	k.before = k.now.Swap(v)
	k.fetches.Go(func() {
		if err := v.Prefetch(k.ctx); err != nil && k.ctx.Err() == nil {
			k.log.Warn("the keys of tokens can't be fetched; will try again when they are needed", "err", err)
		}
	})
}

// close ends all of it.
func (k *keys) close() {
	k.cancel()
	k.fetches.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.before != nil {
		k.before.Close()
	}
	k.verifier().Close()
}
