package engine

import (
	"net"
	"net/netip"
	"syscall"
)

// File descriptors are looked after in two ways. Options.KeepDescriptors holds the
// last ones back from clients: a new descriptor has the lowest number that is free,
// so one that is near the limit says, without counting, that all below are in use.
// Its client is closed at once. Where others have taken those too, each listener has
// a reserve, which makes room to accept a client and close it: otherwise clients
// would wait in the backlog, for nothing.

// takesKept reports whether a descriptor that was just made, for a client, is one of
// those that are to stay free. Safe from any goroutine.
func (a *App) takesKept(fd int) bool {
	keep := int64(a.opts.KeepDescriptors)
	if keep <= 0 || int64(fd) < a.fdCeiling.Load() {
		return false
	}
	// The limit is read when it matters: it may have been raised meanwhile.
	ceiling := descriptorLimit() - keep
	a.fdCeiling.Store(ceiling)
	return int64(fd) >= ceiling
}

// connTakesKept is takesKept for a connection that was just made.
func (a *App) connTakesKept(nc net.Conn) bool {
	if a.opts.KeepDescriptors <= 0 {
		return false
	}
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok { // tls.Conn
		nc = t.NetConn()
	}
	c, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	takes := false
	if err := raw.Control(func(fd uintptr) { takes = a.takesKept(int(fd)) }); err != nil {
		return false
	}
	return takes
}

// noteScarcity counts a client that is closed because descriptors are short, and
// tells of it. Safe from any goroutine.
func (a *App) noteScarcity(remote netip.AddrPort) {
	const text = "no file descriptors are left for clients"
	a.fdRefused.Add(1)
	if a.opts.Refused != nil {
		a.opts.Refused(Refusal{Cause: RefusedDescriptors, Text: text, Remote: remote})
	} else if a.warnings.allow() {
		a.opts.Logger.Warn("a connection was refused", "why", text)
	}
}

// refuseConn closes a connection because descriptors are short.
func (a *App) refuseConn(nc net.Conn) {
	var remote netip.AddrPort
	if t, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		remote = t.AddrPort()
	}
	_ = nc.Close()
	a.noteScarcity(remote)
}

// refuseSocket is refuseConn for a socket.
func (a *App) refuseSocket(fd int) {
	_, remote := socketAddrs(fd)
	closeSocket(fd)
	a.noteScarcity(remote)
}
