package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// client is one Engine.IO session, with a Socket for each namespace that it has
// joined. It is touched on its loop.
type client struct {
	server  *Server
	session *engineio.Session
	sockets []*Socket // joined, or on the way
	decoder sio.Decoder
	msgpack sio.MsgpackDecoder
	asking  int       // functions of middleware and parents that run for it
	leaving int       // sockets that have left their namespaces, and have handlers that run
	waiting *deadline // in desk.connects; nil: none
	missing *deadline // in desk.attachments; nil: none
}

func newClient(srv *Server, s *engineio.Session) *client {
	return &client{server: srv, session: s, decoder: sio.NewDecoder(&srv.limits), msgpack: sio.NewMsgpackDecoder(&srv.limits)}
}

// receive takes a message.
//
// Hot path: per message.
func (c *client) receive(data []byte, binary bool) {
	var p sio.Packet
	var ok bool
	var err error
	switch {
	case c.server.opts.Parser == Msgpack && binary:
		p, ok, err = c.msgpack.Binary(data)
	case c.server.opts.Parser == Msgpack:
		p, ok, err = c.msgpack.Text(data)
	case binary:
		p, ok, err = c.decoder.Binary(data)
	default:
		p, ok, err = c.decoder.Text(data)
	}
	switch {
	case err != nil:
		for _, s := range c.sockets {
			if s.connected.Load() {
				s.enqueue(0, task{run: func() { s.fail(err) }})
			}
		}
		c.violate()
	case ok:
		c.server.desk(c.session.Loop()).attachments.done(&c.missing)
		if admit := c.server.opts.Admit; admit == nil || admit(c.session, &p) {
			c.handle(&p)
		}
	case !binary:
		c.awaitAttachments()
	}
}

// awaitAttachments gives the client a time for the attachments that it has
// announced. Whoever is in no namespace has none to announce.
func (c *client) awaitAttachments() {
	if !slices.ContainsFunc(c.sockets, func(s *Socket) bool { return s.connected.Load() }) {
		c.violate()
		return
	}
	c.server.desk(c.session.Loop()).attachments.add(c, &c.missing)
}

// violate closes the connection over a packet that the protocol does not allow,
// as Node does.
func (c *client) violate() {
	if !c.session.Closed() {
		c.server.violations.Add(1)
		c.session.Close(engineio.ForcedClose)
	}
}

// giveUp closes the connection, which has joined no namespace in time.
func (c *client) giveUp() {
	c.server.connectTimeouts.Add(1)
	c.session.Close(engineio.ForcedClose)
}

// handle handles a packet.
func (c *client) handle(p *sio.Packet) {
	if p.Type == sio.Connect {
		c.server.connects.Add(1)
		c.connect(p)
		return
	}
	s := c.socket(p.Namespace)
	if s == nil || !s.connected.Load() {
		c.violate()
		return
	}
	switch p.Type {
	case sio.Event:
		s.receiveEvent(p)
	case sio.Ack:
		s.receiveAck(p)
	case sio.Disconnect:
		c.server.leaves.Add(1)
		s.close("client namespace disconnect", false)
	default:
		c.violate()
	}
}

// socket is the client's socket in a namespace, or nil.
func (c *client) socket(namespace string) *Socket {
	for _, s := range c.sockets {
		if s.nsp.name == namespace {
			return s
		}
	}
	return nil
}

// remove forgets a socket.
func (c *client) remove(s *Socket) {
	if i := slices.Index(c.sockets, s); i >= 0 {
		c.sockets = slices.Delete(c.sockets, i, i+1)
	}
}

