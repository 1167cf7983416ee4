package engineio

import (
	"context"
	"math"
	"time"

	"github.com/fe4bcecb/wsd/engine"
)

const (
	// pollersWindow bounds over how long sessions that poll are closed.
	pollersWindow = 5 * time.Second
	// lastPoll is how long one that is between two polls may take to hear of it.
	lastPoll = 2 * time.Second
	// lastPollLook is how often the server looks whether all have heard.
	lastPollLook = 20 * time.Millisecond
)

// drain refuses further sessions and closes those that poll, which hear of it from
// the poll that waits or from their next. It is engine.App's OnDrain; the sessions
// on WebSockets come behind, by goAway.
func (srv *Server) drain(ctx context.Context, o engine.DrainOptions) {
	srv.closing.Store(true)
	o.Window = min(o.Window/2, pollersWindow)
	o.Pace(ctx, func(share float64) int {
		return srv.askLanes(ctx, func(ln *lane) int { return ln.closePollers(share) })
	})
	ctx, cancel := context.WithTimeout(ctx, lastPoll)
	defer cancel()
	look := time.NewTicker(lastPollLook)
	defer look.Stop()
	for srv.askLanes(ctx, (*lane).unheard) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// askLanes adds up what fn returns on each loop. It asks no longer than ctx.
func (srv *Server) askLanes(ctx context.Context, fn func(*lane) int) int {
	lanes := srv.begunLanes()
	answers := make(chan int, len(lanes))
	for _, ln := range lanes {
		if !ln.loop.Post(func() { answers <- fn(ln) }) {
			answers <- 0
		}
	}
	sum := 0
	for range lanes {
		select {
		case n := <-answers:
			sum += n
		case <-ctx.Done():
			return sum
		}
	}
	return sum
}

// closePollers closes a share of the sessions that poll and returns how many are
// left.
func (ln *lane) closePollers(share float64) int {
	var all []*Session
	for _, s := range ln.sessions {
		if s.conn == nil {
			all = append(all, s)
		}
	}
	n := int(math.Ceil(float64(len(all)) * share))
	for _, s := range all[:n] {
		s.Close(ShuttingDown)
	}
	return len(all) - n
}

// unheard is how many closed sessions have a poller that does not know.
func (ln *lane) unheard() int {
	n := 0
	for _, s := range ln.zombies {
		if s.poll != nil {
			n++
		}
	}
	return n
}

// goAway closes the session of a WebSocket.
func (srv *Server) goAway(ws *engine.Conn) {
	switch u := ws.UserData().(type) {
	case *Session:
		u.Close(ShuttingDown)
	case *opened:
		u.hangUp(silently)
	}
}
