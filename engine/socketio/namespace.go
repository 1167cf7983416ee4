package socketio

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fe4bcecb/wsd/broker"
)

// Namespace is a part of the server with clients, rooms and handlers of its own.
// Its name begins with a slash.
type Namespace struct {
	name   string
	server *Server
	parent *ParentNamespace // that made it; nil: Of did

	mu       sync.Mutex // of changes to handlers
	handlers atomic.Pointer[handlers]
	ackIDs   atomic.Uint64
	joining  atomic.Int32 // sockets on their way in

	laneSet    laneSet
	store      store              // recovery's; nil: off
	queue      *logQueue          // nil: no log
	node       broker.ClusterNode // nil: alone
	serverSide serverSide
	users      localUsers
	clusterState
}

// Middleware decides whether a client may join a namespace, by returning nil. An
// error is the client's connect_error: its text, and data if it is Refuse's. What
// it emits to the socket is sent first.
type Middleware func(*Socket) error

// handlers are what an owner of events has registered. A Namespace replaces them
// as a whole, so that they can be read without a lock.
type handlers struct {
	middleware    []Middleware
	connection    []func(*Socket)
	on            []handler
	any           []func(*Event)
	use           []func(*Event) error // a socket's only
	disconnect    []func(*Socket, string)
	disconnecting []func(*Socket, string)
	failed        []func(*Socket, error)
}

// handler is for the events of one name.
type handler struct {
	event string
	fn    func(*Event)
}

// change replaces the handlers by a changed copy.
func (n *Namespace) change(fn func(*handlers)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := *n.handlers.Load()
	h.middleware = slices.Clip(h.middleware)
	h.connection = slices.Clip(h.connection)
	h.on = slices.Clip(h.on)
	h.any = slices.Clip(h.any)
	h.disconnect = slices.Clip(h.disconnect)
	h.disconnecting = slices.Clip(h.disconnecting)
	h.failed = slices.Clip(h.failed)
	fn(&h)
	n.handlers.Store(&h)
}

// Name is the namespace's name, "/" or "/name".
func (n *Namespace) Name() string { return n.name }

// Use adds a middleware; they run in the order in which they were added.
func (n *Namespace) Use(fn Middleware) {
	n.change(func(h *handlers) { h.middleware = append(h.middleware, fn) })
}

// OnConnection has fn called for each socket that joined. It is the place to
// register the socket's handlers: no event is handled before it returns.
func (n *Namespace) OnConnection(fn func(*Socket)) {
	n.change(func(h *handlers) { h.connection = append(h.connection, fn) })
}

// On handles an event of all sockets of the namespace. Unlike Socket.On it needs
// no memory for each of them.
func (n *Namespace) On(event string, fn func(*Event)) {
	n.change(func(h *handlers) { h.on = append(h.on, handler{event, fn}) })
}

// OnAny has fn called for every event of the namespace's sockets, before its
// handlers.
func (n *Namespace) OnAny(fn func(*Event)) {
	n.change(func(h *handlers) { h.any = append(h.any, fn) })
}

// OnDisconnect has fn called when a socket has ended, with the reason in Node's
// words. It has left its rooms.
func (n *Namespace) OnDisconnect(fn func(s *Socket, reason string)) {
	n.change(func(h *handlers) { h.disconnect = append(h.disconnect, fn) })
}

// OnDisconnecting has fn called before that, while Rooms still tells the rooms.
func (n *Namespace) OnDisconnecting(fn func(s *Socket, reason string)) {
	n.change(func(h *handlers) { h.disconnecting = append(h.disconnecting, fn) })
}

// OnError has fn called when a packet of the client can't be read, which ends
// the connection with an error of package sio, when Socket.Use refuses an event,
// and when an event does not fit its typed handler. Node's event "error".
func (n *Namespace) OnError(fn func(s *Socket, err error)) {
	n.change(func(h *handlers) { h.failed = append(h.failed, fn) })
}

// Sockets is the number of the namespace's sockets on this node.
func (n *Namespace) Sockets() int {
	count := 0
	for _, ln := range n.lanes() {
		count += int(ln.population.Load())
	}
	return count
}

// nextAckID is a new id for an acknowledgement. All sockets share the numbers,
// so that a broadcast has one for all.
func (n *Namespace) nextAckID() uint64 { return n.ackIDs.Add(1) - 1 }
