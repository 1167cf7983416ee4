package engineio

import (
	"fmt"
	"sync/atomic"

	"github.com/fe4bcecb/wsd/codec/eio"
	"github.com/fe4bcecb/wsd/engine"
)

// opened is a WebSocket's user data until a session has it.
type opened struct {
	request *Request
	params  params
	session *Session // that it may take over from polling
	conn    *engine.Conn
	full    bool // to be closed for MaxSessions
	strange bool // a polling request that came as a WebSocket: to be closed
	// claimed is set by whoever answers for its place among the sessions: openConn,
	// or decide if it comes to nothing.
	claimed atomic.Bool
}

// upgrade decides about a WebSocket handshake.
func (srv *Server) upgrade(u *engine.Handshake) {
	req := requestOfHandshake(u).seenBy(srv.opts.Client)
	o := &opened{request: req, params: req.params()}
	s, refused := srv.verify(&o.params, "GET", true)
	if refused == nil && s != nil && !srv.originAllowed(req) {
		refused = refuseForbidden
	}
	switch {
	case refused != nil:
		if !srv.passOnUpgrade(u, &o.params, refused) {
			srv.reject(u, o.request, refused)
		}
	case o.params.transport != WebSocket:
		o.strange = true
		srv.accept(u, o)
	case s != nil:
		o.session = s
		srv.accept(u, o)
	case srv.opts.AllowRequest == nil:
		srv.decide(u, o)
	default:
		u.Defer()
		go srv.decide(u, o)
	}
}

// decide answers the handshake of a new session.
func (srv *Server) decide(u *engine.Handshake, o *opened) {
	refused := srv.allowSafely(o.request)
	switch {
	case refused != nil:
	case o.params.revision() == 3 && !srv.opts.AllowEIO3:
		refused = refuseVersion
	case srv.closing.Load():
		refused = refuseClosing
	case !srv.admit():
		if srv.opts.AtCapacity == CloseAfterOpen {
			o.full = true
			break
		}
		refused = refuseCapacity
	}
	if refused != nil {
		srv.reject(u, o.request, refused)
		return
	}
	srv.accept(u, o)
	// Not opened: the client has left, or the App is full or shutting down.
	if !o.full && o.claimed.CompareAndSwap(false, true) {
		srv.sessions.Add(-1)
	}
}

// allowSafely is allow on a goroutine of the server's own, or a loop.
func (srv *Server) allowSafely(req *Request) (refused *RequestError) {
	defer func() {
		if v := recover(); v != nil {
			srv.opts.Logger.Error("AllowRequest panicked", "panic", fmt.Sprint(v))
			refused = refuseRequest
		}
	}()
	return srv.allow(req)
}

// reject refuses as Node does: 400 whatever the reason, and its message as text.
// There are no CORS fields: pages may not read it anyway.
func (srv *Server) reject(u *engine.Handshake, req *Request, e *RequestError) {
	srv.tellRefused(req, e)
	status := 400
	fields := []engine.HeaderField{{Name: "Content-type", Value: "text/html"}}
	if e.comesBack() {
		status = e.Status
		fields = append(fields, engine.HeaderField{Name: "Retry-After", Value: retryAfter()})
	}
	// It fails when the client has gone.
	_ = u.Reject(status, e.Message, fields...)
}

// accept answers 101.
func (srv *Server) accept(u *engine.Handshake, o *opened) {
	a := engine.Accept{UserData: o, Header: srv.cors.Load().fields(o.request)}
	if o.session != nil {
		a.Loop = o.session.Loop()
	}
	for _, c := range srv.cookies(o.request, "") {
		a.Header = append(a.Header, engine.HeaderField{Name: "Set-Cookie", Value: c})
	}
	// It fails when the client has gone.
	_ = u.Accept(a)
}

// openConn begins a session, or the attempt to take one over.
func (srv *Server) openConn(ws *engine.Conn) {
	o := ws.UserData().(*opened)
	o.conn = ws
	switch {
	case o.strange:
		o.hangUp(silently)
	case o.session != nil:
		o.session.probe(o)
	case o.full:
		srv.turnAway(o, refuseCapacity)
	case !o.claimed.CompareAndSwap(false, true):
		o.hangUp(silently) // decide has given it up
	case srv.closing.Load():
		srv.sessions.Add(-1)
		srv.turnAway(o, refuseClosing)
	default:
		s := &Session{
			lane:     srv.laneOf(ws.Loop()),
			sid:      srv.newSID(),
			request:  o.request,
			conn:     ws,
			revision: uint8(o.params.revision()),
			base64:   o.params.b64 != "",
		}
		ws.SetUserData(s)
		s.open()
	}
}

// turnAway closes a session that is one too many behind its open packet: closed
// without one, a stock client would wait for it.
func (srv *Server) turnAway(o *opened, e *RequestError) {
	srv.tellRefused(o.request, e)
	h := srv.openPacket(srv.newSID())
	send(o.conn, eio.AppendHandshake(nil, &h), engine.Text)
	o.hangUp(ending{1008, e.Message})
}

// ending is what a WebSocket is closed with.
type ending struct {
	code engine.StatusCode
	text string
}

// silently is how Node closes: an empty Close frame.
var silently = ending{1005, ""}

// hangUp closes a WebSocket that is no session's.
func (o *opened) hangUp(e ending) { hangUp(o.conn, e) }

// hangUp closes a WebSocket, from which nothing is to be heard any more.
func hangUp(ws *engine.Conn, e ending) {
	ws.SetUserData(nil)
	ws.Close(e.code, e.text)
}

// message handles a WebSocket message.
//
// Hot path: per message.
func (srv *Server) message(ws *engine.Conn, msg []byte, op engine.OpCode) {
	ws.CountReceived(op)
	switch u := ws.UserData().(type) {
	case *Session:
		u.receiveFrame(msg, op)
	case *opened:
		u.session.probeSaid(u, msg, op)
	}
}

// receiveFrame handles a WebSocket message of the session.
func (s *Session) receiveFrame(msg []byte, op engine.OpCode) {
	var p eio.Packet
	var err error
	switch {
	case op == engine.Text && s.revision == 4:
		p, err = eio.ParseText(msg)
	case op == engine.Text:
		p, err = eio.ParseTextV3(msg)
	case s.revision == 4:
		p = eio.Packet{Type: eio.Message, Binary: true, Data: msg}
	default:
		p, err = eio.ParseBinaryV3(msg)
	}
	if err != nil {
		s.end(ParseError, err.Error())
		return
	}
	s.receive(p)
}

// tooSlow is what the engine says when it closes for MaxBackpressure.
const tooSlow = "too slow"

// closeConn hears that a WebSocket has ended by itself or by its client.
func (srv *Server) closeConn(ws *engine.Conn, code engine.StatusCode, text string) {
	switch u := ws.UserData().(type) {
	case *Session:
		reason := TransportClose
		switch code {
		case 1002, 1003, 1007, 1009, 1011:
			reason = TransportError
		case 1008:
			if text == tooSlow {
				u.lane.slow.Add(1)
				reason = TransportError
			}
		}
		u.ended(reason, text)
		srv.unregister(u)
	case *opened:
		if s := u.session; s != nil && s.poll != nil && s.poll.probe == u {
			s.poll.probe, s.poll.probed = nil, false
		}
	}
}
