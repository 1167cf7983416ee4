package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine"
)

// rawClient is the user data of every connection of admission's routes.
type rawClient struct {
	who  *account // nil: anybody
	away bool     // closed for capacity as soon as it is open
	data any      // the route's own
}

// welcome completes a handshake of admission's routes.
func welcome(u *engine.Handshake, who *account, data any, a engine.Accept) {
	a.UserData = &rawClient{who: who, data: data}
	_ = u.Accept(a) // the client may be gone
}

// rawClientOf is who sits on a connection of admission's routes.
func rawClientOf(ws *engine.Conn) *rawClient { return ws.UserData().(*rawClient) }

// admission puts capacity and, where tokens are wanted, the token before a
// route's own decision about a handshake, which is accept: it calls welcome or
// reject. who is nil where anybody may connect.
func (s *server) admission(b engine.Behavior, accept func(u *engine.Handshake, who *account)) engine.Behavior {
	b.Upgrade = func(u *engine.Handshake) {
		switch {
		case s.full() && s.sioFlags.AtCapacity == "http503":
			reject(u, http.StatusServiceUnavailable, "Server at capacity", engine.HeaderField{Name: "Retry-After", Value: "2"})
		case s.full():
			_ = u.Accept(engine.Accept{UserData: &rawClient{away: true}}) // the client may be gone
		case !s.identity.required():
			accept(u, nil)
		default:
			u.Defer()
			go s.identify(u, accept)
		}
	}
	open, closed := b.Open, b.Close
	b.Open = func(ws *engine.Conn) {
		if rawClientOf(ws).away {
			ws.Close(closePolicy, "Server at capacity")
			return
		}
		s.raw.Add(1)
		if open != nil {
			open(ws)
		}
	}
	b.Close = func(ws *engine.Conn, code engine.StatusCode, reason string) {
		if rawClientOf(ws).away {
			return
		}
		s.raw.Add(-1)
		if closed != nil {
			closed(ws, code, reason)
		}
	}
	return b
}

// identify decides about a handshake that needs a token.
func (s *server) identify(u *engine.Handshake, accept func(*engine.Handshake, *account)) {
	who, err := s.identity.identify(context.Background(), &credentials{
		auth:   sio.RawValue([]byte("{}")),
		header: u.Header,
		cookies: func() []*http.Cookie {
			return (&http.Request{Header: http.Header{"Cookie": {u.Header("Cookie")}}}).Cookies()
		},
		query: func() url.Values { return u.QueryValues() },
	})
	var why *refused
	switch {
	case err == nil:
		accept(u, who)
	case !errors.As(err, &why):
		reject(u, http.StatusInternalServerError, "try again")
	case why.code == codeUnavailable:
		reject(u, http.StatusServiceUnavailable, why.message)
	default:
		reject(u, http.StatusUnauthorized, why.message, engine.HeaderField{Name: "WWW-Authenticate", Value: "Bearer"})
	}
}

// reject refuses a handshake whose client may be gone.
func reject(u *engine.Handshake, status int, text string, fields ...engine.HeaderField) {
	_ = u.Reject(status, text+"\n", fields...)
}
