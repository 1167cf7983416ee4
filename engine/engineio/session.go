package engineio

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"github.com/fe4bcecb/wsd/codec/eio"
	"github.com/fe4bcecb/wsd/engine"
)

// Session is one client's connection, whatever transport carries it.
//
// ID, Loop, Protocol, Request and UserData are safe from any goroutine, the last
// as long as nobody calls SetUserData; the rest is to be called on the loop.
// After CloseSession a Session may be kept: what is sent is dropped.
type Session struct {
	lane    *lane
	sid     string
	request *Request
	user    any

	conn *engine.Conn // the WebSocket; nil while polling
	poll *poll        // nil once a WebSocket has taken over
	at   int32        // in lane.sessions

	tag      any
	revision uint8
	base64   bool // binary is to be text
	closed   bool
	begun    bool // the handler knows of it
	pinged   bool // a pong is due
	extended bool // its time was extended
	// onSocket is conn != nil, for those who ask from elsewhere.
	onSocket atomic.Bool
}

// ID is the session's id: whoever knows it has the session.
func (s *Session) ID() string { return s.sid }

// Loop is the loop that serves the session for life.
func (s *Session) Loop() *engine.Loop { return s.lane.loop }

// Protocol is the revision that the client speaks, 4 or 3.
func (s *Session) Protocol() int { return int(s.revision) }

// Request is the one that began the session.
func (s *Session) Request() *Request { return s.request }

// UserData is what SetUserData attached.
func (s *Session) UserData() any { return s.user }

// SetUserData attaches a value. Call on the session's loop.
func (s *Session) SetUserData(v any) { s.user = v }

// Tag is what SetTag attached: a value of whoever made the Options, where UserData
// is the Handler's. Both are to be called on the session's loop.
func (s *Session) Tag() any { return s.tag }

// SetTag attaches a value beside UserData.
func (s *Session) SetTag(v any) { s.tag = v }

// Transport is Polling or WebSocket. Safe from any goroutine.
func (s *Session) Transport() string {
	if s.onSocket.Load() {
		return WebSocket
	}
	return Polling
}

// Closed reports whether the session has ended.
func (s *Session) Closed() bool { return s.closed }

// open begins a session on its loop.
func (s *Session) open() {
	srv := s.lane.srv
	s.lane.opened.Add(1)
	srv.register(s)
	s.lane.add(s)
	h := srv.openPacket(s.sid)
	if s.conn != nil {
		s.onSocket.Store(true)
		s.lane.sockets.Add(1)
	} else if !srv.opts.DisableUpgrades && srv.opts.serves(WebSocket) {
		h.Upgrades = []string{WebSocket}
	}
	var buf [256]byte
	s.SendText(eio.AppendHandshake(buf[:0], &h))
	s.heard()
	if s.poll != nil {
		s.flushPoll() // the handshake's answer is the open packet alone
	}
	s.guard(func() {
		if srv.opts.Opened != nil {
			srv.opts.Opened(s)
		}
		if !s.closed {
			s.begun = true
			srv.handler.OpenSession(s)
		}
	})
}

// guard calls a handler outside of a WebSocket's callback.
func (s *Session) guard(fn func()) {
	defer func() {
		if v := recover(); v != nil {
			s.panicked(v)
		}
	}()
	fn()
}

