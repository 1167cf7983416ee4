package socketio

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// Socket is one client in one namespace. Its methods are safe from any
// goroutine.
type Socket struct {
	nsp    *Namespace
	lane   *lane
	client *client
	id     string
	pid    string // secret of recovery; "" without
	auth   []byte // JSON object; nil: none

	membership membership
	connected  atomic.Bool // between CONNECT and the end
	over       atomic.Bool // it has ended, or never began
	recovered  bool

	acks []pendingAck // of the loop
	user socketUser

	mu      sync.Mutex
	data    any       // mu
	own     *handlers // mu; replaced as a whole, nil: none
	queue   []task    // mu, or under Inline the loop's, like working; see work.go
	pending int       // mu; bytes in queue
	working bool
	failed  bool // of whoever runs handlers: one has panicked
}

// begin gives a new socket its ids.
func (s *Socket) begin() {
	if s.client.session.Protocol() == 3 {
		if s.id = s.client.session.ID(); s.nsp.name != "/" {
			s.id = s.nsp.name + "#" + s.id
		}
		return
	}
	s.id = newID()
	if s.nsp.store != nil {
		s.pid = s.nsp.store.newPID()
	}
}

// ID is the socket's public name, and the room that it is always in.
func (s *Socket) ID() string { return s.id }

// Namespace is the namespace that the socket joined.
func (s *Socket) Namespace() *Namespace { return s.nsp }

// Session is the Engine.IO session below. Its methods belong to its loop.
func (s *Socket) Session() *engineio.Session { return s.client.session }

// Loop is the loop that serves the socket.
func (s *Socket) Loop() *engine.Loop { return s.client.session.Loop() }

// Connected reports whether the socket is in its namespace.
func (s *Socket) Connected() bool { return s.connected.Load() }

// Recovered reports whether the socket is one that returned with its rooms and
// data, and has got what it missed.
func (s *Socket) Recovered() bool { return s.recovered }

// Auth is what the client sent with its request to join: an object, {} by
// default.
func (s *Socket) Auth() sio.Value {
	if len(s.auth) == 0 {
		return sio.RawValue([]byte("{}"))
	}
	return sio.RawValue(s.auth)
}

// Data is what SetData attached, or what the socket had before it returned.
func (s *Socket) Data() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data
}

// SetData attaches a value, which FetchSockets tells: on other nodes, as JSON. It
// may be encoded at any time, so it is not changed afterwards but replaced.
func (s *Socket) SetData(v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = v
}

// change replaces the socket's own handlers by a changed copy.
func (s *Socket) change(fn func(*handlers)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var h handlers
	if s.own != nil {
		h = *s.own
		h.on, h.any = slices.Clip(h.on), slices.Clip(h.any)
		h.disconnect, h.disconnecting = slices.Clip(h.disconnect), slices.Clip(h.disconnecting)
		h.use, h.failed = slices.Clip(h.use), slices.Clip(h.failed)
	}
	fn(&h)
	s.own = &h
}

// ownHandlers are the socket's own handlers, never nil.
func (s *Socket) ownHandlers() *handlers {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own == nil {
		return &noHandlers
	}
	return s.own
}

var noHandlers handlers

// On handles an event of this socket. See Namespace.On for one handler of all.
func (s *Socket) On(event string, fn func(*Event)) {
	s.change(func(h *handlers) { h.on = append(h.on, handler{event, fn}) })
}

// Off ends what On began, for all handlers of an event.
func (s *Socket) Off(event string) {
	s.change(func(h *handlers) {
		h.on = slices.DeleteFunc(slices.Clone(h.on), func(x handler) bool { return x.event == event })
	})
}

// OnAny has fn called for every event of the socket, before its handlers.
func (s *Socket) OnAny(fn func(*Event)) {
	s.change(func(h *handlers) { h.any = append(h.any, fn) })
}

// OnDisconnect has fn called when the socket has ended, with the reason in
// Node's words. It has left its rooms.
func (s *Socket) OnDisconnect(fn func(reason string)) {
	s.change(func(h *handlers) {
		h.disconnect = append(h.disconnect, func(_ *Socket, reason string) { fn(reason) })
	})
}

