package engine

import (
	"errors"
	"runtime/debug"

	"github.com/fe4bcecb/wsd/codec/frame"
	"github.com/gobwas/ws"
)

// CloseCause says why a connection ended; Stats counts by it.
type CloseCause uint8

// The causes.
const (
	CausePeer         CloseCause = iota // the peer's Close frame
	CauseServer                         // Conn.Close
	CauseTerminate                      // Conn.Terminate
	CauseNetwork                        // end of stream, reset
	CauseProtocol                       // a rule of RFC 6455 or 7692 broken
	CauseTooBig                         // 1009
	CauseIdle                           // IdleTimeout
	CauseLifetime                       // MaxLifetime
	CauseBackpressure                   // ClosePolicy
	CausePanic                          // a callback panicked
	CauseCapacity                       // MaxConnections
	CauseShutdown                       // Shutdown
	CauseHandshake                      // refused, or not completed in time
	CauseMemory                         // SetMaxHeld
	closeCauses
)

var causeNames = [closeCauses]string{
	"peer", "server", "terminate", "network", "protocol", "too_big", "idle", "lifetime",
	"backpressure", "panic", "capacity", "shutdown", "handshake", "memory",
}

func (c CloseCause) String() string { return causeNames[c] }

const (
	// closeTicks is how long the peer may take to read our last output, and to
	// answer a Close frame; lingerTicks how long to hang up after that. Seconds.
	closeTicks  = 5
	lingerTicks = 2
	// leavingTicks is closeTicks of a server that drains: many answer at once.
	leavingTicks = 20
)

// closeCall is a connection whose Close callback is due.
type closeCall struct {
	c      *Conn
	by     Initiator
	code   StatusCode
	reason string
}

// Close sends a Close frame behind everything that was sent or published
// before, and closes when the peer has answered, or after 5 s. A code that may
// not be on the wire (RFC 6455 7.4.1) sends an empty Close frame; a reason is
// cut to 123 bytes. A fragmented message that is not complete is cut off, and
// what waits for its end is dropped. Call on the socket's loop.
func (c *Conn) Close(code StatusCode, reason string) { c.close(CauseServer, code, reason) }

func (c *Conn) close(cause CloseCause, code StatusCode, reason string) {
	if c.state != stateOpen {
		return
	}
	c.sendClose(code, reason)
	if c.state != stateOpen {
		return
	}
	l := c.loop
	l.stats.Closed[cause]++
	c.dropHeld()
	c.setState(stateClosing)
	l.due[c.idx] = l.after(closeTicks)
	if l.app.leaving.Load() {
		l.due[c.idx] = l.after(leavingTicks)
	}
	l.closing[c] = closeCall{c, cause.initiator(), code, reason}
}

// Terminate closes the connection at once, without a Close frame. Call on the
// socket's loop.
func (c *Conn) Terminate() {
	if c.state == stateOpen || c.state == stateClosing {
		c.destroy(CauseTerminate, ws.StatusAbnormalClosure, "")
	}
}

// sendClose sends our Close frame, once, behind all that was sent before it.
func (c *Conn) sendClose(code StatusCode, reason string) {
	if c.flags&closeSent != 0 {
		return
	}
	if c.flags&fragmenting == 0 {
		c.settle()
		if c.flags&closeSent != 0 || c.state == stateClosed {
			return // what was pending has ended the connection
		}
	}
	c.flags |= closeSent
	var buf [frame.MaxControlPayload]byte
	c.emit(ws.OpClose, true, false, frame.AppendClose(buf[:0], code, reason), true)
}

// receiveClose answers the peer's Close frame. RFC 6455 5.5.1.
func (c *Conn) receiveClose(payload []byte) {
	code, reason, err := frame.ParseClose(payload)
	if err != nil {
		c.failProtocol(err)
		return
	}
	if c.state == stateClosing {
		c.linger(true)
		return
	}
	text := string(reason)
	c.sendClose(code, "")
	if c.state != stateOpen {
		return // it broke on the way, or was closed as too slow
	}
	c.loop.stats.Closed[CausePeer]++
	c.end(CausePeer, code, text)
	c.linger(true)
}

// failProtocol ends the connection with the code of a broken rule.
func (c *Conn) failProtocol(err error) {
	var broken *frame.ProtocolError
	if !errors.As(err, &broken) {
		broken = &frame.ProtocolError{Code: ws.StatusProtocolError}
	}
	cause := CauseProtocol
	if broken.Code == ws.StatusMessageTooBig {
		cause = CauseTooBig
	}
	c.fail(cause, broken.Code, broken.Text)
}

// fail sends a Close frame and reads nothing more. RFC 6455 7.1.7.
func (c *Conn) fail(cause CloseCause, code StatusCode, reason string) {
	if c.state != stateOpen && c.state != stateClosing {
		return
	}
	before := c.state
	c.sendClose(code, reason)
	if c.state != before {
		return // it broke on the way, or was closed as too slow
	}
	if before == stateOpen {
		c.loop.stats.Closed[cause]++
	}
	c.end(cause, code, reason)
	c.linger(false)
}

// linger stops handling input. When output is through, the connection closes:
// at once if the peer has said its last, else when it hangs up.
func (c *Conn) linger(peerDone bool) {
	if c.state == stateLingering || c.state == stateClosed {
		return
	}
	l := c.loop
	if end, ok := l.closing[c]; ok {
		delete(l.closing, c)
		l.closeCalls = append(l.closeCalls, end)
	}
	c.dropHeld()
	c.setState(stateLingering)
	c.dropInbox()
	if peerDone {
		c.flags |= peerClosed
	}
	l.due[c.idx] = l.after(closeTicks)
	l.lingered = append(l.lingered, c)
}

// end has the Close callback called at the end of the turn.
func (c *Conn) end(cause CloseCause, code StatusCode, reason string) {
	l := c.loop
	if _, ok := l.closing[c]; ok {
		return // our own Close came first: linger reports it
	}
	l.closeCalls = append(l.closeCalls, closeCall{c, cause.initiator(), code, reason})
}

// broken ends a connection whose transport failed.
func (c *Conn) broken() { c.destroy(CauseNetwork, ws.StatusAbnormalClosure, "") }

// destroy ends the connection now. Its descriptor and its operator are released
// at the end of the turn: events and iterations may still name it.
func (c *Conn) destroy(cause CloseCause, code StatusCode, reason string) {
	if c.state == stateClosed || c.state == stateLeaving {
		return
	}
	l := c.loop
	switch c.state {
	case stateOpen:
		l.stats.Closed[cause]++
		c.end(cause, code, reason)
	case stateClosing:
		if end, ok := l.closing[c]; ok {
			delete(l.closing, c)
			l.closeCalls = append(l.closeCalls, end)
		}
	case stateHandshake, stateDeferred:
		l.stats.Closed[CauseHandshake]++
	}
	c.dropHeld()
	c.setState(stateClosed)
	c.endWaiting()
	c.uncount()
	l.remove(c)
	l.dead = append(l.dead, c)
}

// panicked closes the connection whose callback panicked with v.
func (c *Conn) panicked(v any) {
	l := c.loop
	l.stats.Panics++
	l.app.opts.Logger.Error("callback panicked", "panic", v, "stack", string(debug.Stack()))
	switch c.state {
	case stateHandshake, stateDeferred:
		c.refuse(500, "")
	default:
		c.fail(CausePanic, ws.StatusInternalServerError, "")
	}
}
