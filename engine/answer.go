package engine

import (
	"bytes"
	"errors"
	"time"

	"github.com/fe4bcecb/wsd/codec/handshake"
	"github.com/fe4bcecb/wsd/internal/conv"
	"github.com/gobwas/ws"
)

// receiveHead gathers a request head and acts on it when it is whole.
func (c *Conn) receiveHead(data []byte) {
	if c.flags&unheaded != 0 {
		if data = c.receiveProxyHeader(data); len(data) == 0 {
			return
		}
	}
	searched := 0
	if c.in != nil {
		searched = len(c.in.raw)
		c.in.raw = append(c.in.raw, data...)
		data = c.in.raw
	}
	if c.flags&reinjected == 0 && !handshake.Sniff(data) {
		c.handOver(data)
		return
	}
	n := handshake.HeadLen(data, searched)
	limit := c.loop.app.opts.MaxHandshakeBytes
	switch {
	case n > limit || n == 0 && len(data) > limit:
		c.turnAway(RefusedRequest, 431, "the request head is too large")
	case n > 0:
		c.in = nil
		c.handshake(data[:n], data[n:])
	case c.in == nil:
		c.inbox().raw = append([]byte(nil), data...)
	}
}

// handshake answers a request. rest are the bytes behind its head.
func (c *Conn) handshake(head, rest []byte) {
	l, a := c.loop, c.loop.app
	r := &l.request
	if err := r.Parse(head); err != nil {
		c.refuseError(err)
		return
	}
	if !r.IsUpgrade() {
		c.handOverOrRefuse(head, rest)
		return
	}
	if err := r.Check(); err != nil {
		c.refuseError(err)
		return
	}
	e := a.routes.match(conv.String(r.Path))
	if e == nil || e.route.Manual && c.flags&reinjected == 0 {
		c.handOverOrRefuse(head, rest)
		return
	}
	c.route = e.route
	if e.route.Upgrade == nil && a.originCheck(e.route) == nil {
		if !r.SameOrigin() {
			c.turnAway(RefusedOrigin, 403, "origin not allowed")
			return
		}
		// It has answered the client when it fails.
		_ = c.welcome(nil, r, Accept{}, rest)
		return
	}
	c.ask(e, head, rest)
}

// originCheck is what accepts or refuses the page that a route's handshake comes
// from; nil: the same host only.
func (a *App) originCheck(r *route) func(*Handshake) bool {
	if r.CheckOrigin != nil {
		return r.CheckOrigin
	}
	return a.opts.CheckOrigin
}

// ask puts the handshake to the origin check and the route's Upgrade.
func (c *Conn) ask(e *entry, head, rest []byte) {
	a := c.loop.app
	u := &Handshake{conn: c, loop: c.loop, route: &e.pattern, request: &c.loop.request, head: head, rest: rest, tls: c.overTLS()}
	u.path = string(u.request.Path)
	allowed := a.originCheck(e.route)
	if allowed == nil {
		allowed = (*Handshake).SameOrigin
	}
	if !allowed(u) {
		c.turnAway(RefusedOrigin, 403, "origin not allowed")
		return
	}
	if a.leaving.Load() {
		c.turnAway(RefusedShutdown, 503, goingAway)
		return
	}
	waiting := false
	defer func() {
		if !waiting {
			u.finish()
			u.rest = nil
		}
	}()
	if e.route.Upgrade != nil {
		e.route.Upgrade(u)
	}
	switch {
	case u.decided:
	case u.later:
		waiting = true
		c.awaitDecision(u)
	default:
		u.decided = true
		// accept has answered the client when this fails.
		_ = c.accept(u, Accept{})
	}
}

// awaitDecision waits for a deferred decision.
func (c *Conn) awaitDecision(u *Handshake) {
	c.extend().upgrade = u
	c.setState(stateDeferred)
	c.loop.due[c.idx] = c.loop.after(c.loop.app.decisionTicks)
	c.loop.app.addGuest(1)
	c.stash(u.rest)
	u.rest = nil
}

// stash keeps what a client sends before its handshake was decided.
func (c *Conn) stash(data []byte) {
	in := c.inbox()
	if len(in.raw)+len(data) > readSize {
		c.turnAway(RefusedRequest, 400, "data before the handshake was answered")
		return
	}
	in.raw = append(in.raw, data...)
}

// endWaiting ends the wait for a deferred decision.
func (c *Conn) endWaiting() {
	if c.ext == nil || c.ext.upgrade == nil {
		return
	}
	c.ext.upgrade.finish()
	c.ext.upgrade = nil
	c.loop.app.addGuest(-1)
}

