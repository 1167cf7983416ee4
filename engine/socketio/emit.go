package socketio

import (
	"bytes"
	"context"
	"time"

	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// keepScratch bounds the buffer that a lane keeps for packets, in bytes.
const keepScratch = 64 << 10

// firstRoom is the size of a buffer for one packet at first, in bytes.
const firstRoom = 128

// Emitter sends events to one socket, with conditions. Its methods return a
// changed copy.
type Emitter struct {
	socket       *Socket
	volatile     bool
	uncompressed bool
	timeout      time.Duration
}

// Volatile events are dropped when the client is not ready to take more.
func (s *Socket) Volatile() Emitter { return Emitter{socket: s, volatile: true} }

// Compress says whether events may be compressed; they may by default.
func (s *Socket) Compress(on bool) Emitter { return Emitter{socket: s, uncompressed: !on} }

// Timeout says how long acknowledgements are awaited; 0: for ever.
func (s *Socket) Timeout(d time.Duration) Emitter { return Emitter{socket: s, timeout: d} }

// Volatile events are dropped when the client is not ready to take more.
func (e Emitter) Volatile() Emitter { e.volatile = true; return e }

// Compress says whether events may be compressed.
func (e Emitter) Compress(on bool) Emitter { e.uncompressed = !on; return e }

// Timeout says how long acknowledgements are awaited; 0: for ever.
func (e Emitter) Timeout(d time.Duration) Emitter { e.timeout = d; return e }

// others is Socket.others with the same conditions.
func (e Emitter) others() Broadcast {
	b := e.socket.others()
	b.volatile, b.uncompressed, b.timeout = e.volatile, e.uncompressed, e.timeout
	return b
}

// To is Socket.To with the same conditions.
func (e Emitter) To(rooms ...string) *Broadcast { return e.others().To(rooms...) }

// In is To.
func (e Emitter) In(rooms ...string) *Broadcast { return e.To(rooms...) }

// Except is Socket.Except with the same conditions.
func (e Emitter) Except(rooms ...string) *Broadcast { return e.others().Except(rooms...) }

// Broadcast is Socket.Broadcast with the same conditions.
func (e Emitter) Broadcast() *Broadcast { b := e.others(); return &b }

// Local is Socket.Local with the same conditions.
func (e Emitter) Local() *Broadcast { return e.others().Local() }

// Emit sends an event to the client. Arguments are those of sio.AppendPacket.
// Errors are ErrReserved, ErrDisconnected, ErrAttachments, package sio's, and
// on a loop ErrOverloaded.
func (s *Socket) Emit(event string, args ...any) error {
	return Emitter{socket: s}.Emit(event, args...)
}

// EmitWithAck sends an event and waits for the client's acknowledgement, whose
// arguments it returns. The error is ErrDisconnected, ctx's or one of Emit's. It
// blocks: on a loop (an inline handler) it returns ErrOnLoop.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) ([]sio.Value, error) {
	return Emitter{socket: s}.EmitWithAck(ctx, event, args...)
}

// EmitFunc sends an event and has fn called once with the acknowledgement's
// arguments, in the order of the socket's events. An error means that nothing
// was sent, and fn is not called.
func (s *Socket) EmitFunc(fn func(args []sio.Value, err error), event string, args ...any) error {
	return Emitter{socket: s}.EmitFunc(fn, event, args...)
}

// Emit is Socket.Emit.
func (e Emitter) Emit(event string, args ...any) error {
	s := e.socket
	if s.nsp.store != nil && !e.volatile && s.pid != "" {
		return e.emitStored(event, args)
	}
	return e.send(sio.Header{Type: sio.Event, Namespace: s.nsp.name}, event, args, nil)
}

// EmitWithAck is Socket.EmitWithAck; after Timeout the error is ErrTimeout.
func (e Emitter) EmitWithAck(ctx context.Context, event string, args ...any) ([]sio.Value, error) {
	if e.socket.nsp.server.onLoop() {
		return nil, ErrOnLoop
	}
	type outcome struct {
		args []sio.Value
		err  error
	}
	done := make(chan outcome, 1)
	id, err := e.ask(event, args, func(args []sio.Value, err error) { done <- outcome{cloneAll(args), err} })
	if err != nil {
		return nil, err
	}
	if e.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, e.timeout, ErrTimeout)
		defer cancel()
	}
	select {
	case x := <-done:
		return x.args, x.err
	case <-ctx.Done():
		s := e.socket
		s.lane.mustPost(0, func() { s.forgetAck(id) })
		return nil, context.Cause(ctx)
	}
}

// EmitFunc is Socket.EmitFunc; after Timeout fn gets ErrTimeout.
func (e Emitter) EmitFunc(fn func(args []sio.Value, err error), event string, args ...any) error {
	s := e.socket
	var timer *time.Timer
	answer := func(args []sio.Value, err error) {
		if timer != nil {
			timer.Stop()
		}
		args = cloneAll(args)
		s.enqueue(0, task{run: func() { fn(args, err) }})
	}
	if e.timeout <= 0 {
		_, err := e.ask(event, args, answer)
		return err
	}
	id := s.nsp.nextAckID()
	ready := make(chan struct{})
	timer = time.AfterFunc(e.timeout, func() {
		<-ready
		s.lane.mustPost(0, func() {
			if s.forgetAck(id) {
				answer(nil, ErrTimeout)
			}
		})
	})
	err := e.askAs(id, event, args, answer)
	if err != nil {
		timer.Stop()
	}
	close(ready)
	return err
}

func (e Emitter) ask(event string, args []any, fn func([]sio.Value, error)) (uint64, error) {
	id := e.socket.nsp.nextAckID()
	return id, e.askAs(id, event, args, fn)
}

