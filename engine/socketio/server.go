package socketio

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// Server is a Socket.IO server. It has the methods of its namespace "/".
type Server struct {
	*Namespace

	opts   Options
	err    error // the first mistake
	engine *engineio.Server
	app    *engine.App
	limits sio.Limits

	mu         sync.RWMutex
	namespaces map[string]*Namespace
	parents    []*ParentNamespace
	children   int // namespaces that parents have made
	closed     bool
	onGap      []func(*Namespace, broker.Gap)

	presence broker.PresenceNode // nil: it could not be joined
	serverID string

	once  sync.Once
	desks []*desk

	workers workers
	counters
	clusterCounts
	dataTrouble, gapTrouble seldom
}

// desk is what the server keeps for one loop.
type desk struct {
	backlog     *backlog
	connects    waiting // of clients in no namespace
	attachments waiting // of packets that are not complete
}

// New makes a server. A mistake in opts is returned by Mount, and so by the
// App's Listen.
func New(opts Options) *Server {
	srv := &Server{namespaces: map[string]*Namespace{}}
	opts, err := opts.withDefaults()
	srv.opts = opts
	srv.note(err)
	srv.limits = sio.Limits{MaxAttachments: opts.MaxAttachments, MaxBytes: opts.MaxPacket}
	srv.workers.drained = make(chan struct{}, 1)
	srv.engine, err = engineio.New(opts.Engine, sessions{srv})
	srv.note(err)
	if srv.err == nil {
		srv.note(srv.joinPresence())
	}
	srv.Namespace = srv.Of("/")
	return srv
}

func (srv *Server) note(err error) {
	if srv.err == nil {
		srv.err = err
	}
}

// Mount serves the clients of prefix, "/socket.io/" as a rule. It is
// engine.Mounter's.
func (srv *Server) Mount(app *engine.App, prefix string) error {
	if srv.err != nil {
		return srv.err
	}
	srv.app = app
	return srv.engine.Mount(app, prefix)
}

// Engine is the Engine.IO server below.
func (srv *Server) Engine() *engineio.Server { return srv.engine }

// Close disconnects all clients with the reason "server shutting down" and
// leaves the cluster and the presence, whose broker is to be closed behind it: it
// gets what handlers still send, and the state of sockets that may return. Close
// returns when that is done and all handlers have returned, or ctx ends. The
// App's Shutdown comes behind it. On a loop it returns ErrOnLoop; a handler must
// not call it.
func (srv *Server) Close(ctx context.Context) error {
	if srv.onLoop() {
		return ErrOnLoop
	}
	srv.mu.Lock()
	srv.closed = true // further namespaces join no cluster
	namespaces := slices.Collect(maps.Values(srv.namespaces))
	srv.mu.Unlock()
	for _, n := range namespaces {
		n.queue.drain(ctx)
	}
	var err error
	if srv.engine != nil {
		err = srv.engine.Close(ctx)
	}
	if err == nil {
		err = srv.workers.wait(ctx)
	}
	for _, n := range namespaces {
		n.leaveCluster()
	}
	return errors.Join(err, srv.leavePresence(ctx)) // behind the last Exit
}

// loops are the App's loops, none before it has begun.
func (srv *Server) loops() []*engine.Loop {
	if srv.app == nil {
		return nil
	}
	return srv.app.Loops()
}

// desk is the desk of a loop.
func (srv *Server) desk(l *engine.Loop) *desk {
	srv.once.Do(func() {
		for _, l := range srv.loops() {
			srv.desks = append(srv.desks, &desk{
				backlog:     newBacklog(),
				connects:    waiting{loop: l, patience: srv.opts.ConnectTimeout, late: (*client).giveUp},
				attachments: waiting{loop: l, patience: attachmentsTimeout, late: (*client).violate},
			})
		}
	})
	return srv.desks[l.ID()]
}

// Of is the namespace of a name, which begins with a slash; one that lacks is
// put before it. It is made at the first call.
func (srv *Server) Of(name string) *Namespace {
	if name == "" || name[0] != '/' {
		name = "/" + name
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if n := srv.namespaces[name]; n != nil {
		return n
	}
	return srv.addLocked(name)
}

// addLocked makes a namespace.
func (srv *Server) addLocked(name string) *Namespace {
	n := &Namespace{name: name, server: srv}
	n.handlers.Store(&handlers{})
	if err := n.joinCluster(); err != nil {
		srv.note(err)
		srv.opts.Logger.Error("a namespace can't join the cluster", "namespace", name, "err", err)
	}
	srv.namespaces[name] = n
	return n
}

// claim is an existing namespace, or nil. Until the caller ends its joining it
// is not cleaned up.
func (srv *Server) claim(name string) *Namespace {
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	n := srv.namespaces[name]
	if n != nil {
		n.joining.Add(1)
	}
	return n
}

// dynamic reports whether namespaces can come into being by themselves.
func (srv *Server) dynamic() bool {
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	return len(srv.parents) > 0
}

// errNamespace is the refusal of a namespace that there is none of.
//
//lint:ignore ST1005 the protocol's words
var errNamespace = errors.New("Invalid namespace")

// sessions is the engineio.Handler of a Server.
type sessions struct{ *Server }

// OpenSession begins a client.
func (srv sessions) OpenSession(s *engineio.Session) {
	c := newClient(srv.Server, s)
	s.SetUserData(c)
	if s.Protocol() == 3 {
		// Revision 3's clients are in "/" from the start; a turn later, as with
		// Node, so that the open packet comes alone.
		s.Loop().Post(func() {
			if !s.Closed() {
				c.connect(&sio.Packet{Type: sio.Connect, Namespace: "/"})
			}
		})
		return
	}
	srv.desk(s.Loop()).connects.add(c, &c.waiting)
}

// Message takes a message of a client.
func (srv sessions) Message(s *engineio.Session, data []byte, binary bool) {
	s.UserData().(*client).receive(data, binary)
}

// CloseSession ends a client.
func (srv sessions) CloseSession(s *engineio.Session, reason engineio.Reason, _ string) {
	if c, ok := s.UserData().(*client); ok {
		c.closed(string(reason))
	}
}
