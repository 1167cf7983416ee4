package main

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/limit"
	"github.com/fe4bcecb/wsd/internal/pubsub"
)

// textExpired is what raw connections are closed with when their token ends.
const textExpired = "token expired"

// rawClient is the user data of every connection of admission's routes. It belongs
// to the connection's loop.
type rawClient struct {
	who  *account // nil: anybody
	data any      // the route's own

	from   netip.Addr // of the client; the zero value where there is none
	meter  limit.Meter
	member *member     // in the index of users; nil: nobody's
	timer  *time.Timer // until the token expires; nil: none
	away   bool        // closed as soon as it is open, or it has ended
}

// welcome completes a handshake of admission's routes. A client that brings its token
// as a subprotocol gets one of its others as an answer, if the route has chosen none:
// browsers insist on one.
func (s *server) welcome(u *engine.Handshake, who *account, data any, a engine.Accept) {
	a.UserData = &rawClient{who: who, data: data, from: s.trust.ofHandshake(u).addr}
	if a.Subprotocol == "" {
		a.Subprotocol = besideToken(u.Protocols())
	}
	_ = u.Accept(a) // the client may be gone
}

// isToken reports whether a subprotocol is a token.
func isToken(offer string) bool { return strings.HasPrefix(offer, tokenProtocol) }

// besideToken is firstOffer where there is a token, else "".
func besideToken(offers []string) string {
	if !slices.ContainsFunc(offers, isToken) {
		return ""
	}
	return firstOffer(offers)
}

// firstOffer is the first that is no token, or a token if that is all; "" without
// offers.
func firstOffer(offers []string) string {
	for _, name := range offers {
		if !isToken(name) {
			return name
		}
	}
	if len(offers) > 0 {
		return offers[0]
	}
	return ""
}

// rawClientOf is who sits on a connection of admission's routes.
func rawClientOf(ws *engine.Conn) *rawClient { return ws.UserData().(*rawClient) }

// routeOf names the route of a handshake, for logs.
func routeOf(u *engine.Handshake) string { return firstSegment(u.Path()) }

// firstSegment is that of a path: what is behind it may be long, or nobody's business.
func firstSegment(path string) string {
	if path == "" {
		return ""
	}
	name, _, _ := strings.Cut(path[1:], "/")
	return "/" + name
}

// admission puts limits and, where tokens are wanted, the token before a route's own
// decision about a handshake, which is accept: it calls welcome or reject. who is nil
// where anybody may connect. Messages beyond the rate do not reach the route.
func (s *server) admission(b engine.Behavior, accept func(u *engine.Handshake, who *account)) engine.Behavior {
	b.Upgrade = func(u *engine.Handshake) {
		why, ok := s.limiter.handshake(s.trust.ofHandshake(u).addr)
		switch {
		case !ok:
			status, text := refusalOf(why)
			s.reject(u, why, status, text, engine.HeaderField{Name: "Retry-After", Value: retryAfter()})
		case s.full() && s.sioFlags.AtCapacity == "http503":
			s.reject(u, reasonCapacity, http.StatusServiceUnavailable, textAtCapacity, engine.HeaderField{Name: "Retry-After", Value: retryAfter()})
		case s.full():
			_ = u.Accept(engine.Accept{ // the client may be gone
				UserData:    &rawClient{away: true, from: s.trust.ofHandshake(u).addr},
				Subprotocol: firstOffer(u.Protocols()),
			})
		case !s.identity.required() && !s.identity.brings(rawCredentials(u)):
			accept(u, nil)
		default:
			u.Defer()
			go s.identify(u, accept)
		}
	}
	open, message, closed := b.Open, b.Message, b.Close
	b.Open = func(ws *engine.Conn) {
		if s.enter(ws) && open != nil {
			open(ws)
		}
	}
	b.Message = func(ws *engine.Conn, msg []byte, op engine.OpCode) {
		switch s.limiter.message(&rawClientOf(ws).meter) {
		case pass:
			message(ws, msg, op)
		case closeIt:
			ws.Close(closePolicy, textMessages)
		}
	}
	b.Close = func(ws *engine.Conn, code engine.StatusCode, reason string) {
		if s.leave(ws) && closed != nil {
			closed(ws, code, reason)
		}
	}
	return b
}

