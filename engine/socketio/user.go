package socketio

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
)

// UserRoom is the room of a user's sockets: "user:" and the id, on Node servers
// too.
func UserRoom(id string) string { return "user:" + id }

// socketUser is whose a socket is.
type socketUser struct {
	mu      sync.Mutex // never held while a loop is waited for
	id      string     // "": nobody's
	present bool       // Presence knows of it; between admit and the end
	over    bool
}

// SetUser says whose the socket is, in a middleware or later: it joins
// [UserRoom], and counts as one of the user's connections as long as it lives.
// Called again with another id, it moves the socket. A socket that recovers is
// nobody's until it is called again.
//
// Errors are broker.ErrUser and ErrDisconnected. What other nodes can't be told
// now they are told later. Safe from any goroutine, but not from two at a time.
func (s *Socket) SetUser(id string) error {
	if err := broker.CheckUser(id); err != nil {
		return err
	}
	// Whoever finds the user must find the socket in the room.
	s.Join(UserRoom(id))
	before, err := s.takeUser(id)
	if before != "" && before != id {
		s.Leave(UserRoom(before))
	}
	return err
}

// takeUser replaces the socket's user, and returns the one before.
func (s *Socket) takeUser(id string) (before string, err error) {
	u := &s.user
	u.mu.Lock()
	defer u.mu.Unlock()
	switch before = u.id; {
	case u.over:
		return "", ErrDisconnected
	case before == id:
		return before, nil
	}
	if u.present {
		if before != "" {
			s.nsp.userExits(s, before)
		}
		s.nsp.userEnters(s, id)
	}
	u.id = id
	return before, nil
}

// User is the id that SetUser gave the socket, "" for none.
func (s *Socket) User() string {
	s.user.mu.Lock()
	defer s.user.mu.Unlock()
	return s.user.id
}

// userBegins tells of a socket that has joined its namespace. Call on the loop.
func (s *Socket) userBegins() {
	u := &s.user
	u.mu.Lock()
	defer u.mu.Unlock()
	u.present = true
	if u.id != "" {
		s.joinOnLoop([]string{UserRoom(u.id)}) // recovery may have replaced the rooms
		s.nsp.userEnters(s, u.id)
	}
}

// userEnds tells of the end of a socket. Call on the loop.
func (s *Socket) userEnds() {
	u := &s.user
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.present && u.id != "" {
		s.nsp.userExits(s, u.id)
	}
	u.present, u.over = false, true
}

// localUsers are the users with sockets in a namespace on this node.
type localUsers struct {
	mu      sync.Mutex
	sockets map[string]int // by user
}

// add changes a user's number of sockets.
func (l *localUsers) add(user string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sockets == nil {
		l.sockets = map[string]int{}
	}
	if l.sockets[user] += n; l.sockets[user] == 0 {
		delete(l.sockets, user)
	}
}

func (l *localUsers) has(user string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sockets[user] > 0
}

// userEnters and userExits tell of a socket's user. Presence keeps what it can't
// tell others now, and has counted it: the errors say no more.
func (n *Namespace) userEnters(s *Socket, user string) {
	n.users.add(user, 1)
	if p := n.server.presence; p != nil {
		_ = p.Enter(user, s.id, time.Now())
	}
}

func (n *Namespace) userExits(s *Socket, user string) {
	n.users.add(user, -1)
	if p := n.server.presence; p != nil {
		_ = p.Exit(user, s.id)
	}
}

// joinPresence makes the server a node of Options.Presence; without one it knows
// its own users.
func (srv *Server) joinPresence() error {
	p, name := srv.opts.Presence, srv.opts.ServerID
	if name == "" {
		name = srv.opts.Engine.ServerID
	}
	switch {
	case p == nil:
		p = broker.NewMemoryPresence()
		if broker.CheckServer(name) != nil {
			name = "this server"
		}
	case name == "":
		return fmt.Errorf("%w: Presence needs a ServerID", ErrOptions)
	}
	srv.serverID = name
	var err error
	srv.presence, err = p.Join(name, srv.direct)
	return err
}

// leavePresence ends what joinPresence began.
func (srv *Server) leavePresence(ctx context.Context) error {
	if srv.presence == nil {
		return nil
	}
	return srv.presence.Leave(ctx)
}

// direct delivers what another node sent to this one alone.
func (srv *Server) direct(m *cluster.Message) {
	if m.Kind != cluster.Broadcast || m.Packet.Type != sio.Event || m.RequestID != "" {
		srv.clusterRefused.Add(1)
		return
	}
	srv.mu.RLock()
	n := srv.namespaces[m.Namespace]
	srv.mu.RUnlock()
	if n == nil {
		return // nobody is in it
	}
	if err := n.told(&m.Options).deliverPayload(m.Packet.Payload); err != nil {
		srv.clusterLost.Add(1)
	}
}

