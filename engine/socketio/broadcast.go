package socketio

import (
	"slices"
	"time"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// Broadcast says which sockets of a namespace something is for: those in any of
// some rooms (all, without To), but for those in any of others. Its methods
// return a changed copy, so one may be kept and used again. Safe from any
// goroutine.
type Broadcast struct {
	nsp           *Namespace
	rooms, except []string
	local         bool
	foreign       bool // another node asked for it
	volatile      bool
	uncompressed  bool
	single        bool // one client answers, not all
	timeout       time.Duration
}

func (n *Namespace) broadcast() Broadcast { return Broadcast{nsp: n} }

// To is a broadcast to the sockets in any of some rooms.
func (n *Namespace) To(rooms ...string) *Broadcast { b := n.broadcast(); return b.To(rooms...) }

// In is To.
func (n *Namespace) In(rooms ...string) *Broadcast { return n.To(rooms...) }

// Except is a broadcast to all sockets but those in any of some rooms.
func (n *Namespace) Except(rooms ...string) *Broadcast { b := n.broadcast(); return b.Except(rooms...) }

// Local is a broadcast to the sockets of this node only.
func (n *Namespace) Local() *Broadcast { b := n.broadcast(); return b.Local() }

// Volatile is a broadcast that leaves out the sockets that are not ready to
// take more, because they are slow or between two polls.
func (n *Namespace) Volatile() *Broadcast { b := n.broadcast(); return b.Volatile() }

// Compress is a broadcast that is compressed, as is the default, or not.
func (n *Namespace) Compress(on bool) *Broadcast { b := n.broadcast(); return b.Compress(on) }

// Timeout is a broadcast whose acknowledgements are awaited so long.
func (n *Namespace) Timeout(d time.Duration) *Broadcast { b := n.broadcast(); return b.Timeout(d) }

// Emit sends an event to all sockets of the namespace, on every node. Errors are
// Broadcast.Emit's.
func (n *Namespace) Emit(event string, args ...any) error {
	b := n.broadcast()
	return b.Emit(event, args...)
}

// others is a broadcast to everybody but the socket.
func (s *Socket) others() Broadcast {
	return Broadcast{nsp: s.nsp, except: []string{s.id}}
}

// To is a broadcast to the sockets in any of some rooms, without this one.
func (s *Socket) To(rooms ...string) *Broadcast { b := s.others(); return b.To(rooms...) }

// In is To.
func (s *Socket) In(rooms ...string) *Broadcast { return s.To(rooms...) }

// Except is a broadcast to all sockets but this one and those in any of some
// rooms.
func (s *Socket) Except(rooms ...string) *Broadcast { b := s.others(); return b.Except(rooms...) }

// Broadcast is a broadcast to all sockets of the namespace but this one.
func (s *Socket) Broadcast() *Broadcast { b := s.others(); return &b }

// Local is a broadcast to all sockets of this node but this one.
func (s *Socket) Local() *Broadcast { b := s.others(); return b.Local() }

// To adds rooms.
func (b Broadcast) To(rooms ...string) *Broadcast {
	b.rooms = union(b.rooms, rooms)
	return &b
}

// In is To.
func (b Broadcast) In(rooms ...string) *Broadcast { return b.To(rooms...) }

// Except adds rooms whose members are left out.
func (b Broadcast) Except(rooms ...string) *Broadcast {
	b.except = union(b.except, rooms)
	return &b
}

// Local keeps the broadcast on this node.
func (b Broadcast) Local() *Broadcast { b.local = true; return &b }

// Volatile leaves out sockets that are not ready to take more.
func (b Broadcast) Volatile() *Broadcast { b.volatile = true; return &b }

// Compress says whether the packet may be compressed; it may by default.
func (b Broadcast) Compress(on bool) *Broadcast { b.uncompressed = !on; return &b }

// Timeout says how long acknowledgements and answers of other nodes are
// awaited; 0: Options.RequestTimeout.
func (b Broadcast) Timeout(d time.Duration) *Broadcast { b.timeout = d; return &b }

// union is a and b in memory of its own, without repetition.
func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	return all
}

// Emit sends an event. It is encoded once, whatever the number of sockets.
// Errors are ErrReserved, those of package sio when an argument can't be
// encoded, ErrOverloaded on a loop, engine.ErrShutdown, and the cluster's when
// only this node's sockets got it.
func (b Broadcast) Emit(event string, args ...any) error {
	return b.emit(event, args, nil)
}