// enter counts a raw connection that is open, or closes it. Call on the loop.
func (s *server) enter(ws *engine.Conn) bool {
	c := rawClientOf(ws)
	if c.away {
		s.sendAway(ws, c, reasonCapacity, textAtCapacity)
		return false
	}
	why, ok := s.admit(c.from)
	c.away = !ok
	switch {
	case ok:
		s.attach(ws, c)
		return true
	case why == reasonCapacity:
		s.sendAway(ws, c, why, textAtCapacity)
	default:
		s.sendAway(ws, c, why, textPerIP)
	}
	return false
}

// admit counts a raw connection of an address, if there is room since its handshake was
// begun. Safe from any goroutine.
func (s *server) admit(from netip.Addr) (why reason, ok bool) {
	// Counted first: of several that come at once none may think that it is the last.
	s.raw.Add(1)
	if why = reasonCapacity; !s.crowded() {
		if s.limiter.enter(from) {
			return 0, true
		}
		why = reasonIP
	}
	s.raw.Add(-1)
	return why, false
}

// sendAway closes a connection that is one too many.
func (s *server) sendAway(ws *engine.Conn, c *rawClient, why reason, text string) {
	s.refusals.add(why, firstSegment(ws.Info().Route), caller{addr: c.from}.text(), int(closePolicy), text)
	ws.Close(closePolicy, text)
}

// leave ends what enter began.
func (s *server) leave(ws *engine.Conn) bool {
	c := rawClientOf(ws)
	if c.away {
		return false
	}
	s.detach(c)
	c.away = true
	s.limiter.leave(c.from)
	s.raw.Add(-1)
	return true
}

// attach has a raw connection end with its token, and by its user's name. Call on the
// loop.
func (s *server) attach(ws *engine.Conn, c *rawClient) {
	if c.who == nil {
		return
	}
	if who := c.who; !who.expires.IsZero() {
		c.timer = time.AfterFunc(time.Until(who.expires), func() {
			ws.Loop().Post(func() {
				if c.who != who || c.away {
					return // it was renewed, or has ended
				}
				s.expired.Add(1)
				if speaker, ok := c.data.(*pubsub.Client); ok {
					speaker.Expire()
				}
				ws.Close(closePolicy, textExpired)
			})
		})
	}
	if c.who.User != "" {
		c.member = &member{user: c.who.User, issued: c.who.issued, end: func(why ending) {
			ws.Loop().Post(func() { ws.Close(closePolicy, why.String()) })
		}}
		s.users.add(c.member)
		s.revoked.settled(c.member)
	}
}

// detach ends that.
func (s *server) detach(c *rawClient) {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if c.member != nil {
		s.users.remove(c.member)
		c.member = nil
	}
}

// renew goes on with the account of a fresh token; see identifier.reauthenticate.
// Call on the connection's loop.
func (s *server) renew(ws *engine.Conn, who *account) {
	c, ok := ws.UserData().(*rawClient)
	if !ok || c.away {
		return
	}
	s.detach(c)
	c.who = who
	s.attach(ws, c)
}

// identify decides about a handshake that needs a token, or brings one.
func (s *server) identify(u *engine.Handshake, accept func(*engine.Handshake, *account)) {
	who, err := s.identity.identify(context.Background(), rawCredentials(u))
	var why *refused
	switch {
	case err == nil:
		accept(u, who)
	case !errors.As(err, &why):
		s.reject(u, reasonAuth, http.StatusInternalServerError, "try again")
	case why.code == codeUnavailable:
		s.reject(u, reasonAuth, http.StatusServiceUnavailable, why.message, engine.HeaderField{Name: "Retry-After", Value: retryAfter()})
	case why.code == codeBadRequest:
		s.reject(u, reasonBadRequest, http.StatusBadRequest, why.message)
	default:
		s.reject(u, reasonAuth, http.StatusUnauthorized, why.message, engine.HeaderField{Name: "WWW-Authenticate", Value: "Bearer"})
	}
}

// rawCredentials are those of a handshake.
func rawCredentials(u *engine.Handshake) *credentials {
	return &credentials{
		auth:      sio.RawValue([]byte("{}")),
		protocols: u.Protocols(),
		header:    u.Header,
		cookies: func() []*http.Cookie {
			return (&http.Request{Header: http.Header{"Cookie": {u.Header("Cookie")}}}).Cookies()
		},
		query: func() url.Values { return u.QueryValues() },
	}
}

// reject refuses a handshake of admission's routes, whose client may be gone.
func (s *server) reject(u *engine.Handshake, why reason, status int, text string, fields ...engine.HeaderField) {
	s.refusals.add(why, routeOf(u), s.trust.ofHandshake(u).text(), status, text)
	_ = u.Reject(status, text+"\n", fields...)
}
