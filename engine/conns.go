package engine

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

// ConnInfo describes an open connection at one moment.
type ConnInfo struct {
	ID          uint64
	Loop        int
	Route       string         // the pattern that it came by
	Remote      netip.AddrPort // see Conn.RemoteAddr
	Subprotocol string
	Since       time.Time // when it opened, to the second
	Buffered    int       // bytes that wait for its reader
	Topics      int       // that it is subscribed to
	UserData    any
}

// register gives a connection that opens what the registry tells of it.
func (c *Conn) register() {
	l := c.loop
	l.lastID++
	// Whose loop it is can be told from it.
	c.id = l.lastID*uint64(len(l.app.loops)) + uint64(l.id)
	c.since = uint32(l.clock() / time.Second)
}

// ID names the connection: no other one of this App has the same, nor will have
// it. 0 before it is open. Safe from any goroutine.
func (c *Conn) ID() uint64 { return c.id }

// Buffered is how many bytes wait for the connection's reader. Unlike
// BufferedAmount it changes nothing, and so leaves out what was published in this
// turn. Call on the socket's loop.
func (c *Conn) Buffered() int {
	if c.state != stateOpen && c.state != stateClosing {
		return 0
	}
	n := 0
	if c.out != nil {
		n = c.out.bytes
	}
	if c.ext != nil {
		n += c.ext.heldBytes
	}
	return n
}

// Info describes the connection. Call on the socket's loop.
func (c *Conn) Info() ConnInfo {
	x := ConnInfo{
		ID:       c.id,
		Loop:     c.loop.id,
		Route:    c.route.pattern,
		Since:    c.loop.app.epoch.Add(time.Duration(c.since) * time.Second),
		Buffered: c.Buffered(),
		UserData: c.user,
	}
	if c.ext != nil {
		x.Subprotocol, x.Topics, x.Remote = c.ext.subprotocol, len(c.ext.subs), c.ext.remote
	}
	if !x.Remote.IsValid() && c.state != stateClosed {
		_, x.Remote = c.transportAddrs() // not kept: it would cost every connection an extension
	}
	return x
}

// Conns calls fn for each connection that was open when it began and still is, on
// the connection's loop, until fn returns false. Calls come one at a time, and none
// after Conns has returned. It takes a few turns of each loop and never more than a
// small part of one. fn must not block. Errors are ctx's, ErrShutdown and
// ErrOnLoop: not to be called on a loop.
func (a *App) Conns(ctx context.Context, fn func(*Conn) bool) error {
	goOn := true
	for _, l := range a.Loops() {
		err := Walk(ctx, l, l.opened, func(c *Conn) bool {
			if c.loop == l && c.state == stateOpen {
				goOn = fn(c)
			}
			return goOn
		})
		if err != nil || !goOn {
			return err
		}
	}
	return nil
}

// Conn calls fn for the connection of an ID, on its loop, and reports whether it is
// open. Errors and the rest are as for Conns.
func (a *App) Conn(ctx context.Context, id uint64, fn func(*Conn)) (found bool, err error) {
	loops := a.Loops()
	if len(loops) == 0 {
		return false, nil
	}
	l := loops[id%uint64(len(loops))]
	err = Walk(ctx, l, l.opened, func(c *Conn) bool {
		if c.id == id && c.loop == l && c.state == stateOpen {
			found = true
			fn(c)
		}
		return !found
	})
	return found, err
}

// opened are the loop's connections. It runs on the loop.
func (l *Loop) opened(yield func(*Conn) bool) {
	for _, c := range slices.Clone(l.conns) {
		if !yield(c) {
			return
		}
	}
}
