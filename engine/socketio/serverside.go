package socketio

import (
	"context"
	"slices"
	"sync"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
)

// maxServerSide is how many events of other nodes may wait for their handlers
// in one namespace; more are lost and counted.
const maxServerSide = 4096

// ServerSideEvent is an event that another node sent with ServerSideEmit.
type ServerSideEvent struct {
	name string
	args []sio.Value
	ack  func(args []any) error
}

// Name is the event's name.
func (e *ServerSideEvent) Name() string { return e.name }

// Args are the event's arguments.
func (e *ServerSideEvent) Args() []sio.Value { return e.args }

// NeedsAck reports whether the sender waits for an answer.
func (e *ServerSideEvent) NeedsAck() bool { return e.ack != nil }

// Ack answers the sender, which takes the first argument. The error is
// ErrAcked, or why the answer could not be sent.
func (e *ServerSideEvent) Ack(args ...any) error {
	ack := e.ack
	if ack == nil {
		return ErrAcked
	}
	e.ack = nil
	return ack(args)
}

// serverSide dispatches the events of other nodes, in order, on a goroutine
// that exists while there are some.
type serverSide struct {
	mu       sync.Mutex
	handlers map[string][]func(*ServerSideEvent)
	any      []func(*ServerSideEvent)
	waiting  []*ServerSideEvent
	running  bool
}

// OnServerSide has fn called for an event that other nodes send with
// ServerSideEmit; "" stands for every event. Handlers of a namespace run one at
// a time, and may block. Safe from any goroutine.
func (n *Namespace) OnServerSide(event string, fn func(*ServerSideEvent)) {
	s := &n.serverSide
	s.mu.Lock()
	defer s.mu.Unlock()
	if event == "" {
		s.any = append(s.any, fn)
		return
	}
	if s.handlers == nil {
		s.handlers = map[string][]func(*ServerSideEvent){}
	}
	s.handlers[event] = append(s.handlers[event], fn)
}

// reservedServerSide are the names that ServerSideEmit refuses.
var reservedServerSide = []string{"connect", "connection", "new_namespace"}

// ServerSideEmit sends an event to the other nodes of the cluster. Errors are
// ErrReserved, those of package sio, and the cluster's. Safe from any goroutine.
func (n *Namespace) ServerSideEmit(event string, args ...any) error {
	m, err := n.serverSideMessage(event, args)
	if err != nil || n.node == nil {
		return err
	}
	err = n.node.Publish(m)
	n.server.requestCounts.count(RequestServerSideEmit, err, 0)
	return err
}

// ServerSideEmitWithAck sends an event to the other nodes and waits for one
// answer of each. Beside the answers so far, the error is a *[PartialError], which
// is an ErrTimeout, after Options.RequestTimeout, ctx's when that ends first, and
// the cluster's when it can't ask. It blocks: on a loop (an inline handler) it
// returns ErrOnLoop.
func (n *Namespace) ServerSideEmitWithAck(ctx context.Context, event string, args ...any) ([]sio.Value, error) {
	if n.server.onLoop() {
		return nil, ErrOnLoop
	}
	m, err := n.serverSideMessage(event, args)
	if err != nil || n.node == nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, n.server.opts.RequestTimeout, ErrTimeout)
	defer cancel()
	answers, err := n.ask(ctx, RequestServerSideEmit, m)
	values := make([]sio.Value, 0, len(answers))
	for _, m := range answers {
		value := sio.RawValue([]byte("null"))
		if all := m.Args.Args(); len(all) > 0 {
			value = all[0]
		}
		values = append(values, value)
	}
	return values, err
}

func (n *Namespace) serverSideMessage(event string, args []any) (*cluster.Message, error) {
	if slices.Contains(reservedServerSide, event) {
		return nil, ErrReserved
	}
	payload, err := n.encodeArgs(eventArgs(event, args))
	if err != nil || n.node == nil {
		return nil, err
	}
	return &cluster.Message{Kind: cluster.ServerSideEmit, UID: n.node.UID(), Namespace: n.name, Args: payload}, nil
}

// receive queues an event of another node.
func (s *serverSide) receive(n *Namespace, m *cluster.Message) {
	args := m.Args.Args()
	if len(args) == 0 {
		n.server.clusterRefused.Add(1)
		return
	}
	name, ok := args[0].Str()
	if !ok {
		n.server.clusterRefused.Add(1)
		return
	}
	e := &ServerSideEvent{name: name, args: args[1:]}
	if m.RequestID != "" {
		e.ack = func(args []any) error {
			payload, err := n.encodeArgs(args)
			if err != nil {
				return err
			}
			return n.node.Respond(m.UID, &cluster.Message{
				Kind:      cluster.ServerSideEmitResponse,
				UID:       n.node.UID(),
				Namespace: n.name,
				RequestID: m.RequestID,
				Args:      payload,
			})
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) >= maxServerSide {
		n.server.clusterLost.Add(1)
		return
	}
	s.waiting = append(s.waiting, e)
	if !s.running {
		s.running = true
		n.server.workers.enter()
		go s.work(n)
	}
}

// work handles events until none waits.
func (s *serverSide) work(n *Namespace) {
	defer n.server.workers.leave()
	for {
		s.mu.Lock()
		if len(s.waiting) == 0 {
			s.running = false
			s.waiting = nil
			s.mu.Unlock()
			return
		}
		e := s.waiting[0]
		s.waiting = s.waiting[1:]
		handlers := slices.Concat(s.handlers[e.name], s.any)
		s.mu.Unlock()
		for _, fn := range handlers {
			n.callServerSide(fn, e)
		}
	}
}

// callServerSide calls a handler; its panic belongs to no socket.
func (n *Namespace) callServerSide(fn func(*ServerSideEvent), e *ServerSideEvent) {
	defer func() {
		if v := recover(); v != nil {
			n.server.panics.Add(1)
			n.server.opts.Logger.Error("a server-side handler panicked", "namespace", n.name, "panic", v)
		}
	}()
	fn(e)
}