// emit is Emit. done, if not nil, is told once whether the cluster has the event,
// perhaps before emit returns, and must not block. It may be told in spite of an error,
// which has precedence.
func (b Broadcast) emit(event string, args []any, done taken) error {
	n := b.nsp
	if sio.IsReserved(event) {
		return ErrReserved
	}
	away := n.node != nil && !b.local
	stored := n.store != nil && n.store.keeps(b)
	if !stored && !away {
		p, err := n.encode(sio.Header{Type: sio.Event, Namespace: n.name}, eventArgs(event, args), !b.uncompressed)
		if err != nil {
			return err
		}
		done.nobody()
		return b.deliver(p)
	}
	payload, err := n.encodeArgs(eventArgs(event, args))
	if err != nil {
		return err
	}
	if stored {
		return n.store.emit(b, payload, done)
	}
	if err := b.deliverPayload(payload); err != nil {
		return err
	}
	return b.tell(payload, done)
}

// eventArgs is an event packet's payload: its name and its arguments.
func eventArgs(event string, args []any) []any {
	return append(append(make([]any, 0, 1+len(args)), event), args...)
}

// deliver sends a packet to the sockets of this node.
func (b Broadcast) deliver(p *engineio.Prepared) error {
	var failed error
	for _, ln := range b.nsp.lanes() {
		if ln.population.Load() == 0 {
			continue
		}
		if err := b.post(ln, p.Size(), func() { ln.deliver(b.rooms, b.except, p, b.volatile) }); err != nil {
			failed = err
		}
	}
	return failed
}

// deliverPayload sends an event to the sockets of this node.
func (b Broadcast) deliverPayload(payload sio.Payload) error {
	n := b.nsp
	p, err := n.encodePayload(sio.Header{Type: sio.Event, Namespace: n.name}, payload, !b.uncompressed)
	if err != nil {
		return err
	}
	return b.deliver(p)
}

// post is lane.post, but what another node asks for keeps that node's order and
// does not wait behind this one's events.
func (b Broadcast) post(ln *lane, size int, fn func()) error {
	if b.foreign {
		return ln.overtake(size, fn)
	}
	return ln.post(size, fn)
}

// SocketsJoin puts the sockets into rooms, on every node.
func (b Broadcast) SocketsJoin(rooms ...string) error {
	rooms = slices.Clone(rooms)
	b.each(func(s *Socket) { s.joinOnLoop(rooms) })
	return b.publish(RequestJoin, cluster.SocketsJoin, func(m *cluster.Message) { m.Rooms = rooms })
}

// SocketsLeave takes the sockets out of rooms, on every node.
func (b Broadcast) SocketsLeave(rooms ...string) error {
	rooms = slices.Clone(rooms)
	b.each(func(s *Socket) { s.leaveOnLoop(rooms) })
	return b.publish(RequestLeave, cluster.SocketsLeave, func(m *cluster.Message) { m.Rooms = rooms })
}

// DisconnectSockets disconnects the sockets from the namespace, or with
// closeConn closes their connections, on every node.
func (b Broadcast) DisconnectSockets(closeConn bool) error {
	b.each(func(s *Socket) { s.disconnectOnLoop(closeConn) })
	return b.publish(RequestDisconnect, cluster.DisconnectSockets, func(m *cluster.Message) { m.Close = closeConn })
}

// SocketsJoin puts all sockets of the namespace into rooms, on every node.
func (n *Namespace) SocketsJoin(rooms ...string) error { return n.broadcast().SocketsJoin(rooms...) }

// SocketsLeave takes all sockets of the namespace out of rooms, on every node.
func (n *Namespace) SocketsLeave(rooms ...string) error { return n.broadcast().SocketsLeave(rooms...) }

// DisconnectSockets disconnects all sockets of the namespace, on every node.
func (n *Namespace) DisconnectSockets(closeConn bool) error {
	return n.broadcast().DisconnectSockets(closeConn)
}

// each calls fn for each socket of this node, on the socket's loop.
func (b Broadcast) each(fn func(*Socket)) {
	for _, ln := range b.nsp.lanes() {
		if ln.population.Load() == 0 {
			continue
		}
		act := func() {
			targets := ln.resolve(b.rooms, b.except)
			for _, s := range targets {
				fn(s)
			}
			ln.release(targets)
		}
		if b.foreign {
			_ = ln.overtake(0, act) // nobody waits for it on a loop, and a loop that has ended has no sockets
			continue
		}
		ln.mustPost(0, act)
	}
}

// publish tells the other nodes, unless the broadcast is local.
func (b Broadcast) publish(t RequestType, kind cluster.Kind, fill func(*cluster.Message)) error {
	if b.nsp.node == nil || b.local {
		return nil
	}
	m := b.message(kind, sio.Payload{})
	fill(m)
	err := b.nsp.node.Publish(m)
	b.nsp.server.requestCounts.count(t, err, 0)
	return err
}