// notePanic counts and logs a handler's panic, with its stack.
func (s *Session) notePanic(v any) {
	s.lane.panics.Add(1)
	s.lane.srv.opts.Logger.Error("a handler panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
}

// panicked ends the session over a handler's panic.
func (s *Session) panicked(v any) {
	s.notePanic(v)
	s.end(TransportError, "a handler panicked")
}

// heard restarts the heartbeat: in revision 4 the server's next ping, in
// revision 3 the time until the client's.
func (s *Session) heard() {
	o := &s.lane.srv.opts
	s.pinged, s.extended = false, false
	wait := o.PingInterval
	if s.revision == 3 {
		wait += o.PingTimeout
	}
	s.lane.due[s.at] = s.lane.after(wait)
}

// noted takes note of a packet. engine.io 6.6.10: the first that comes while a
// pong is due extends its time, once.
func (s *Session) noted() {
	switch {
	case s.closed:
	case s.revision == 3:
		s.heard()
	case s.pinged && !s.extended:
		s.extended = true
		s.lane.due[s.at] = s.lane.after(s.lane.srv.opts.PingTimeout)
	}
}

// timedOut pings the client, or gives it up.
func (s *Session) timedOut() {
	if s.revision == 3 || s.pinged {
		s.end(PingTimeout, "")
		return
	}
	s.pinged = true
	s.lane.times[s.at].pinged = s.lane.micros()
	s.lane.due[s.at] = s.lane.after(s.lane.srv.opts.PingTimeout)
	s.SendText(pingPacket)
}

// receive handles a packet of either transport. It returns false when the
// session has ended over it.
//
// Hot path: per message.
func (s *Session) receive(p eio.Packet) bool {
	switch p.Type {
	case eio.Message:
		s.noted()
		s.lane.received.Add(1)
		s.lane.srv.handler.Message(s, p.Data, p.Binary)
	case eio.Pong:
		if s.revision == 3 {
			s.end(TransportError, wrongHeartbeat)
			break
		}
		if s.pinged {
			s.lane.timePong(s)
		}
		s.heard()
	case eio.Ping:
		if s.revision == 4 {
			s.end(TransportError, wrongHeartbeat)
			break
		}
		s.heard()
		s.SendText(pongPacket)
	case eio.Close:
		if s.conn == nil {
			s.closedByPoller()
		}
	case eio.Open, eio.Upgrade, eio.Noop:
		s.noted()
	}
	return !s.closed
}

// wrongHeartbeat describes a ping or pong that is not the client's to send.
const wrongHeartbeat = "invalid heartbeat direction"

var (
	pingPacket = []byte("2")
	pongPacket = []byte("3")
)

// SendText sends a text message, which begins with its type '4'. It is copied.
//
// Hot path: per message.
func (s *Session) SendText(packet []byte) { s.sendCopy(packet, false, true) }

// SendBinary sends a binary message. It is copied.
func (s *Session) SendBinary(data []byte) { s.sendCopy(data, true, true) }

// SendUnit sends a message and the binary messages that belong to it. All are
// copied. See Prepare.
//
// Hot path: per message.
func (s *Session) SendUnit(head []byte, binary bool, attachments [][]byte, compress bool) {
	s.sendCopy(head, binary, compress)
	for _, a := range attachments {
		s.sendCopy(a, true, compress)
	}
}

func (s *Session) sendCopy(data []byte, binary, compress bool) {
	switch {
	case s.conn != nil:
		s.sendFrame(data, binary, compress)
	case !s.closed:
		s.enqueue(item{bytes.Clone(data), binary, compress})
	}
}

// sendFrame sends a WebSocket message.
func (s *Session) sendFrame(data []byte, binary, compress bool) {
	op := engine.Text
	if binary {
		data, op = s.form().encode(data)
	}
	if compress {
		send(s.conn, data, op)
		return
	}
	s.conn.CountSent(op, s.conn.SendUncompressed(data, op))
}

// send sends a message on a WebSocket of the server, and counts it.
func send(ws *engine.Conn, data []byte, op engine.OpCode) { ws.CountSent(op, ws.Send(data, op)) }

// form is how the client gets binary messages on a WebSocket.
func (s *Session) form() form {
	switch {
	case s.base64 && s.revision == 3:
		return formBase64V3
	case s.base64:
		return formBase64
	case s.revision == 3:
		return formRevision3
	}
	return formBinary
}

// SendPrepared sends a message that was prepared for many sessions.
//
// Hot path: per broadcast and session.
func (s *Session) SendPrepared(p *Prepared) {
	if s.conn != nil {
		for _, m := range p.messages(s.form()) {
			s.conn.CountSent(m.Op(), s.conn.SendPrepared(m))
		}
		return
	}
	s.enqueue(item{p.head, p.binary, p.compress})
	for _, a := range p.attached {
		s.enqueue(item{a, true, p.compress})
	}
}

// Writable reports whether what is sent now leaves at once: the condition of
// volatile messages.
func (s *Session) Writable() bool {
	switch {
	case s.closed:
		return false
	case s.conn != nil:
		return s.conn.Writable()
	}
	return s.poll.get != nil && len(s.poll.queue) == 0
}

// Buffered is how many bytes wait to be sent.
func (s *Session) Buffered() int {
	switch {
	case s.conn != nil:
		return s.conn.BufferedAmount()
	case s.poll != nil:
		return s.poll.bytes
	}
	return 0
}

// Close ends the session for a reason of the server's. What was sent before
// still reaches the client, and then the end does.
func (s *Session) Close(reason Reason) { s.close(silently, reason) }

// CloseWith is Close with a WebSocket's close code and reason, which pollers do
// not see.
func (s *Session) CloseWith(code engine.StatusCode, text string, reason Reason) {
	s.close(ending{code, text}, reason)
}

func (s *Session) close(e ending, reason Reason) {
	if s.closed {
		return
	}
	if s.conn != nil {
		hangUp(s.conn, e)
	}
	s.ended(reason, "")
	if s.poll != nil {
		s.retire(e)
		return
	}
	s.lane.srv.unregister(s)
}

// end is Close for a fault: what waits is not worth waiting for.
func (s *Session) end(reason Reason, description string) {
	if s.closed {
		return
	}
	if s.conn != nil {
		hangUp(s.conn, silently)
	} else {
		s.abortPost()
	}
	s.ended(reason, description)
	if s.poll != nil {
		s.bury()
		return
	}
	s.lane.srv.unregister(s)
}

// ended is what all ends have in common.
func (s *Session) ended(reason Reason, description string) {
	s.closed = true
	s.lane.timeLife(s)
	s.lane.remove(s)
	s.lane.srv.sessions.Add(-1)
	s.lane.countClosed(reason)
	if s.conn != nil {
		s.lane.sockets.Add(-1)
	}
	defer func() {
		if v := recover(); v != nil {
			s.notePanic(v)
		}
	}()
	if s.lane.srv.opts.Ended != nil {
		s.lane.srv.opts.Ended(s)
	}
	if s.begun {
		s.lane.srv.handler.CloseSession(s, reason, description)
	}
}
