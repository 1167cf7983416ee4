package socketio

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
)

// RemoteSocket is what FetchSockets tells of a socket, on this node or another.
// Its methods reach the socket wherever it is, and are safe from any goroutine.
type RemoteSocket struct {
	ID        string
	Rooms     []string
	Handshake *Handshake
	// Data is what SetData attached: the value itself for a socket of this node,
	// and what JSON makes of it otherwise. It is not to be changed.
	Data any

	nsp *Namespace
}

func (r *RemoteSocket) only() Broadcast { return Broadcast{nsp: r.nsp, rooms: []string{r.ID}} }

// Emit sends an event to the socket.
func (r *RemoteSocket) Emit(event string, args ...any) error { return r.only().Emit(event, args...) }

// EmitWithAck sends an event and waits for its acknowledgement, as
// Broadcast.EmitWithAck does. timeout 0: Options.RequestTimeout.
func (r *RemoteSocket) EmitWithAck(ctx context.Context, timeout time.Duration, event string, args ...any) (sio.Value, error) {
	b := r.only()
	b.single, b.timeout = true, timeout
	values, err := b.EmitWithAck(ctx, event, args...)
	if len(values) > 0 {
		return values[0], nil
	}
	if err == nil {
		err = ErrDisconnected
	}
	return sio.Value{}, err
}

// Join puts the socket into rooms.
func (r *RemoteSocket) Join(rooms ...string) error { return r.only().SocketsJoin(rooms...) }

// Leave takes the socket out of rooms.
func (r *RemoteSocket) Leave(rooms ...string) error { return r.only().SocketsLeave(rooms...) }

// Disconnect disconnects the socket, or closes its connection.
func (r *RemoteSocket) Disconnect(closeConn bool) error { return r.only().DisconnectSockets(closeConn) }

// FetchSockets tells of all sockets of the namespace, on every node. See
// Broadcast.FetchSockets.
func (n *Namespace) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	return n.broadcast().FetchSockets(ctx)
}

// FetchSockets tells of the sockets, on every node. It blocks until the loops
// and the other nodes have answered: on a loop (an inline handler) it returns
// ErrOnLoop. Beside the answers so far, the error is a *[PartialError], which is
// an ErrTimeout, when Timeout is over, ctx's when that ends first, and the
// cluster's when it can't ask.
func (b Broadcast) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	n := b.nsp
	if n.server.onLoop() {
		return nil, ErrOnLoop
	}
	if n.node == nil || b.local {
		return b.fetchLocal(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, b.patience(), ErrTimeout)
	defer cancel()
	local, err := b.fetchLocal(ctx)
	if err != nil {
		return local, err
	}
	remote, err := b.fetchRemote(ctx)
	return append(local, remote...), err
}

// fetchLocal asks this node's loops.
func (b Broadcast) fetchLocal(ctx context.Context) ([]*RemoteSocket, error) {
	return askLoops(ctx, b, b.tellOf)
}

// tellOf describes the sockets of one loop. Call on the loop.
func (b Broadcast) tellOf(ln *lane) []*RemoteSocket {
	targets := ln.resolve(b.rooms, b.except)
	all := make([]*RemoteSocket, len(targets))
	for i, s := range targets {
		all[i] = &RemoteSocket{
			ID:        s.id,
			Rooms:     s.Rooms(),
			Handshake: s.Handshake(),
			Data:      s.Data(),
			nsp:       b.nsp,
		}
	}
	ln.release(targets)
	return all
}

// fetchRemote asks the other nodes.
func (b Broadcast) fetchRemote(ctx context.Context) ([]*RemoteSocket, error) {
	answers, err := b.nsp.ask(ctx, RequestFetchSockets, b.message(cluster.FetchSockets, sio.Payload{}))
	var all []*RemoteSocket
	for _, m := range answers {
		for i := range m.Sockets {
			all = append(all, b.nsp.remoteSocket(&m.Sockets[i]))
		}
	}
	return all, err
}

// remoteSocket is what another node told. What can't be read is left out.
func (n *Namespace) remoteSocket(x *cluster.Socket) *RemoteSocket {
	r := &RemoteSocket{ID: x.ID, Rooms: x.Rooms, Handshake: new(Handshake), nsp: n}
	if len(x.Handshake) > 0 {
		// A handshake of an unknown form stays empty.
		_ = json.Unmarshal(x.Handshake, r.Handshake)
	}
	if len(x.Data) > 0 {
		r.Data, _ = sio.RawValue(x.Data).Any()
	}
	return r
}

// describe is what another node is told of a socket.
func (r *RemoteSocket) describe() cluster.Socket {
	x := cluster.Socket{ID: r.ID, Rooms: r.Rooms}
	var err error
	if x.Handshake, err = json.Marshal(r.Handshake); err != nil {
		x.Handshake = []byte("{}")
	}
	x.Data = r.nsp.server.encodeData(r.Data)
	return x
}

// encodeData is what other nodes are told of Socket.Data: an object where there
// is nothing.
func (srv *Server) encodeData(data any) []byte {
	if data == nil {
		return []byte("{}")
	}
	b, err := marshal(data)
	if err != nil {
		if n, ok := srv.dataTrouble.due(); ok {
			srv.opts.Logger.Warn("a socket's data can't be told to other nodes", "err", err, "more", n)
		}
		return []byte("{}")
	}
	return b
}

// marshal is json.Marshal of a user's value, whose methods may panic.
func marshal(v any) (b []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return json.Marshal(v)
}

// decodeData is Socket.Data as another node told it, nil for an empty object.
func decodeData(b []byte) any {
	v, err := sio.RawValue(b).Any()
	if object, ok := v.(map[string]any); err != nil || ok && len(object) == 0 {
		return nil
	}
	return v
}
