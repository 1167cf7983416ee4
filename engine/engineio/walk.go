package engineio

import (
	"context"
	"slices"

	"github.com/fe4bcecb/wsd/engine"
)

// Each calls fn for each session that was open when it began and still is, on the
// session's loop, until fn returns false: see [engine.App.Conns], whose rules and
// errors are these.
func (srv *Server) Each(ctx context.Context, fn func(*Session) bool) error {
	goOn := true
	for _, ln := range srv.begunLanes() {
		err := engine.Walk(ctx, ln.loop, ln.open, func(s *Session) bool {
			if !s.closed {
				goOn = fn(s)
			}
			return goOn
		})
		if err != nil || !goOn {
			return err
		}
	}
	return nil
}

// open are the lane's sessions. It runs on the loop.
func (ln *lane) open(yield func(*Session) bool) {
	for _, s := range slices.Clone(ln.sessions) {
		if !yield(s) {
			return
		}
	}
}