// UserConnections are a user's sockets in all namespaces, on every node of
// Options.Presence, the oldest first. Errors are broker.ErrUser,
// broker.ErrUnavailable, broker.ErrClosed and ctx's. It may ask a server: not to
// be called on a loop.
func (srv *Server) UserConnections(ctx context.Context, user string) ([]broker.Connection, error) {
	if srv.presence == nil {
		return nil, broker.ErrClosed
	}
	return srv.presence.Lookup(ctx, user)
}

// Servers are the nodes of Options.Presence that are alive, this one included.
// Errors and the rest are as for UserConnections.
func (srv *Server) Servers(ctx context.Context) ([]broker.ServerInfo, error) {
	if srv.presence == nil {
		return nil, broker.ErrClosed
	}
	return srv.presence.Servers(ctx)
}

// UserOnline reports whether UserConnections finds any.
func (srv *Server) UserOnline(ctx context.Context, user string) (bool, error) {
	all, err := srv.UserConnections(ctx, user)
	return len(all) > 0, err
}

// SendToUser sends an event to a user's sockets in the namespace, wherever they
// are. With Options.Presence only the nodes that have some are told, unless the
// user is on a foreign one, such as a Node server, or can't be looked up: then it
// is a broadcast to [UserRoom], which it also is with a Cluster but no Presence,
// and under Options.Recovery, where a user who is away for a moment still gets
// the event. It is never both.
//
// A user who has a connection in no namespace of any node is ErrOffline. A
// broadcast to the room asks nobody, so there is no ErrOffline then. Other errors
// are broker.ErrUser, Broadcast.Emit's, those of PresenceNode.Send when some
// nodes are not told, and ctx's. It may ask a server: not to be called on a loop.
func (n *Namespace) SendToUser(ctx context.Context, user, event string, args ...any) error {
	return n.sendToUser(ctx, user, event, args, nil)
}

// sendToUser is SendToUser. told, if not nil, gathers what becomes of the event.
func (n *Namespace) sendToUser(ctx context.Context, user, event string, args []any, told *outcomes) error {
	if err := broker.CheckUser(user); err != nil {
		return err
	}
	if sio.IsReserved(event) {
		return ErrReserved
	}
	all, directed, err := n.findUser(ctx, user)
	if err != nil {
		return err
	}
	if !directed {
		return n.To(UserRoom(user)).emit(event, args, told.one())
	}
	local := n.users.has(user)
	if len(all) == 0 && !local {
		return ErrOffline
	}
	payload, err := n.encodeArgs(eventArgs(event, args))
	if err != nil {
		return err
	}
	if local {
		err = n.To(UserRoom(user)).Local().deliverPayload(payload)
	}
	return errors.Join(err, n.sendAway(all, user, payload, told))
}

// findUser looks up where a user is. directed is false where only a broadcast is
// sure to reach everybody.
func (n *Namespace) findUser(ctx context.Context, user string) (all []broker.Connection, directed bool, err error) {
	srv := n.server
	switch {
	case srv.opts.Recovery != nil, srv.presence == nil, n.node != nil && srv.opts.Presence == nil:
		return nil, false, nil
	}
	all, err = srv.presence.Lookup(ctx, user)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, false, context.Cause(ctx)
	case n.node != nil:
		return nil, false, nil
	default:
		// Without a cluster a broadcast would not reach the others either.
		return nil, false, err
	}
	for _, c := range all {
		if c.Foreign && n.node != nil {
			return nil, false, nil
		}
	}
	return all, true, nil
}

// sendAway sends to the other nodes that have a connection of the user.
func (n *Namespace) sendAway(all []broker.Connection, user string, payload sio.Payload, told *outcomes) error {
	var m *cluster.Message
	var failed error
	sent := map[string]bool{n.server.serverID: true}
	for _, c := range all {
		if sent[c.Server] || c.Foreign {
			continue
		}
		sent[c.Server] = true
		if m == nil {
			m = &cluster.Message{
				Kind:      cluster.Broadcast,
				UID:       n.server.serverID,
				Namespace: n.name,
				Options:   cluster.Options{Rooms: []string{UserRoom(user)}},
				Packet:    cluster.Packet{Type: sio.Event, Payload: payload},
			}
		}
		done := told.one()
		if err := n.sendTo(c.Server, m, done); err != nil {
			err = &ServerError{c.Server, err}
			if done == nil {
				failed = errors.Join(failed, err)
			} else {
				done("", err) // what becomes of the others is awaited all the same
			}
		}
	}
	return failed
}

// sendTo sends to one node.
func (n *Namespace) sendTo(server string, m *cluster.Message, done taken) error {
	if done == nil {
		return n.server.presence.Send(server, m)
	}
	return n.server.presence.SendThen(server, m, func(err error) {
		if err != nil {
			err = &ServerError{server, err}
		}
		done("", err)
	})
}