// connect begins to join a namespace.
func (c *client) connect(p *sio.Packet) {
	name, auth := p.Namespace, bytes.Clone(p.Data)
	if c.session.Protocol() == 3 {
		// Revision 3's query is part of the name, and what is auth in revision 4.
		query := ""
		name, query, _ = strings.Cut(name, "?")
		auth = queryAuth(query)
	}
	if s := c.socket(name); s != nil && !s.connected.Load() {
		// It did not wait for the answer to the last one, which nobody gets now.
		c.remove(s)
		s.ended()
	} else if s != nil {
		c.violate()
		return
	}
	if max(len(c.sockets)+c.leaving, c.asking) >= c.server.opts.MaxClientSockets {
		c.violate()
		return
	}
	s := &Socket{client: c, auth: auth}
	if n := c.server.claim(name); n != nil {
		c.enter(s, n)
		return
	}
	if !c.server.dynamic() {
		c.refuse(name, errNamespace)
		return
	}
	if c.server.opts.Inline {
		c.spawned(s, name, c.server.guardSpawn(name, s.Auth()))
		return
	}
	// The place is taken by a socket that is on its way.
	s.nsp = &Namespace{name: name, server: c.server}
	c.sockets = append(c.sockets, s)
	c.aside(func() func() {
		n := c.server.guardSpawn(name, s.Auth())
		return func() {
			switch {
			case slices.Contains(c.sockets, s):
				c.remove(s)
				c.spawned(s, name, n)
			case n != nil:
				n.joining.Add(-1)
				n.cleanUp()
			}
		}
	})
}

// aside calls a user's function that may block on a goroutine of its own, and
// what it returns on the loop.
func (c *client) aside(fn func() func()) {
	c.asking++
	c.server.workers.enter()
	go func() {
		defer c.server.workers.leave()
		then := fn()
		// A loop that has ended has no clients.
		c.session.Loop().Post(func() {
			c.asking--
			then()
		})
	}()
}

// queryAuth is what a client of revision 3 sent as a query, as an object.
func queryAuth(query string) []byte {
	values, _ := url.ParseQuery(query) // malformed ones are left out
	if len(values) == 0 {
		return nil
	}
	last := make(map[string]string, len(values))
	for name, all := range values {
		last[name] = all[len(all)-1]
	}
	auth, err := json.Marshal(last)
	if err != nil {
		return nil // strings can be encoded, so this is not reached
	}
	return auth
}

// guardSpawn is spawn, whose match may panic.
func (srv *Server) guardSpawn(name string, auth sio.Value) (n *Namespace) {
	defer func() {
		if v := recover(); v != nil {
			srv.panicked("a namespace's match function", v)
		}
	}()
	return srv.spawn(name, auth)
}

func (c *client) spawned(s *Socket, name string, n *Namespace) {
	if n == nil {
		c.refuse(name, errNamespace)
		return
	}
	c.enter(s, n)
}

// enter finds out who a socket is, and puts it to the namespace's middleware.
func (c *client) enter(s *Socket, n *Namespace) {
	s.nsp = n
	s.lane = n.lane(c.session.Loop())
	c.sockets = append(c.sockets, s)
	if claimed, ok := s.claim(); ok && c.session.Protocol() != 3 {
		c.reclaim(s, claimed)
		return
	}
	s.begin()
	c.greet(s, nil)
}

// greet puts a socket to the middleware; x is who it was before, or nil.
func (c *client) greet(s *Socket, x *restored) {
	h := s.nsp.handlers.Load()
	switch {
	case len(h.middleware) == 0:
		c.entered(s, x, nil)
	case c.server.opts.Inline:
		c.entered(s, x, s.ask(h.middleware))
	default:
		c.aside(func() func() {
			err := s.ask(h.middleware)
			return func() { c.entered(s, x, err) }
		})
	}
}

// ask runs the middleware.
func (s *Socket) ask(all []Middleware) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.nsp.server.panicked("a middleware", v)
			err = errors.New("internal error")
		}
	}()
	for _, fn := range all {
		if err := fn(s); err != nil {
			return err
		}
	}
	return nil
}

