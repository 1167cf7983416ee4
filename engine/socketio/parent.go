package socketio

import (
	"regexp"

	"github.com/fe4bcecb/wsd/codec/sio"
)

// ParentNamespace makes namespaces when their first client comes. What is
// registered with it before applies to each of them. It has no sockets itself:
// of the methods that send, only Emit reaches those of Children.
type ParentNamespace struct {
	*Namespace
	match func(name string, auth sio.Value) bool
}

// OfPattern makes namespaces whose names match a pattern, anywhere unless it
// says ^ and $, as with Node.
func (srv *Server) OfPattern(pattern *regexp.Regexp) *ParentNamespace {
	return srv.OfFunc(func(name string, _ sio.Value) bool { return pattern.MatchString(name) })
}

// OfFunc makes namespaces that match says yes to; auth is what the client sent
// with its request. match may block unless Options.Inline is set.
func (srv *Server) OfFunc(match func(name string, auth sio.Value) bool) *ParentNamespace {
	n := &Namespace{name: "(parent)", server: srv}
	n.handlers.Store(&handlers{})
	p := &ParentNamespace{n, match}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.parents = append(srv.parents, p)
	return p
}

// spawn is claim for a name that a parent says yes to.
func (srv *Server) spawn(name string, auth sio.Value) *Namespace {
	srv.mu.RLock()
	parents := srv.parents
	srv.mu.RUnlock()
	for _, p := range parents {
		if p.match(name, auth) {
			return srv.bear(p, name)
		}
	}
	return nil
}

// bear makes a parent's namespace, unless it is there or there are too many.
func (srv *Server) bear(p *ParentNamespace, name string) *Namespace {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if n := srv.namespaces[name]; n != nil {
		n.joining.Add(1)
		return n
	}
	if srv.children >= srv.opts.MaxNamespaces {
		srv.namespacesRefused.Add(1)
		return nil
	}
	n := srv.addLocked(name)
	n.parent = p
	n.handlers.Store(p.handlers.Load())
	srv.children++
	n.joining.Add(1)
	return n
}

// Children are the namespaces that were made, without those that were cleaned
// up.
func (p *ParentNamespace) Children() []*Namespace {
	p.server.mu.RLock()
	defer p.server.mu.RUnlock()
	var all []*Namespace
	for _, n := range p.server.namespaces {
		if n.parent == p {
			all = append(all, n)
		}
	}
	return all
}

// Emit sends an event to all sockets of all Children. Errors are
// Namespace.Emit's, the first of them.
func (p *ParentNamespace) Emit(event string, args ...any) error {
	var failed error
	for _, n := range p.Children() {
		if err := n.Emit(event, args...); err != nil && failed == nil {
			failed = err
		}
	}
	return failed
}

// cleanUp removes a namespace that a parent made, when it is empty and that is
// wanted.
func (n *Namespace) cleanUp() {
	srv := n.server
	if n.parent == nil || !srv.opts.CleanupEmptyNamespaces || n.Sockets() > 0 {
		return
	}
	srv.mu.Lock()
	// In this order: who is joining is counted until its lane counts it.
	if srv.namespaces[n.name] != n || n.joining.Load() > 0 || n.Sockets() > 0 {
		srv.mu.Unlock()
		return
	}
	delete(srv.namespaces, n.name)
	srv.children--
	srv.mu.Unlock()
	n.leaveCluster()
}
