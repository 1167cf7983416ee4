package api

import (
	"context"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// maxReason is the longest reason of a Close frame in bytes. RFC 6455 5.5.
const maxReason = 123

// DisconnectRequest is the body of POST /v1/disconnect: one of connection, socket,
// user and room.
type DisconnectRequest struct {
	Connection string `json:"connection,omitempty"` // an id of /v1/connections, on this server
	Socket     string `json:"socket,omitempty"`     // a Socket.IO socket's id, on every server
	User       string `json:"user,omitempty"`       // on every server
	Room       string `json:"room,omitempty"`       // of Socket.IO, on every server
	Namespace  string `json:"nsp,omitempty"`        // of socket and room; "": /
	// Keep leaves a Socket.IO client its connection: it only leaves the namespace.
	Keep   bool   `json:"keep,omitempty"`
	Local  bool   `json:"local,omitempty"`  // this server only
	Revoke bool   `json:"revoke,omitempty"` // with user: and refuse the tokens that the user has now
	Code   int    `json:"code,omitempty"`   // close code of raw connections; 0: 1008
	Reason string `json:"reason,omitempty"` // for raw connections
}

// Disconnected tells what was closed.
type Disconnected struct {
	// Local is how many connections of this server were closed, or with keep how many
	// sockets have left.
	Local int `json:"local"`
	// Cluster is true when other servers were told.
	Cluster bool `json:"cluster"`
}

// check refuses a request that can't be meant, and fills in the close code.
func (req *DisconnectRequest) check() error {
	targets := 0
	for _, target := range []string{req.Connection, req.Socket, req.User, req.Room} {
		if target != "" {
			targets++
		}
	}
	switch {
	case targets != 1:
		return badRequest("want one of connection, socket, user and room")
	case req.Revoke && req.User == "":
		return badRequest("revoke goes with user")
	case req.Revoke && (req.Local || req.Keep):
		return badRequest("revoke ends connections on all servers: it goes with neither local nor keep")
	case req.Namespace != "" && req.Socket == "" && req.Room == "":
		return badRequest("nsp goes with socket or room")
	case req.Code != 0 && req.Code != 1000 && req.Code != 1001 && req.Code != 1008 && (req.Code < 3000 || req.Code > 4999):
		return badRequest("code: want 1000, 1001, 1008, or 3000 to 4999")
	case len(req.Reason) > maxReason:
		return badRequest("reason has %d bytes, at most %d", len(req.Reason), maxReason)
	}
	if req.Code == 0 {
		req.Code = 1008
	}
	if req.Reason == "" {
		req.Reason = "disconnected by the operator"
	}
	return nil
}

func (a *API) disconnect(ctx context.Context, req *DisconnectRequest) (any, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	switch {
	case req.Connection != "":
		return a.disconnectOne(ctx, req)
	case req.User != "":
		return a.disconnectUser(ctx, req)
	}
	room := req.Room
	if req.Socket != "" {
		room = req.Socket
	}
	n, err := a.namespace(req.Namespace)
	if err != nil {
		return nil, err
	}
	return a.disconnectRoom(ctx, req, n, room)
}

// closeRaw closes a WebSocket. Call on its loop.
func (req *DisconnectRequest) closeRaw(c *engine.Conn) {
	c.Close(engine.StatusCode(req.Code), req.Reason)
}

func (a *API) disconnectOne(ctx context.Context, req *DisconnectRequest) (any, error) {
	err := a.find(ctx, req.Connection,
		func(c *engine.Conn, _ Client) { req.closeRaw(c) },
		func(s *engineio.Session, sockets []*socketio.Socket) {
			for _, socket := range sockets {
				socket.Disconnect(!req.Keep)
			}
			if len(sockets) == 0 {
				s.Close(engineio.ForcedClose)
			}
		},
	)
	if err != nil {
		return nil, err
	}
	return Disconnected{Local: 1}, nil
}

// disconnectRoom ends the sockets of a room.
func (a *API) disconnectRoom(ctx context.Context, req *DisconnectRequest, n *socketio.Namespace, room string) (any, error) {
	away := !req.Local && a.opts.Redis != nil
	if away {
		if err := a.reachable(); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, walkTimeout)
	defer cancel()
	b := n.To(room)
	local, err := b.Local().FetchSockets(ctx)
	if err != nil {
		return nil, err
	}
	if req.Local {
		b = b.Local()
	}
	if err := b.DisconnectSockets(!req.Keep); err != nil {
		return nil, err
	}
	return Disconnected{Local: len(local), Cluster: away}, nil
}

// disconnectUser ends a user's connections on every server, or with keep the sockets of
// Socket.IO there, or with local those of this server.
func (a *API) disconnectUser(ctx context.Context, req *DisconnectRequest) (any, error) {
	if err := broker.CheckUser(req.User); err != nil {
		return nil, err
	}
	away := !req.Local && a.opts.Redis != nil
	if away {
		if err := a.reachable(); err != nil {
			return nil, err
		}
	}
	out := Disconnected{Cluster: away}
	var err error
	if req.Revoke { // first, so that nobody comes back
		if out.Local, err = a.opts.EndUser(ctx, req.User, true); err != nil {
			return nil, err
		}
	}
	closed, err := a.closeUser(ctx, req)
	if err != nil {
		return nil, err
	}
	out.Local += closed
	if !away {
		return out, nil
	}
	if !req.Keep && !req.Revoke {
		if _, err := a.opts.EndUser(ctx, req.User, false); err != nil {
			return nil, err
		}
	}
	// Node's servers understand this.
	for _, n := range a.opts.IO.Namespaces() {
		if err := n.To(socketio.UserRoom(req.User)).DisconnectSockets(!req.Keep); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// closeUser ends a user's connections on this server, with keep only the sockets of
// Socket.IO.
func (a *API) closeUser(ctx context.Context, req *DisconnectRequest) (closed int, err error) {
	ctx, cancel := context.WithTimeout(ctx, walkTimeout)
	defer cancel()
	err = a.opts.App.Conns(ctx, func(c *engine.Conn) bool {
		if who, ok := a.opts.Who(c); ok && who.User == req.User && !req.Keep {
			req.closeRaw(c)
			closed++
		}
		return true
	})
	if err != nil {
		return closed, err
	}
	err = a.opts.IO.Clients(ctx, func(_ *engineio.Session, sockets []*socketio.Socket) bool {
		counted := false
		for _, socket := range sockets {
			if socket.User() != req.User {
				continue
			}
			if !counted || req.Keep {
				closed++
			}
			counted = true
			socket.Disconnect(!req.Keep)
		}
		return true
	})
	return closed, err
}