// entered lets the socket in, or refuses it.
func (c *client) entered(s *Socket, x *restored, err error) {
	wanted := slices.Contains(c.sockets, s)
	switch {
	case wanted && err == nil && x == nil:
		c.admit(s)
	case wanted && err == nil:
		c.reenter(s, x)
	default:
		if !wanted && x != nil {
			s.nsp.store.giveBack(x)
		}
		c.remove(s)
		if wanted {
			c.refuse(s.nsp.name, err)
		}
		c.dismiss(s)
	}
}

// dismiss ends a socket that does not join.
func (c *client) dismiss(s *Socket) {
	s.ended()
	s.nsp.joining.Add(-1)
	s.nsp.cleanUp()
}

// admit makes a socket a member of its namespace.
func (c *client) admit(s *Socket) {
	n := s.nsp
	n.server.desk(c.session.Loop()).connects.done(&c.waiting)
	s.connected.Store(true)
	s.lane.attach(s)
	s.userBegins()
	n.joining.Add(-1) // not before the lane counts it: see cleanUp
	n.server.connections.Add(1)
	s.welcome()
	h := n.handlers.Load()
	if len(h.connection) > 0 {
		s.enqueue(0, task{run: func() {
			for _, fn := range h.connection {
				fn(s)
			}
		}})
	}
}

// connectReply is what a client is told that has joined.
type connectReply struct {
	SID string `json:"sid"`
	PID string `json:"pid,omitempty"`
}

// welcome sends CONNECT.
func (s *Socket) welcome() {
	h := sio.Header{Type: sio.Connect, Namespace: s.nsp.name}
	var reply any = connectReply{s.id, s.pid}
	if s.client.session.Protocol() == 3 {
		reply = nil
	}
	s.client.sendObject(h, reply)
}

// connectError is what a client is told that was refused.
type connectError struct {
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

// refuse sends CONNECT_ERROR.
func (c *client) refuse(namespace string, err error) {
	c.server.refusals.Add(1)
	x := connectError{Message: err.Error()}
	var r *Refusal
	if errors.As(err, &r) {
		x.Message, x.Data = r.Message, r.Data
	}
	h := sio.Header{Type: sio.ConnectError, Namespace: namespace}
	if c.session.Protocol() == 3 && err != errNamespace {
		// Revision 3's clients get the data, or else the bare message.
		if x.Data != nil {
			c.sendObject(h, x.Data)
			return
		}
		c.sendObject(h, x.Message)
		return
	}
	c.sendObject(h, x)
}

// sendObject sends a packet that has no arguments.
func (c *client) sendObject(h sio.Header, object any) {
	if c.server.opts.Parser == Msgpack {
		b, err := sio.AppendMsgpackObject(nil, h, object)
		if err == nil {
			c.session.SendBinary(b)
			return
		}
		c.server.opts.Logger.Error("a packet can't be encoded", "namespace", h.Namespace, "err", err)
		return
	}
	b, err := sio.AppendObject([]byte{'4'}, h, object)
	if err != nil {
		c.server.opts.Logger.Error("a packet can't be encoded", "namespace", h.Namespace, "err", err)
		// The client must hear something.
		b, _ = sio.AppendObject([]byte{'4'}, h, connectError{Message: "internal error"})
	}
	c.session.SendText(b)
}

// closed ends all sockets of a session that has ended.
func (c *client) closed(reason string) {
	d := c.server.desk(c.session.Loop())
	d.connects.done(&c.waiting)
	d.attachments.done(&c.missing)
	sockets := c.sockets
	c.sockets = nil
	for _, s := range sockets {
		if s.connected.Load() {
			s.finish(reason)
		} else if s.lane != nil {
			s.ended()
		}
	}
}

// disconnectAll leaves every namespace and closes the connection.
func (c *client) disconnectAll() {
	for _, s := range slices.Clone(c.sockets) {
		if s.connected.Load() {
			s.close("server namespace disconnect", true)
		}
	}
	c.session.Close(engineio.ForcedClose)
}
