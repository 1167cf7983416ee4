package engine

import (
	"bytes"
	"net"

	"github.com/fe4bcecb/wsd/codec/handshake"
	"github.com/fe4bcecb/wsd/internal/conv"
)

// departure is a connection's way off its loop before its first frame: to
// another loop, to whoever has detached it, or to net/http when both are nil.
type departure struct {
	loop    *Loop
	upgrade *Handshake
	accept  Accept
	give    func(net.Conn, []byte)
	data    []byte // read already
}

// moveTo completes the handshake on another loop.
func (c *Conn) moveTo(u *Handshake, a Accept, rest []byte) error {
	if a.Loop.app != c.loop.app {
		c.refuse(500, "")
		return ErrAccept
	}
	// What can't be answered is found here, so that Accept can tell.
	if _, err := handshake.AppendResponse(nil, u.request.Key, conv.Bytes(a.Subprotocol), nil, a.Header); err != nil {
		c.refuseError(err)
		return err
	}
	if !u.later {
		u.own()
	}
	c.leave(&departure{loop: a.Loop, upgrade: u, accept: a, data: bytes.Clone(rest)})
	return nil
}

// handOver gives the connection to net/http, with the bytes read so far.
func (c *Conn) handOver(data []byte) {
	a := c.loop.app
	if !a.web.admit(int(a.maxHTTP.Load())) {
		c.loop.stats.HTTPRefused++
		c.turnAway(RefusedCapacity, 503, "too many HTTP connections")
		return
	}
	c.leave(&departure{data: bytes.Clone(data)})
}

func (c *Conn) leave(d *departure) {
	c.in = nil
	c.extend().departure = d
	c.setState(stateLeaving)
	c.loop.leave = append(c.loop.leave, c)
}

// depart takes the connection off its loop. It is called at the end of a turn,
// when no event can name it any more.
func (c *Conn) depart() {
	l, d := c.loop, c.ext.departure
	c.ext.departure = nil
	c.detachTransport()
	if c.flags&onStream == 0 {
		c.freeOperator()
	}
	l.remove(c)
	if d.give != nil {
		if nc, err := c.takeNetConn(); err == nil {
			d.give(nc, d.data)
		} else {
			l.stats.Closed[CauseHandshake]++
		}
		return
	}
	if d.loop == nil {
		if l.app.serveHTTP(c, d.data) {
			l.stats.HandedOver++
		} else {
			l.stats.Closed[CauseHandshake]++
		}
		return
	}
	target := d.loop
	c.loop = target
	if c.flags&onStream != 0 {
		c.ext.stream.loop.Store(target)
	}
	if !target.post(func() { target.arrive(c, d) }) {
		c.releaseTransport()
	}
}

// arrive goes on with a handshake that came from another loop.
func (l *Loop) arrive(c *Conn, d *departure) {
	if c.flags&onStream != 0 {
		l.add(c)
	} else if err := l.attach(c); err != nil {
		c.releaseTransport()
		return
	}
	c.setState(stateHandshake)
	l.due[c.idx] = l.after(l.app.handshakeTicks)
	if l.refuseWhenDraining(c) {
		return
	}
	d.accept.Loop = nil
	// welcome has answered the client when it fails.
	_ = l.corkedCall(c, func() error {
		return c.welcome(d.upgrade, d.upgrade.request, d.accept, d.data)
	})
}
