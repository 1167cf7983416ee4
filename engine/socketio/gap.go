package socketio

import (
	"slices"

	"github.com/fe4bcecb/wsd/broker"
)

// OnGap has fn called when messages of other nodes to a namespace were lost, or
// may have been: its clients of this node have missed events, and may be told to
// fetch what they show anew. fn must not block, for the namespace's messages wait
// behind it. Safe from any goroutine.
func (srv *Server) OnGap(fn func(nsp *Namespace, g broker.Gap)) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.onGap = append(slices.Clip(srv.onGap), fn)
}

// gap notes a loss. It runs where the broker delivers.
func (n *Namespace) gap(g broker.Gap) {
	<-n.joined
	srv := n.server
	srv.clusterGaps.Add(1)
	if g.Lost > 0 {
		srv.clusterGapLost.Add(uint64(g.Lost))
	}
	if l, ok := n.store.(*logStore); ok && g.Reason == broker.Restarted {
		l.restart()
	}
	if more, ok := srv.gapTrouble.due(); ok {
		srv.opts.Logger.Warn("messages of other nodes were lost", "namespace", n.name, "reason", g.Reason.String(), "lost", g.Lost, "gaps_not_logged", more)
	}
	srv.mu.RLock()
	handlers := srv.onGap
	srv.mu.RUnlock()
	for _, fn := range handlers {
		n.tellGap(fn, g)
	}
}

// tellGap calls a user's function, whose panic belongs to no socket.
func (n *Namespace) tellGap(fn func(*Namespace, broker.Gap), g broker.Gap) {
	defer func() {
		if v := recover(); v != nil {
			n.server.panicked("a function that awaits gaps", v)
		}
	}()
	fn(n, g)
}
