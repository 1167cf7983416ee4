package engine

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/gobwas/ws"
)

const (
	// drainStep is the mean pause between two batches of a drain.
	drainStep = 50 * time.Millisecond
	// goingAway is the reason of our Close frames when the App ends.
	goingAway = "server is shutting down"
)

// DrainOptions are Drain's.
type DrainOptions struct {
	// Window is over how long clients are closed, so that they do not return all
	// at once; 0: as fast as the loops can.
	Window time.Duration
	// Jitter is by which part of itself, up to 1, the pause between two batches
	// varies at random; 0: a half, negative: none.
	Jitter float64
}

// Drain lets the clients go: it runs what OnDrain registered, stops listening,
// refuses with status 503 the handshakes that come still, and closes the open
// connections with 1001 (or as their Behavior's GoAway does), in small batches over
// o.Window. What
// clients send until they answer is still delivered. It returns when all have been
// told, or ctx ends. Shutdown is to be called behind it, and awaits their answers.
// Not to be called in a callback.
func (a *App) Drain(ctx context.Context, o DrainOptions) error {
	if a.started.Load() && a.onLoop() != nil {
		return ErrOnLoop
	}
	if !a.started.Load() {
		return nil
	}
	end := time.Now().Add(o.Window)
	for _, fn := range a.onDrain {
		fn(ctx, o)
	}
	a.StopListening(ctx)
	a.leaving.Store(true)
	// HTTP clients that stay connected are told not to.
	a.web.server.SetKeepAlivesEnabled(false)
	// What took its time before must not make the others go all at once.
	o.Window = max(o.Window/2, time.Until(end))
	left := make([]drainer, len(a.loops))
	for i, l := range a.loops {
		left[i] = drainer{loop: l}
	}
	o.Pace(ctx, func(share float64) int {
		total, told := 0, make(chan int, len(left))
		for i := range left {
			d := &left[i]
			if !d.loop.post(func() { d.step(share, told) }) {
				told <- 0
			}
		}
		for range left {
			select {
			case n := <-told:
				total += n
			case <-ctx.Done():
				return total
			}
		}
		return total
	})
	return ctx.Err()
}

// OnDrain has fn called when Drain begins, while the App still listens: a protocol
// server whose clients must come by themselves to hear of the end tells them there.
// fn paces itself by o, and returns when they know or ctx ends.
func (a *App) OnDrain(fn func(ctx context.Context, o DrainOptions)) *App {
	a.onDrain = append(a.onDrain, fn)
	return a
}

// Pace calls step about every 50 ms until it returns 0, the window is over or ctx
// ends. step is to handle a share of what is left, more than 0 and at last 1, and
// returns what is left then.
func (o DrainOptions) Pace(ctx context.Context, step func(share float64) (left int)) {
	end := time.Now().Add(o.Window)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		share := 1.0
		if left := time.Until(end); left > drainStep {
			share = float64(drainStep) / float64(left)
		}
		if step(share) == 0 || share == 1 {
			return
		}
		pause.Reset(o.pause())
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
}

// pause is the time until the next batch.
func (o DrainOptions) pause() time.Duration {
	jitter := min(o.Jitter, 1)
	switch {
	case jitter == 0:
		jitter = 0.5
	case jitter < 0:
		jitter = 0
	}
	return time.Duration(float64(drainStep) * (1 + jitter*(2*rand.Float64()-1)))
}

// drainer drains a loop, from the last of its connections to the first: one that
// goes leaves its place to the last, which knows already.
type drainer struct {
	loop  *Loop
	begun bool
	at    int // conns[at:] know
}

// step tells a share of those who do not know, a batch per turn, and answers with
// how many are left. It runs on the loop.
func (d *drainer) step(share float64, told chan<- int) {
	if !d.begun {
		d.begun, d.at = true, len(d.loop.conns)
	}
	d.at = min(d.at, len(d.loop.conns))
	d.tell(int(math.Ceil(float64(d.at)*share)), told)
}

// tell closes up to n connections.
func (d *drainer) tell(n int, told chan<- int) {
	for batch := 0; n > 0 && d.at > 0 && batch < closeBatch; {
		d.at--
		if d.at >= len(d.loop.conns) {
			continue // somebody went meanwhile
		}
		if c := d.loop.conns[d.at]; c.state == stateOpen {
			c.goAway()
			batch++
		}
		n--
	}
	if n > 0 && d.at > 0 && d.loop.post(func() { d.tell(n, told) }) {
		return
	}
	told <- d.at
}

// goAway closes an open connection because the App ends.
func (c *Conn) goAway() {
	if c.route.GoAway != nil {
		c.loop.call(c, func() { c.route.GoAway(c) })
	}
	if c.state == stateOpen {
		c.flags |= heeded
		c.close(CauseShutdown, ws.StatusGoingAway, goingAway)
	}
}
