package main

import (
	"net/http"
	"net/netip"

	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/engine/socketio"
	"github.com/fe4bcecb/wsd/internal/limit"
)

// sioGuard holds Socket.IO's sessions to the limits, by polling and by WebSocket.
type sioGuard struct {
	*access
	path string
}

// sioPeer is the tag of a session.
type sioPeer struct {
	from  netip.Addr
	meter limit.Meter
	away  bool // one too many of its address
}

// Refusals of ours; Engine.IO's own are its.
var (
	refuseRate = &engineio.RequestError{Status: http.StatusTooManyRequests, Code: 4, Message: textRate}
	refuseIP   = &engineio.RequestError{Status: http.StatusTooManyRequests, Code: 4, Message: textPerIP}
	refuseWant = &engineio.RequestError{Status: http.StatusServiceUnavailable, Code: 4, Message: textMemory}
)

// codeUnknownSID is Engine.IO's code for a request of a session that there is none
// of: nobody is refused a connection.
const codeUnknownSID = 1

// install adds what guards sessions to the options.
func (g *sioGuard) install(opts *socketio.Options) {
	opts.Engine.Client, opts.Engine.Limit = g.trust.client, g.limit
	opts.Engine.Opened, opts.Engine.Ended = g.opened, g.ended
	opts.Engine.Refused = g.refused
	opts.Admit = g.packet
}

// limit decides about a handshake.
func (g *sioGuard) limit(r *engineio.Request) *engineio.RequestError {
	why, ok := g.limiter.handshake(addressOf(r))
	switch {
	case ok:
		return nil
	case why == reasonIP:
		return refuseIP
	case why == reasonMemory:
		return refuseWant
	}
	return refuseRate
}

// opened counts a session for its address. One whose address has become full since
// it was allowed is closed.
func (g *sioGuard) opened(s *engineio.Session) {
	p := &sioPeer{from: addressOf(s.Request())}
	s.SetTag(p)
	if !g.limiter.enter(p.from) {
		p.away = true
		g.refusals.add(reasonIP, g.path, s.Request().RemoteAddr(), int(closePolicy), textPerIP)
		s.CloseWith(closePolicy, textPerIP, engineio.ForcedClose)
	}
}

func (g *sioGuard) ended(s *engineio.Session) {
	if p, ok := s.Tag().(*sioPeer); ok && !p.away {
		g.limiter.leave(p.from)
	}
}

// refused notes what Engine.IO has answered.
func (g *sioGuard) refused(r *engineio.Request, e *engineio.RequestError) {
	why := reasonBadRequest
	switch {
	case e == refuseRate:
		why = reasonRate
	case e == refuseIP:
		why = reasonIP
	case e == refuseWant:
		why = reasonMemory
	case e.Status == http.StatusForbidden:
		why = reasonOrigin
	case e.Status == http.StatusServiceUnavailable && e.Message == textAtCapacity:
		why = reasonCapacity
	case e.Status == http.StatusServiceUnavailable:
		why = reasonDraining
	case e.Code == codeUnknownSID:
		return
	}
	remote := addressOf(r)
	g.refusals.add(why, g.path, caller{addr: remote}.text(), e.Status, e.Message)
}

// packet holds a session to the rate of messages. Only events can be dropped: without
// the rest a client would wait for ever.
func (g *sioGuard) packet(s *engineio.Session, p *sio.Packet) bool {
	peer, ok := s.Tag().(*sioPeer)
	if !ok {
		return true
	}
	switch g.limiter.message(&peer.meter) {
	case pass:
		return true
	case drop:
		return p.Type != sio.Event
	}
	s.CloseWith(closePolicy, textMessages, engineio.ForcedClose)
	return false
}
