package engine

import (
	"bytes"
	"net/netip"
	"net/url"
	"strings"

	"github.com/fe4bcecb/wsd/codec/handshake"
)

// Handshake is one that Behavior.Upgrade decides about. Unless it calls
// Accept, Reject or Defer, the handshake is accepted as it is.
//
// Its methods may be called on the loop, and after Defer from any one goroutine
// until the decision. A decision from another connection's callback is carried
// out soon, and Accept and Reject then return nil without waiting for it.
type Handshake struct {
	conn    *Conn
	loop    *Loop // that decides; the connection may move to another
	route   *pattern
	request *handshake.Request
	head    []byte
	rest    []byte // what came behind the head
	path    string
	query   url.Values
	remote  netip.AddrPort
	tls     bool // see TLS
	decided bool
	later   bool
	done    chan struct{} // of a deferred one
}

// Accept is how a handshake is accepted.
type Accept struct {
	// Subprotocol is one of Protocols, or "" for none.
	Subprotocol string
	// UserData becomes Conn.UserData.
	UserData any
	// Header are further fields of the 101 response, such as Set-Cookie.
	Header []HeaderField
	// Loop serves the connection from its first frame on; nil: the one that
	// accepted it.
	Loop *Loop
}

// HeaderField is a field of a response.
type HeaderField = handshake.Field

// Path is the request's path, as sent.
func (u *Handshake) Path() string { return u.path }

// Query is the first value of a query parameter, or "".
func (u *Handshake) Query(name string) string { return u.QueryValues().Get(name) }

// QueryValues are all query parameters; malformed ones are left out.
func (u *Handshake) QueryValues() url.Values {
	if u.query == nil {
		u.query, _ = url.ParseQuery(string(u.request.RawQuery))
	}
	return u.query
}

// Header is the first value of a request field, or "".
func (u *Handshake) Header(name string) string { return string(u.request.Field(name)) }

// HeaderValues are the values of all request fields of a name, in order.
func (u *Handshake) HeaderValues(name string) []string {
	var all []string
	for value := range u.request.Each(name) {
		all = append(all, string(value))
	}
	return all
}

// Param is the part of the path that a wildcard of the route's pattern stands
// for, unescaped, or "".
func (u *Handshake) Param(name string) string {
	raw := u.route.param(u.path, name)
	if !strings.Contains(raw, "%") {
		return raw
	}
	plain, err := url.PathUnescape(raw)
	if err != nil {
		return raw
	}
	return plain
}

// Protocols are the subprotocols that the client offers, in its order.
func (u *Handshake) Protocols() []string {
	var names []string
	for item, rest := handshake.NextItem(u.request.Protocols); len(item) > 0; item, rest = handshake.NextItem(rest) {
		names = append(names, string(item))
	}
	return names
}

// Head is the request's head as it was sent, valid during Behavior.Upgrade and
// after Defer until the decision.
func (u *Handshake) Head() []byte { return u.head }

// TLS reports whether the client speaks TLS: with this server or, as the connection's
// PROXY header tells, with the proxy.
func (u *Handshake) TLS() bool { return u.tls }

// Host is the request's Host.
func (u *Handshake) Host() string { return string(u.request.Host) }

// Origin is the request's Origin, or "".
func (u *Handshake) Origin() string { return string(u.request.Origin) }

// SameOrigin reports whether the request comes from no browser, or from a page
// of the host it is sent to.
func (u *Handshake) SameOrigin() bool { return u.request.SameOrigin() }

// RemoteAddr is the client's address, or the zero value where there is none.
func (u *Handshake) RemoteAddr() netip.AddrPort {
	if !u.remote.IsValid() && !u.later {
		_, u.remote = u.conn.transportAddrs()
	}
	return u.remote
}

// AnyOrigin is an Options.CheckOrigin that accepts pages of every host.
func AnyOrigin(*Handshake) bool { return true }

// Accept completes the handshake. The error is ErrDecided, ErrAccept, or one of
// package handshake when the subprotocol or a field can't be sent: the client then got
// status 500.
func (u *Handshake) Accept(a Accept) error {
	return u.decide(func() error { return u.conn.accept(u, a) })
}

// Reject refuses the handshake with an HTTP status and a plain text, and closes
// the connection when the client has read it. The error is ErrDecided.
func (u *Handshake) Reject(status int, body string, fields ...HeaderField) error {
	return u.decide(func() error {
		u.conn.refuse(status, body, fields...)
		return nil
	})
}

// Defer leaves the decision to a later Accept or Reject, from this or another
// goroutine. The handshake's slices stay valid. Without a decision within
// Options.DecisionTimeout the client gets status 503. Call in
// Behavior.Upgrade.
func (u *Handshake) Defer() {
	if u.decided || u.later {
		return
	}
	u.RemoteAddr()
	u.later = true
	u.done = make(chan struct{})
	u.own()
}

// own gives the request memory of its own, beyond the read buffer.
func (u *Handshake) own() {
	u.head = bytes.Clone(u.head)
	u.request = new(handshake.Request)
	// The same bytes were parsed before.
	_ = u.request.Parse(u.head)
}

// finish marks the handshake as decided, whatever the outcome.
func (u *Handshake) finish() {
	u.decided = true
	if u.done != nil {
		close(u.done)
		u.later = false
	}
}

// Done is closed when the handshake is decided, the client is gone, or the
// decision took too long. Call after Defer.
func (u *Handshake) Done() <-chan struct{} { return u.done }

// decide runs the decision on the loop, once.
func (u *Handshake) decide(fn func() error) error {
	l := u.loop
	if l.onLoop() {
		if u.decided {
			return ErrDecided
		}
		u.decided = true
		if l.corked != nil && l.corked != u.conn {
			// Not inside another connection's callback: both use the loop's
			// buffers.
			l.post(func() { _ = l.corkedCall(u.conn, fn) })
			return nil
		}
		return l.corkedCall(u.conn, fn)
	}
	result := make(chan error, 1)
	if !l.post(func() {
		if u.decided {
			result <- ErrDecided
			return
		}
		u.decided = true
		result <- l.corkedCall(u.conn, fn)
	}) {
		return ErrDecided
	}
	if l.app.onLoop() != nil {
		return nil // a loop must not wait for another
	}
	select {
	case err := <-result:
		return err
	case <-l.done:
		return ErrDecided
	}
}
