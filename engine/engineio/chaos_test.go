package engineio_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// Clients do anything at any moment, and the application too: the server goes
// on, no loop panics, and nothing is left when all have gone (see start).
func TestAnythingAtAnyMoment(t *testing.T) {
	const clients, steps = 16, 40
	srv := serve(t, engineio.Options{
		PingInterval: 40 * time.Millisecond, PingTimeout: 60 * time.Millisecond, UpgradeTimeout: 30 * time.Millisecond,
		MaxBackpressure: 4000, AllowEIO3: true, HTTPCompression: 100,
	}, nil)
	var all sync.WaitGroup
	for n := range clients {
		random := rand.New(rand.NewPCG(1, uint64(n)))
		all.Go(func() {
			for range steps / 8 {
				query, message := v4, "4x"
				if n%4 == 0 {
					query, message = v3, "2:4x"
				}
				p, err := srv.tryPoll(query)
				if err != nil {
					continue // the machine took longer than the heartbeat allows
				}
				s := srv.app.sessionOf(t, p.sid)
				var inFlight sync.WaitGroup
				ctx, vanish := context.WithCancel(context.Background())
				for range 8 {
					switch random.IntN(8) {
					case 0, 1:
						inFlight.Go(func() { p.doCtx(ctx, "GET", "", nil) })
					case 2:
						inFlight.Go(func() { p.doCtx(ctx, "POST", message, nil) })
					case 3:
						p.doCtx(ctx, "POST", message+"\x1e4!bye", nil)
					case 4:
						inFlight.Go(func() {
							if c, err := srv.tryDial(query, p.sid); err == nil {
								_, _ = c.Write(frameOf(1, "2probe"))
								_, _ = c.Write(frameOf(1, "5"))
								_, _ = c.Write(frameOf(1, "4y"))
								_, _ = c.next()
								_ = c.Close()
							}
						})
					case 5:
						s.Loop().Post(func() { s.SendUnit([]byte("4z"), false, [][]byte{{1}}, true) })
					case 6:
						if random.IntN(4) == 0 {
							s.Loop().Post(func() { s.Close(engineio.ForcedClose) })
						}
					case 7:
						if random.IntN(4) == 0 {
							vanish()
						}
					}
				}
				if random.IntN(2) == 0 {
					vanish()
				}
				inFlight.Wait()
				vanish()
			}
		})
	}
	all.Wait()
	stats := srv.engine.Stats()
	if n := stats.Total().Panics + srv.Stats().Panics; n != 0 {
		t.Errorf("%d panics", n)
	}
	testkit.Eventually(t, func() bool { // the same may happen to this one
		p, err := srv.tryPoll(v4)
		return err == nil && p.post("4still here").status == 200
	}, patience)
}
