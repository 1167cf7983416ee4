package engine

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
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
		source, size, err := proxyproto.Parse(data)
		if err != nil {
			c.turnAway(RefusedRequest, 400, err.Error())
			return nil
		}
		n, more = size, size == 0
		c.setProxySource(source)
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

// setProxySource gives the connection the address that its PROXY header told, if it did.
func (c *Conn) setProxySource(source netip.AddrPort) {
	if source.IsValid() {
		c.extend().remote = source
		c.flags |= proxied
	}
}

// proxySource is that address, or the zero value.
func (c *Conn) proxySource() netip.AddrPort {
	if c.flags&proxied == 0 {
		return netip.AddrPort{}
	}
	return c.ext.remote
}

// proxyHeader is what tells another App's Adopt of the address, nil where it does not
// ask.
func (c *Conn) proxyHeader() []byte {
	if c.loop.app.opts.ProxyHeader == nil {
		return nil
	}
	return proxyproto.Append(nil, c.proxySource())
}

// takeProxyHeader takes the header off what Detach gave.
func (a *App) takeProxyHeader(data []byte) (source netip.AddrPort, rest []byte) {
	if a.opts.ProxyHeader == nil {
		return netip.AddrPort{}, data
	}
	source, n, err := proxyproto.Parse(data)
	if err != nil {
		return netip.AddrPort{}, data // it comes from somebody who adds none
	}
	return source, data[n:]
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
	header := make([]byte, proxyproto.HeadSize)
	got, err := io.ReadFull(nc, header)
	source, n, wrong := proxyproto.Parse(header[:got])
	if err == nil && wrong == nil && n == 0 {
		header = append(header, make([]byte, proxyproto.Len(header)-len(header))...)
		_, err = io.ReadFull(nc, header[got:])
		if err == nil {
			source, _, wrong = proxyproto.Parse(header)
		}
	}
	if wrong == nil && got > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
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
	s.loop.Load().post(func() { s.conn.setProxySource(source) })
	return true
}
