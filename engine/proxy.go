package engine

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/fe4bcecb/wsd/codec/proxyproto"
)

// strangeHeader is what a peer gets that Options.ProxyHeader does not know.
const strangeHeader = "a PROXY header of a peer that is not trusted"

// lateHeader is why a connection was closed in the middle of its header.
const lateHeader = "the PROXY header took too long"

// receiveProxyHeader takes the PROXY header from the front of what a connection begins
// with, or finds that none is due. It returns the bytes behind it, none also when more
// must come first or the connection was refused.
func (c *Conn) receiveProxyHeader(data []byte) []byte {
	if c.in != nil {
		c.in.raw = append(c.in.raw, data...)
		data = c.in.raw
	}
	_, peer := c.transportAddrs()
	n, more := 0, false
	if c.loop.app.opts.ProxyHeader(peer.Addr()) {
		told, size, err := proxyproto.Parse(data)
		if err != nil {
			c.turnAway(RefusedRequest, 400, err.Error())
			return nil
		}
		n, more = size, size == 0
		c.setTold(told)
	} else {
		begins, whole := proxyproto.Signed(data)
		if begins && whole {
			c.turnAway(RefusedRequest, 400, strangeHeader)
			return nil
		}
		more = begins // no request does
	}
	if more {
		if c.in == nil {
			c.keepRaw(data)
		}
		return nil
	}
	c.in = nil
	c.flags &^= unheaded
	return data[n:]
}

// setTold gives the connection what its PROXY header told, if it told anything.
func (c *Conn) setTold(h proxyproto.Header) {
	if h.Source.IsValid() {
		c.extend().remote = h.Source
		c.flags |= proxied
	}
	if h.TLS {
		c.flags |= proxiedTLS
	}
}

// told is what that was.
func (c *Conn) told() (h proxyproto.Header) {
	if c.flags&proxied != 0 {
		h.Source = c.ext.remote
	}
	h.TLS = c.flags&proxiedTLS != 0
	return h
}

// proxyHeader is what tells another App's Adopt of it, nil where it does not ask.
func (c *Conn) proxyHeader() []byte {
	if c.loop.app.opts.ProxyHeader == nil {
		return nil
	}
	return proxyproto.Append(nil, c.told())
}

// takeProxyHeader takes the header off what Detach gave.
func (a *App) takeProxyHeader(data []byte) (told proxyproto.Header, rest []byte) {
	if a.opts.ProxyHeader == nil {
		return proxyproto.Header{}, data
	}
	told, n, err := proxyproto.Parse(data)
	if err != nil {
		return proxyproto.Header{}, data // it comes from somebody who adds none
	}
	return told, data[n:]
}

// readProxyHeader reads the header that comes before TLS, and not a byte more, until ctx
// ends. It returns false when the connection is over. A peer that is not to send one, and
// does, gets no further than to TLS.
func (s *stream) readProxyHeader(ctx context.Context, nc net.Conn) bool {
	a := s.loop.Load().app
	peer := netAddr(nc.RemoteAddr())
	if !a.opts.ProxyHeader(peer.Addr()) {
		return true
	}
	deadline, _ := ctx.Deadline()
	_ = nc.SetReadDeadline(deadline)
	var (
		header     []byte
		told       proxyproto.Header
		n          int
		err, wrong error
	)
	for n == 0 && err == nil && wrong == nil {
		got, at := 0, len(header)
		header = append(header, make([]byte, proxyproto.Missing(header))...)
		got, err = io.ReadFull(nc, header[at:])
		header = header[:at+got]
		told, n, wrong = proxyproto.Parse(header)
	}
	if wrong == nil && len(header) > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		wrong = errors.New(lateHeader)
	}
	switch {
	case wrong != nil:
		if a.opts.Refused != nil {
			a.opts.Refused(Refusal{Cause: RefusedRequest, Text: wrong.Error(), Remote: peer})
		}
		return false
	case err != nil:
		return false // the client is gone, or has said nothing
	}
	_ = nc.SetReadDeadline(time.Time{})
	s.loop.Load().post(func() { s.conn.setTold(told) })
	return true
}