// OnDisconnecting has fn called before that, while Rooms still tells the rooms.
func (s *Socket) OnDisconnecting(fn func(reason string)) {
	s.change(func(h *handlers) {
		h.disconnecting = append(h.disconnecting, func(_ *Socket, reason string) { fn(reason) })
	})
}

// OnError is Namespace.OnError for this socket.
func (s *Socket) OnError(fn func(err error)) {
	s.change(func(h *handlers) {
		h.failed = append(h.failed, func(_ *Socket, err error) { fn(err) })
	})
}

// fail tells OnError. Call where handlers run.
func (s *Socket) fail(err error) {
	for _, fn := range slices.Concat(s.nsp.handlers.Load().failed, s.ownHandlers().failed) {
		fn(s, err)
	}
}

// Use adds a middleware for the socket's events: one that returns an error keeps
// the event from its handlers. OnError hears of it, and it is acknowledged as
// {"error": text}, if the client waits for an acknowledgement.
func (s *Socket) Use(fn func(*Event) error) {
	s.change(func(h *handlers) { h.use = append(h.use, fn) })
}

// Disconnect ends the socket, which the client does not take for a reason to
// come back. With closeConn its connection is closed, with all its namespaces.
func (s *Socket) Disconnect(closeConn bool) {
	s.lane.mustPost(0, func() { s.disconnectOnLoop(closeConn) })
}

// disconnectOnLoop is Disconnect on the loop.
func (s *Socket) disconnectOnLoop(closeConn bool) {
	switch {
	case s.over.Load():
	case closeConn:
		s.client.disconnectAll()
	case s.connected.Load():
		s.close("server namespace disconnect", true)
	}
}

// close ends a socket whose connection goes on.
func (s *Socket) close(reason string, tell bool) {
	s.client.remove(s)
	if tell {
		s.nsp.server.dismissals.Add(1)
		s.client.sendObject(sio.Header{Type: sio.Disconnect, Namespace: s.nsp.name}, nil)
	}
	s.finish(reason)
	s.linger()
}

// linger counts a socket whose connection goes on among its client's until its
// handlers have returned: who joins and leaves again and again, faster than they do,
// would have any number of them run.
func (s *Socket) linger() {
	c := s.client
	c.leaving++
	over := func() { c.leaving-- }
	run := over
	if !c.server.opts.Inline {
		run = func() { c.session.Loop().Post(over) } // a loop that has ended has no clients
	}
	s.enqueue(0, task{run: run})
}

// unrecoverable are the reasons after which a socket does not return.
var unrecoverable = []string{"client namespace disconnect", "server namespace disconnect", "parse error"}

// finish ends a connected socket. Call on the loop.
func (s *Socket) finish(reason string) {
	s.connected.Store(false)
	n := s.nsp
	if n.store != nil && s.pid != "" && !slices.Contains(unrecoverable, reason) {
		n.store.suspend(s)
	}
	s.lane.detach(s)
	s.userEnds()
	s.ended()
	// Which handlers there are is known when those before have run.
	s.enqueue(0, task{run: func() {
		s.tellEnd(n.handlers.Load().disconnecting, s.ownHandlers().disconnecting, reason)
		s.membership.forget()
		s.tellEnd(n.handlers.Load().disconnect, s.ownHandlers().disconnect, reason)
	}})
	n.cleanUp()
}

// tellEnd calls handlers of the end. One that panics keeps no other from it.
func (s *Socket) tellEnd(shared, own []func(*Socket, string), reason string) {
	for _, fn := range slices.Concat(shared, own) {
		s.protect(func() { fn(s, reason) })
	}
}

// ended is what all ends have in common. Call on the loop.
func (s *Socket) ended() {
	s.over.Store(true)
	s.membership.detach()
	acks := s.acks
	s.acks = nil
	for _, a := range acks {
		a.fn(nil, ErrDisconnected)
	}
}