// accept carries out Handshake.Accept.
func (c *Conn) accept(u *Handshake, a Accept) error {
	rest := u.rest
	if c.state == stateDeferred {
		rest = c.in.raw
		c.in = nil
		c.endWaiting()
		c.setState(stateHandshake)
	}
	if c.state != stateHandshake {
		return ErrDecided
	}
	return c.welcome(u, u.request, a, rest)
}

// welcome answers 101 and opens the connection.
func (c *Conn) welcome(u *Handshake, r *handshake.Request, a Accept, rest []byte) error {
	if a.Subprotocol != "" && !offered(r, a.Subprotocol) {
		c.refuse(500, "")
		return ErrAccept
	}
	if a.Loop != nil && a.Loop != c.loop {
		return c.moveTo(u, a, rest)
	}
	l := c.loop
	var ext [128]byte
	response, err := handshake.AppendResponse(l.head[:0], r.Key, conv.Bytes(a.Subprotocol),
		c.negotiateDeflate(r.Extensions, ext[:0]), a.Header)
	if err != nil {
		c.refuseError(err)
		return err
	}
	l.head = response[:0]
	c.reply(response)
	c.open(a, rest)
	return nil
}

// offered reports whether the client offers a subprotocol. RFC 6455 4.2.2.
func offered(r *handshake.Request, name string) bool {
	for item, rest := handshake.NextItem(r.Protocols); len(item) > 0; item, rest = handshake.NextItem(rest) {
		if string(item) == name {
			return true
		}
	}
	return false
}

// reply sends bytes that are no frame.
func (c *Conn) reply(b []byte) {
	if c.loop.corked == c && c.flags&hasQueue == 0 && len(c.loop.cork)+len(b) <= cap(c.loop.cork) {
		c.loop.cork = append(c.loop.cork, b...)
		c.loop.reply = len(c.loop.cork)
		return
	}
	q := c.queue()
	q.push(q.copied(b, nil), true)
}

// open begins the WebSocket connection behind its 101 response.
func (c *Conn) open(a Accept, rest []byte) {
	l := c.loop
	if !l.app.admit() {
		l.stats.Closed[CauseCapacity]++
		c.tellRefused(RefusedCapacity, int(ws.StatusPolicyViolation), "Server at capacity")
		c.setState(stateOpen)
		c.sendClose(ws.StatusPolicyViolation, "Server at capacity")
		c.linger(false)
		return
	}
	c.flags |= counted
	l.stats.Opened++
	kind := 0
	if c.route.Layered {
		kind = 1
		l.stats.OpenedLayered++
	}
	l.stats.Handshakes[kind].observe(HandshakeBounds, uint64(l.micros()-c.since)*uint64(time.Microsecond))
	c.register()
	c.user = a.UserData
	if a.Subprotocol != "" {
		c.extend().subprotocol = a.Subprotocol
	}
	c.setState(stateOpen)
	c.startLife()
	c.touch()
	if l.app.leaving.Load() {
		c.close(CauseShutdown, ws.StatusGoingAway, goingAway)
		return
	}
	c.flags |= wasOpened
	if c.route.Open != nil {
		c.route.Open(c)
	}
	if len(rest) > 0 && (c.state == stateOpen || c.state == stateClosing) {
		c.receiveFrames(rest)
	}
}

// refuse answers a handshake with an HTTP error and closes.
func (c *Conn) refuse(status int, body string, fields ...HeaderField) {
	if c.state != stateHandshake && c.state != stateDeferred {
		return
	}
	l := c.loop
	l.stats.Closed[CauseHandshake]++
	c.endWaiting()
	c.reply(handshake.AppendError(nil, status, fields, body))
	c.linger(false)
}

func (c *Conn) refuseError(err error) {
	var e *handshake.Error
	if errors.As(err, &e) {
		c.turnAway(RefusedRequest, e.Status, e.Text)
		return
	}
	c.turnAway(RefusedRequest, 400, "bad request")
}

// handOverOrRefuse gives a request to net/http, unless it came from there.
func (c *Conn) handOverOrRefuse(head, rest []byte) {
	if c.flags&reinjected != 0 {
		c.turnAway(RefusedRequest, 404, "not found")
		return
	}
	if len(rest) == 0 {
		c.handOver(head)
		return
	}
	c.handOver(append(bytes.Clone(head), rest...))
}

// corkedCall runs fn with c's output corked, outside of a readable event.
func (l *Loop) corkedCall(c *Conn, fn func() error) error {
	if l.corked == c || c.state == stateClosed {
		return fn()
	}
	defer c.recoverPanic()
	l.corkFor(c)
	err := fn()
	l.uncork()
	return err
}
