package main

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// maxHops bounds how many addresses of a forwarding header are looked at: no chain
// of proxies is that long.
const maxHops = 64

// caller is who is at the other end of a connection, as far as it is known.
type caller struct {
	addr   netip.Addr // the zero value where there is none, as on a Unix socket
	secure bool       // the way up to here, or to a proxy, is encrypted
}

// text is the address for logs.
func (c caller) text() string {
	if !c.addr.IsValid() {
		return ""
	}
	return c.addr.String()
}

// proxies are those that are believed about their clients.
type proxies struct {
	networks []netip.Prefix
	standard bool // by Forwarded (RFC 7239), else by X-Forwarded-For
}

// parseProxies reads --trusted-proxies and --forwarded-header.
func parseProxies(networks []string, header string) (*proxies, error) {
	p := &proxies{standard: header == "forwarded"}
	for _, given := range networks {
		network, err := netip.ParsePrefix(given)
		if err != nil {
			addr, notAddr := netip.ParseAddr(given)
			if notAddr != nil {
				return nil, fmt.Errorf("--trusted-proxies %s: want an address or a network such as 10.0.0.0/8", given)
			}
			network = netip.PrefixFrom(addr, addr.BitLen())
		}
		if network.Addr().Is4In6() {
			return nil, fmt.Errorf("--trusted-proxies %s: write an IPv4 network as one", given)
		}
		p.networks = append(p.networks, network.Masked())
	}
	return p, nil
}

func (p *proxies) trusts(addr netip.Addr) bool {
	for _, n := range p.networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// caller is who sent a request that arrived from peer. values are those of a request
// field, in order. A proxy appends the address that it sees to what it was told, so
// the right-most one that is no trusted proxy is the last that can be believed.
func (p *proxies) caller(peer netip.Addr, secure bool, values func(name string) []string) caller {
	peer = peer.Unmap().WithZone("")
	c := caller{peer, secure}
	if !peer.IsValid() || !p.trusts(peer) {
		return c
	}
	if p.standard {
		return p.byForwarded(c, values("Forwarded"))
	}
	if protos := listOf(values("X-Forwarded-Proto")); len(protos) > 0 {
		c.secure = isSecure(protos[len(protos)-1])
	}
	for hops := listOf(values("X-Forwarded-For")); len(hops) > 0 && p.trusts(c.addr); hops = hops[:len(hops)-1] {
		addr, ok := parseHop(hops[len(hops)-1])
		if !ok {
			break // what is left of it was written by who knows whom
		}
		c.addr = addr
	}
	return c
}

// byForwarded reads Forwarded (RFC 7239 4).
func (p *proxies) byForwarded(c caller, values []string) caller {
	for hops := listOf(values); len(hops) > 0 && p.trusts(c.addr); hops = hops[:len(hops)-1] {
		addr, proto := netip.Addr{}, ""
		for pair := range strings.SplitSeq(hops[len(hops)-1], ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			value = strings.Trim(value, `"`)
			switch strings.ToLower(name) {
			case "for":
				addr, _ = parseHop(value)
			case "proto":
				proto = value
			}
		}
		if !addr.IsValid() {
			break // unknown, or an obfuscated name
		}
		if c.addr = addr; proto != "" {
			c.secure = isSecure(proto)
		}
	}
	return c
}

// isSecure reports whether a scheme is an encrypted one.
func isSecure(scheme string) bool {
	return strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "wss")
}

// listOf are the last items of a list that may be spread over several fields.
func listOf(values []string) []string {
	var items []string
	for _, v := range values {
		for item := range strings.SplitSeq(v, ",") {
			items = append(items, strings.TrimSpace(item))
		}
	}
	return items[max(len(items)-maxHops, 0):]
}

// parseHop reads an address that may have a port.
func parseHop(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		both, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = both.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

// trust holds the proxies, which a reload replaces.
type trust struct{ atomic.Pointer[proxies] }

// believes reports whether a peer is a proxy that may tell who its clients are.
func (t *trust) believes(peer netip.Addr) bool {
	return t.Load().trusts(peer.Unmap().WithZone(""))
}

// ofHandshake is who sends a WebSocket handshake.
func (t *trust) ofHandshake(u *engine.Handshake) caller {
	return t.Load().caller(u.RemoteAddr().Addr(), u.TLS(), u.HeaderValues)
}

// ofRequest is who sends a request of Engine.IO, as it arrived.
func (t *trust) ofRequest(r *engineio.Request) caller {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr()) // the zero value where there is none
	return t.Load().caller(peer.Addr(), r.Secure(), r.HeaderValues)
}

// ofHTTP is who sends a request to net/http.
func (t *trust) ofHTTP(r *http.Request) caller {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // the zero value where there is none
	return t.Load().caller(peer.Addr(), engine.TLS(r), r.Header.Values)
}

// client is engineio.Options.Client.
func (t *trust) client(r *engineio.Request) (address string, secure bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr())
	if err != nil || !t.believes(peer.Addr()) {
		return r.RemoteAddr(), r.Secure()
	}
	c := t.ofRequest(r)
	if c.addr == peer.Addr().Unmap() {
		return r.RemoteAddr(), c.secure
	}
	return c.addr.String(), c.secure
}

// addressOf is the address of a request that client has seen.
func addressOf(r *engineio.Request) netip.Addr {
	text := r.RemoteAddr()
	if both, err := netip.ParseAddrPort(text); err == nil {
		return both.Addr().Unmap().WithZone("")
	}
	addr, _ := netip.ParseAddr(text) // the zero value where there is none
	return addr
}