func (e Emitter) askAs(id uint64, event string, args []any, fn func([]sio.Value, error)) error {
	h := sio.Header{Type: sio.Event, Namespace: e.socket.nsp.name, ID: id, HasID: true}
	return e.send(h, event, args, fn)
}

// send encodes and sends an Event (an Ack, when event is ""). fn awaits its
// acknowledgement; nil: none is.
//
// Hot path: per packet.
func (e Emitter) send(h sio.Header, event string, args []any, fn func([]sio.Value, error)) error {
	s := e.socket
	ln := s.lane
	if s.over.Load() {
		return ErrDisconnected
	}
	post := ln.post
	if h.Type == sio.Ack {
		post = ln.overtake // what the client waits for does not wait for the log
	}
	direct := ln.loop.Direct() && (h.Type == sio.Ack || !s.nsp.queue.waits())
	var buf []byte
	var argv []any
	if direct {
		buf, argv = ln.packet[:0], ln.argv[:0]
		ln.packet, ln.argv = nil, nil
	} else {
		buf, argv = make([]byte, 0, firstRoom), make([]any, 0, 1+len(args))
	}
	if h.Type == sio.Event {
		argv = append(argv, event)
	}
	argv = append(argv, args...)
	u, err := s.nsp.server.encode(buf, h, argv)
	if direct {
		clear(argv)
		ln.argv = argv[:0]
	}
	if err != nil {
		return err
	}
	if direct {
		e.sendOnLoop(&u, h.ID, fn)
		if cap(u.head) <= keepScratch {
			ln.packet = u.head[:0]
		}
		return nil
	}
	return post(u.size(), func() { e.sendOnLoop(&u, h.ID, fn) })
}

// sendOnLoop sends an encoded packet.
func (e Emitter) sendOnLoop(u *unit, id uint64, fn func([]sio.Value, error)) {
	s := e.socket
	session := s.client.session
	switch {
	case s.over.Load():
		if fn != nil {
			fn(nil, ErrDisconnected)
		}
		return
	case fn != nil:
		s.awaitAck(id, fn) // also for what is dropped: the timeout or the end tells
	}
	if e.volatile && !session.Writable() {
		s.nsp.server.volatileDropped.Add(1)
		return
	}
	s.nsp.server.sent.Add(1)
	if len(u.attachments) == 0 && !u.binary && !e.uncompressed {
		session.SendText(u.head)
		return
	}
	session.SendUnit(u.head, u.binary, u.attachments, !e.uncompressed)
}

// deliver sends a prepared packet, unless the socket has ended. Call on the
// loop.
//
// Hot path: per broadcast and socket.
func (s *Socket) deliver(p *engineio.Prepared, volatile bool) {
	switch session := s.client.session; {
	case s.over.Load():
	case volatile && !session.Writable():
		s.nsp.server.volatileDropped.Add(1)
	default:
		session.SendPrepared(p)
	}
}

// unit is an encoded packet: what is sent or dropped as one.
type unit struct {
	head        []byte
	binary      bool // head is, with the msgpack parser
	attachments [][]byte
}

func (u *unit) size() int {
	n := len(u.head)
	for _, a := range u.attachments {
		n += len(a)
	}
	return n
}

// encode encodes an Event or Ack behind buf.
func (srv *Server) encode(buf []byte, h sio.Header, argv []any) (unit, error) {
	if srv.opts.Parser == Msgpack {
		b, err := sio.AppendMsgpackPacket(buf, h, argv)
		return unit{head: b, binary: true}, err
	}
	b, attachments, err := sio.AppendPacket(append(buf, '4'), h, argv)
	if err == nil && len(attachments) > srv.opts.MaxAttachments {
		err = ErrAttachments
	}
	return unit{b, false, own(attachments)}, err
}

// encode prepares an Event for many sockets.
func (n *Namespace) encode(h sio.Header, argv []any, compress bool) (*engineio.Prepared, error) {
	u, err := n.server.encode(nil, h, argv)
	if err != nil {
		return nil, err
	}
	return engineio.Prepare(u.head, u.binary, u.attachments, compress), nil
}

// encodeArgs encodes arguments for more than one packet.
func (n *Namespace) encodeArgs(args []any) (sio.Payload, error) {
	p, err := sio.EncodePayload(args)
	if err != nil {
		return p, err
	}
	if n.server.opts.Parser == JSON && len(p.Attachments) > n.server.opts.MaxAttachments {
		return p, ErrAttachments
	}
	p.Attachments = own(p.Attachments)
	return p, nil
}

// own copies attachments, which are the caller's to change.
func own(attachments [][]byte) [][]byte {
	for i, a := range attachments {
		attachments[i] = bytes.Clone(a)
	}
	return attachments
}

// encodePayload is encode for arguments that are encoded already.
func (n *Namespace) encodePayload(h sio.Header, p sio.Payload, compress bool) (*engineio.Prepared, error) {
	if n.server.opts.Parser == Msgpack {
		b, err := sio.AppendMsgpackPayload(nil, h, p)
		if err != nil {
			return nil, err
		}
		return engineio.Prepare(b, true, nil, compress), nil
	}
	if len(p.Attachments) > n.server.opts.MaxAttachments {
		return nil, ErrAttachments
	}
	b, err := sio.AppendPayload([]byte{'4'}, h, p)
	if err != nil {
		return nil, err
	}
	return engineio.Prepare(b, false, p.Attachments, compress), nil
}

func cloneAll(args []sio.Value) []sio.Value {
	all := make([]sio.Value, len(args))
	for i, v := range args {
		all[i] = v.Clone()
	}
	return all
}
