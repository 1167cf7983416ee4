package engine

import (
	"crypto/tls"
	"net/netip"

	"github.com/fe4bcecb/wsd/internal/poll"
)

// state is the place of a connection in its life.
type state uint8

const (
	// stateHandshake: the request head is being read.
	stateHandshake state = iota
	// stateDeferred: Upgrade will be decided later.
	stateDeferred
	// stateLeaving: on the way to another loop or to net/http, which the end of
	// the loop's turn completes.
	stateLeaving
	// stateOpen: messages flow.
	stateOpen
	// stateClosing: our Close frame is sent, the peer's awaited.
	stateClosing
	// stateLingering: everything is said; input is discarded until the peer
	// hangs up, so that it can read our last words (RFC 9293 3.10.4: a close
	// with unread input is a reset).
	stateLingering
	// stateClosed: gone.
	stateClosed
)

// flags are the reasons why a connection can't take the fan-out's short way,
// and other single facts.
type flags uint32

const (
	// hasQueue: output waits in Conn.out.
	hasQueue flags = 1 << iota
	// isCorked: output waits in the loop's cork buffer.
	isCorked
	// isSpecial: some publications of this turn are not for it.
	isSpecial
	// isMulti: subscribed to more than one topic.
	isMulti
	// deflates: permessage-deflate was agreed, without server context.
	deflates
	// dedicated: permessage-deflate was agreed, with context in some direction.
	dedicated
	// onStream: served by a goroutine transport.
	onStream
	// notOpen: not in stateOpen.
	notOpen
	// fragmenting: between SendFirstFragment and SendLastFragment.
	fragmenting
	// isPinged: the automatic ping was sent and nothing came since.
	isPinged
	// wasOpened: the Open callback ran, so Close must.
	wasOpened
	// closeSent: our Close frame is out.
	closeSent
	// reinjected: the handshake came back from net/http.
	reinjected
	// peerClosed: the peer sent its Close frame, so nothing more comes.
	peerClosed
	// counted: it counts towards MaxConnections.
	counted
	// unheaded: what comes first may be a PROXY header.
	unheaded
	// proxied: its address is what a PROXY header told.
	proxied
	// proxiedTLS: its client came to the proxy by TLS, as that header told.
	proxiedTLS
	// heeded: messages are delivered although our Close frame is out.
	heeded

	// slowWay is what keeps a connection from the fan-out's short way.
	slowWay = hasQueue | isCorked | isSpecial | dedicated | onStream | notOpen | fragmenting
)

// Conn is one WebSocket connection.
//
// Its methods must be called on its loop: in its callbacks, or in a function
// given to its Loop's Post. Only Loop, ID and UserData are safe elsewhere, the
// last as long as nobody calls SetUserData. After Close was called back, a
// Conn may be kept: sends are dropped.
type Conn struct {
	loop  *Loop
	op    *poll.Operator
	route *route
	in    *inbox
	out   *queue
	ext   *extension
	user  any
	fd    int32
	idx   int32 // in loop.conns
	flags flags
	state state
	// window is the server's agreed window in bits, when deflates is set.
	window uint8
	since  uint32 // when it was accepted, in microseconds, and once open when that was, in seconds; on the loop's clock
	id     uint64 // see ID
}

// extension is the rarely used part of a Conn.
type extension struct {
	subs        []subscription
	since       uint64 // log position from which publications are for this one
	held        []held // publications and sends that wait for the last fragment
	heldBytes   int
	stream      *stream
	inflate     inflater
	deflate     deflater
	upgrade     *Handshake
	departure   *departure
	life        uint32 // tick at which MaxLifetime ends; 0: never
	local       netip.AddrPort
	remote      netip.AddrPort
	subprotocol string
}

// inflater and deflater are a dedicated connection's codecs.
type (
	inflater interface {
		Append(dst, msg []byte, limit int) ([]byte, error)
	}
	deflater interface {
		Append(dst, msg []byte) ([]byte, bool)
		Forget()
	}
)

