package socketio

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/fe4bcecb/wsd/codec/sio"
)

// Event is one that a client sent. Its arguments are valid as long as it is,
// under Options.Inline until its handler returns.
type Event struct {
	socket *Socket
	name   sio.Value
	args   []sio.Value
	id     uint64
	hasID  bool
	acked  atomic.Bool
	room   [5]sio.Value // of name and args, when they are few
}

// smallEvent is an Event with its data, in one piece of memory.
type smallEvent struct {
	Event
	data [128]byte
}

// keep makes an Event of a packet that is valid for the call only.
func keep(p *sio.Packet) *Event {
	switch {
	case len(p.Attachments) > 0: // they have come with memory of their own
	case len(p.Data) <= len(smallEvent{}.data):
		e := &smallEvent{}
		p.Data = append(e.data[:0], p.Data...)
		return &e.Event
	default:
		p.Data = bytes.Clone(p.Data)
	}
	return &Event{}
}

// valueCost is what an argument takes beside its JSON, in bytes: many small ones take
// far more than the packet that they came in.
const valueCost = 24

// Socket is the one that the event came from.
func (e *Event) Socket() *Socket { return e.socket }

// Name is the event's name, or "" for one that came without.
func (e *Event) Name() string {
	if !e.named() {
		return ""
	}
	return e.name.String()
}

// named reports whether there is a name.
func (e *Event) named() bool { return e.name != sio.Value{} }

// is compares the name, without memory for it.
func (e *Event) is(name string) bool {
	var buf [64]byte
	if text, ok := e.name.AppendText(buf[:0]); ok {
		return string(text) == name
	}
	return e.name.String() == name
}

// Len is the number of arguments.
func (e *Event) Len() int { return len(e.args) }

// Value is the i-th argument, or null.
func (e *Event) Value(i int) sio.Value {
	if i < 0 || i >= len(e.args) {
		return sio.RawValue([]byte("null"))
	}
	return e.args[i]
}

// Values are the arguments.
func (e *Event) Values() []sio.Value { return e.args }

// Args are the arguments in the form that Emit takes: they pass on as they came.
func (e *Event) Args() []any {
	all := make([]any, len(e.args))
	for i, v := range e.args {
		all[i] = v
	}
	return all
}

// String is the i-th argument's text, if it is a string, and its JSON otherwise;
// "" where there is none.
func (e *Event) String(i int) string {
	if i < 0 || i >= len(e.args) {
		return ""
	}
	return e.args[i].String()
}

// Bytes is the i-th argument, if it is binary, and nil otherwise.
func (e *Event) Bytes(i int) []byte {
	b, _ := e.Value(i).Bytes()
	return b
}

// Bind decodes the arguments, in their order, into what the pointers point to,
// by the rules of encoding/json; binary goes to []byte. Errors are ErrNoArgument
// and encoding/json's.
func (e *Event) Bind(into ...any) error {
	for i, p := range into {
		if i >= len(e.args) {
			return ErrNoArgument
		}
		if err := e.args[i].Decode(p); err != nil {
			return fmt.Errorf("socketio: argument %d: %w", i, err)
		}
	}
	return nil
}

// NeedsAck reports whether the client waits for an acknowledgement.
func (e *Event) NeedsAck() bool { return e.hasID }

// Ack acknowledges the event. Only the first call does; further ones, and those
// for an event that wants none, return ErrAcked. Other errors are Emit's. It may
// be called after the handler has returned.
func (e *Event) Ack(args ...any) error {
	if !e.hasID || e.acked.Swap(true) {
		return ErrAcked
	}
	h := sio.Header{Type: sio.Ack, Namespace: e.socket.nsp.name, ID: e.id, HasID: true}
	return Emitter{socket: e.socket}.send(h, "", args, nil)
}

// ackError is how the error of a handler is acknowledged.
type ackError struct {
	Error string `json:"error"`
}

// receiveEvent handles an Event packet.
//
// Hot path: per event.
func (s *Socket) receiveEvent(p *sio.Packet) {
	srv := s.nsp.server
	srv.received.Add(1)
	var e *Event
	if srv.opts.Inline {
		e = &Event{}
	} else {
		e = keep(p)
	}
	e.socket, e.id, e.hasID = s, p.ID, p.HasID
	all := p.Args(e.room[:0])
	if len(all) > 0 { // else it has not even a name: it is for OnAny only, as with Node
		e.name, e.args = all[0], all[1:]
	}
	size := len(p.Data) + len(all)*valueCost
	for _, a := range p.Attachments {
		size += len(a)
	}
	s.enqueue(size, task{event: e})
}

// dispatch calls the handlers of an event.
func (s *Socket) dispatch(e *Event) {
	shared := s.nsp.handlers.Load()
	own := s.ownHandlers()
	for _, fn := range shared.any {
		fn(e)
	}
	for _, fn := range own.any {
		fn(e)
	}
	for _, fn := range own.use {
		if err := fn(e); err != nil {
			e.refuse(err)
			return
		}
	}
	if !e.named() {
		return
	}
	for i := range shared.on {
		if e.is(shared.on[i].event) {
			shared.on[i].fn(e)
		}
	}
	for i := range own.on {
		if e.is(own.on[i].event) {
			own.on[i].fn(e)
		}
	}
}

// refuse tells everybody that the event is not handled.
func (e *Event) refuse(err error) {
	e.socket.nsp.server.eventsRefused.Add(1)
	_ = e.Ack(ackError{err.Error()}) // unless nobody waits for it
	e.socket.fail(err)
}

// Registrar is who has handlers for events: a Socket, a Namespace or a Server.
type Registrar interface {
	On(event string, fn func(*Event))
}

// On handles an event whose first argument is a T, decoded by the rules of
// encoding/json; an event whose argument is none is acknowledged with {"error":
// text}, if it wants that, and not handled.
func On[T any](r Registrar, event string, fn func(*Event, T)) {
	r.On(event, func(e *Event) {
		var arg T
		if err := e.Bind(&arg); err != nil {
			e.refuse(err)
			return
		}
		fn(e, arg)
	})
}

// OnAck is On for a handler whose result acknowledges the event: the value, or
// {"error": text}.
func OnAck[T, R any](r Registrar, event string, fn func(*Event, T) (R, error)) {
	On(r, event, func(e *Event, arg T) {
		result, err := fn(e, arg)
		if err != nil {
			_ = e.Ack(ackError{err.Error()}) // unless nobody waits for it
			return
		}
		if err := e.Ack(result); err != nil && !errors.Is(err, ErrAcked) && !errors.Is(err, ErrDisconnected) {
			e.socket.fail(err)
		}
	})
}
