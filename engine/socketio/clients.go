package socketio

import (
	"context"
	"slices"
	"strings"

	"github.com/fe4bcecb/wsd/engine/engineio"
)

// Clients calls fn for each client of this node, connected in some namespace or not
// yet in any, with its sockets: on the client's loop, until fn returns false. fn must
// not block; it may keep the sockets, but not the slice. See [engine.App.Conns],
// whose rules and errors are these.
func (srv *Server) Clients(ctx context.Context, fn func(s *engineio.Session, sockets []*Socket) bool) error {
	var connected []*Socket
	return srv.engine.Each(ctx, func(s *engineio.Session) bool {
		c, ok := s.UserData().(*client)
		if !ok {
			return true // its OpenSession panicked
		}
		connected = connected[:0]
		for _, x := range c.sockets {
			if x.connected.Load() {
				connected = append(connected, x)
			}
		}
		return fn(s, connected)
	})
}

// Find is a namespace that exists, or nil: unlike Of it makes none.
func (srv *Server) Find(name string) *Namespace {
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	return srv.namespaces[name]
}

// Namespaces are the namespaces that exist, in the order of their names.
func (srv *Server) Namespaces() []*Namespace {
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	all := make([]*Namespace, 0, len(srv.namespaces))
	for _, n := range srv.namespaces {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b *Namespace) int { return strings.Compare(a.name, b.name) })
	return all
}