func (c *Conn) extend() *extension {
	if c.ext == nil {
		c.ext = new(extension)
	}
	return c.ext
}

// setState moves c on and keeps the fan-out's flag in step.
func (c *Conn) setState(s state) {
	c.state = s
	if s == stateOpen {
		c.flags &^= notOpen
	} else {
		c.flags |= notOpen
	}
}

// Loop is the loop that serves the connection. Safe from any goroutine.
func (c *Conn) Loop() *Loop { return c.loop }

// UserData is what Accept.UserData or SetUserData set.
func (c *Conn) UserData() any { return c.user }

// SetUserData attaches a value to the connection.
func (c *Conn) SetUserData(v any) { c.user = v }

// Subprotocol is the one that Upgrade chose, or "".
func (c *Conn) Subprotocol() string {
	if c.ext == nil {
		return ""
	}
	return c.ext.subprotocol
}

// RemoteAddr is the peer's address, or the one that its PROXY header told; the zero
// value on a transport that has none (a Unix socket, a pipe), and when it is first asked
// for after the connection broke.
func (c *Conn) RemoteAddr() netip.AddrPort {
	if c.ext == nil || !c.ext.remote.IsValid() {
		c.lookUpAddrs()
	}
	return c.ext.remote
}

// LocalAddr is the server's address of this connection, like RemoteAddr.
func (c *Conn) LocalAddr() netip.AddrPort {
	if c.ext == nil || !c.ext.local.IsValid() {
		c.lookUpAddrs()
	}
	return c.ext.local
}

// overTLS reports whether the client's way is encrypted, up to here or to a proxy.
func (c *Conn) overTLS() bool {
	if c.flags&proxiedTLS != 0 {
		return true
	}
	if c.flags&onStream == 0 {
		return false
	}
	_, ok := c.ext.stream.nc.(*tls.Conn)
	return ok
}

func (c *Conn) lookUpAddrs() {
	e := c.extend()
	if c.state != stateClosed || c.flags&onStream != 0 {
		e.local, e.remote = c.transportAddrs()
	}
}

func (c *Conn) transportAddrs() (local, remote netip.AddrPort) {
	if c.flags&onStream != 0 {
		local, remote = c.ext.stream.addrs()
	} else {
		local, remote = socketAddrs(int(c.fd))
	}
	if c.flags&proxied != 0 {
		remote = c.ext.remote
	}
	return local, remote
}

// BufferedAmount is how many bytes wait to be sent, corked ones and those of
// this turn's publications included.
func (c *Conn) BufferedAmount() int {
	if c.state != stateOpen && c.state != stateClosing {
		return 0
	}
	if !c.settle() && c.state != stateClosing {
		return 0
	}
	n := 0
	if c.flags&isCorked != 0 {
		n = len(c.loop.cork)
	}
	if c.out != nil {
		n += c.out.bytes
	}
	if c.ext != nil {
		n += c.ext.heldBytes
	}
	return n
}

// Writable reports whether nothing waits for a slow reader: what is sent now
// goes out at the end of the turn at the latest, as far as the kernel takes it.
// Call on the socket's loop.
func (c *Conn) Writable() bool {
	return c.state == stateOpen && (c.out == nil || !c.out.armed) && c.flags&fragmenting == 0
}

// touch restarts the idle timer of an open connection. The other states' times
// are not the peer's to extend.
func (c *Conn) touch() {
	if c.state != stateOpen {
		return
	}
	l := c.loop
	l.due[c.idx] = c.nextDue()
	c.flags &^= isPinged
}

// nextDue is the tick at which a connection that is active now needs a look: to
// be pinged or to be closed.
func (c *Conn) nextDue() uint32 {
	wait := c.route.ping
	if wait == 0 {
		wait = c.route.idle
	}
	if wait == 0 {
		return c.bounded(0)
	}
	return c.bounded(c.loop.after(wait))
}
