package badinput

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/test/rawws"
)

// TestBombs: 16 KiB that inflate to 16 MiB, from many clients at once.
func TestBombs(t *testing.T) {
	tg := start(t, engine.Options{})
	bomb := rawws.Frame{Fin: true, Op: rawws.Binary, Rsv: rawws.Rsv1, Payload: rawws.Compress(make([]byte, 16<<20), 9)}.Bytes()
	if len(bomb) < 15<<10 || len(bomb) > 17<<10 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	n := size(100, 1000)
	tg.attack(func() {
		all := make([]*rawws.Conn, n)
		for i := range all {
			all[i] = tg.open("/echo")
		}
		grown := allocated(func() {
			tg.together(n, func(i int) error {
				if err := all[i].Send(bomb); err != nil {
					return err
				}
				return closedWith(all[i], 1009)
			})
		})
		if most := uint64(n) * 40 << 10; grown > most+slackHeap {
			t.Errorf("%d bombs of 16 MiB take %d KiB", n, grown>>10)
		}
		for _, c := range all {
			c.Close()
		}
	})
}

// TestTinyFragments: a million fragments are cut off after a thousand.
func TestTinyFragments(t *testing.T) {
	tg := start(t, engine.Options{})
	for _, payload := range []string{"", "x"} {
		t.Run(fmt.Sprint(len(payload), " bytes"), func(t *testing.T) {
			tg := &target{T: t, app: tg.app, addr: tg.addr, good: tg.good}
			tg.attack(func() {
				c := tg.open("/echo")
				defer c.Close()
				c.Send(rawws.Frame{Op: rawws.Binary, Payload: []byte("x")}.Bytes())
				fragments := bytes.Repeat(rawws.Frame{Payload: []byte(payload)}.Bytes(), 10000)
				grown := allocated(func() {
					for range 100 {
						if c.Send(fragments) != nil {
							break // the server has hung up
						}
					}
				})
				if err := closedWith(c, 1009); err != nil {
					t.Error(err)
				}
				if grown > 2*slackHeap {
					t.Errorf("a million fragments take %d KiB", grown>>10)
				}
			})
		})
	}
}

// TestFloods: much of what is allowed does not pile up, even when the client
// does not read the answers for a while.
func TestFloods(t *testing.T) {
	tg := start(t, engine.Options{})
	n := size(50000, 1000000)
	frames := map[string][]byte{
		"ping":  rawws.Frame{Fin: true, Op: rawws.Ping, Payload: []byte("p")}.Bytes(),
		"pong":  rawws.Frame{Fin: true, Op: rawws.Pong, Payload: []byte("p")}.Bytes(),
		"empty": rawws.Frame{Fin: true, Op: rawws.Text}.Bytes(),
	}
	for name, f := range frames {
		t.Run(name, func(t *testing.T) {
			tg := &target{T: t, app: tg.app, addr: tg.addr, good: tg.good}
			tg.attack(func() {
				c := tg.open("/echo")
				defer c.Close()
				flood := bytes.Repeat(f, 1000)
				grown := allocated(func() {
					for range n / 1000 {
						if err := c.Send(flood); err != nil {
							t.Fatal(err)
						}
					}
					tg.served(tg.good)
				})
				if grown > 2*slackHeap {
					t.Errorf("%d times %s takes %d KiB", n, name, grown>>10)
				}
			})
		})
	}
}

// TestDeafReader: a subscriber that never reads costs what MaxBackpressure
// allows, whatever the policy, and costs the others nothing.
func TestDeafReader(t *testing.T) {
	const backpressure = 64 << 10
	policies := map[string]engine.BackpressurePolicy{
		"drop newest": engine.DropNewest, "drop oldest": engine.DropOldest, "close": engine.ClosePolicy,
	}
	for name, policy := range policies {
		t.Run(name, func(t *testing.T) {
			tg := start(t, engine.Options{}, func(app *engine.App) {
				app.WS("/topics/{topic}", engine.Behavior{
					MaxBackpressure: backpressure,
					Policy:          policy,
					Open:            func(ws *engine.Conn) { ws.Subscribe("news") },
				})
			})
			tg.attack(func() { tg.deafReaders(10, policy) })
		})
	}
}

func (tg *target) deafReaders(n int, policy engine.BackpressurePolicy) {
	deaf := make([]*rawws.Conn, n)
	for i := range deaf {
		deaf[i] = tg.open("/topics/news")
		defer deaf[i].Close()
	}
	good := tg.open("/topics/news")
	defer good.Close()
	if !eventually(func() bool { return tg.app.NumSubscribers("news") == n+1 }) {
		tg.Fatal("not subscribed")
	}
	// The kernel takes a few MB for each deaf reader before the queue fills.
	message := bytes.Repeat([]byte("news "), 3000)
	rounds := size(1500, 10000)
	grown := held(func() {
		for i := range rounds {
			if err := tg.app.Publish("news", message, engine.Text); err != nil {
				tg.Fatal(err)
			}
			if err := expect(good, rawws.TextMessage, message); err != nil {
				tg.Fatalf("publication %d: %v", i, err)
			}
		}
	})
	if most := uint64(2*n*64) << 10; grown > most+slackHeap {
		tg.Errorf("%d deaf readers take %d KiB", n, grown>>10)
	}
	if tg.total(func(l engine.LoopStats) uint64 { return l.Dropped }) == 0 {
		tg.Error("nothing was dropped")
	}
	if policy != engine.ClosePolicy {
		return
	}
	if !eventually(func() bool { return tg.app.NumSubscribers("news") == 1 }) {
		tg.Error("deaf readers stay subscribed")
	}
}
