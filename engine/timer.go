package engine

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/gobwas/ws"
)

// resumption is work for a later tick.
type resumption struct {
	tick uint32
	fn   func()
}

// advance is called once a second: it looks after connections whose time has
// come.
func (l *Loop) advance(seconds uint32) {
	l.tick += seconds
	l.tellBusy()
	l.packed, l.inflated, l.head = trim(l.packed), trim(l.inflated), trim(l.head)
	for i := len(l.due) - 1; i >= 0; i-- {
		// A look may remove connections; the last takes the place of one.
		if i < len(l.due) && l.due[i] != 0 && l.due[i] <= l.tick {
			l.conns[i].timedOut()
		}
	}
	waiting := l.resumeAt
	l.resumeAt = nil
	for _, r := range waiting {
		if r.tick > l.tick {
			l.resumeAt = append(l.resumeAt, r)
			continue
		}
		r.fn()
	}
}

// tellBusy finds how busy the loop was since the last tick.
func (l *Loop) tellBusy() {
	now := l.clock()
	if passed := now - l.busyAt; passed > 0 {
		l.stats.Busy = min(1, float64(l.stats.Turns.Sum-l.busy)/float64(passed))
	}
	l.busyAt, l.busy = now, l.stats.Turns.Sum
}

// after is the tick at which so many seconds have passed for sure: the running
// tick has begun before.
func (l *Loop) after(seconds uint32) uint32 { return l.tick + seconds + 1 }

// timedOut handles a connection whose time has come.
func (c *Conn) timedOut() {
	l := c.loop
	switch c.state {
	case stateHandshake:
		if c.in == nil {
			c.destroy(CauseHandshake, 0, "")
			return
		}
		text := "the request took too long"
		if c.flags&unheaded != 0 {
			text = lateHeader
		}
		c.turnAway(RefusedRequest, 408, text)
	case stateDeferred:
		c.turnAway(RefusedDecision, 503, "the decision took too long")
	case stateOpen:
		c.idled()
	case stateClosing:
		l.app.unanswered.Add(1)
		c.destroy(CauseServer, 0, "")
	case stateLingering:
		c.destroy(CauseServer, 0, "")
	case stateClosed, stateLeaving:
		l.due[c.idx] = 0
	}
}

// idled pings a connection that was quiet, and closes it when that did not help
// or when it has lived long enough.
func (c *Conn) idled() {
	l, r := c.loop, c.route
	switch {
	case r.life > 0 && l.tick >= c.ext.life:
		c.close(CauseLifetime, ws.StatusGoingAway, "maximum lifetime reached")
	case r.ping > 0 && c.flags&isPinged == 0:
		c.pingTimed()
		if c.state != stateOpen {
			return
		}
		if r.idle > 0 {
			c.flags |= isPinged
			l.due[c.idx] = c.bounded(l.tick + r.idle - r.ping)
			return
		}
		l.due[c.idx] = c.bounded(l.tick + r.ping)
	default:
		c.fail(CauseIdle, ws.StatusGoingAway, "idle timeout")
	}
}

// pingTimed sends a ping that says when it was sent, so that its pong does.
func (c *Conn) pingTimed() {
	var at [4]byte
	binary.BigEndian.PutUint32(at[:], c.loop.micros())
	c.Ping(at[:])
}

// timePong counts how long the answer to pingTimed took.
func (c *Conn) timePong(payload []byte) {
	if c.flags&isPinged == 0 || len(payload) != 4 {
		return
	}
	l := c.loop
	took := time.Duration(l.micros()-binary.BigEndian.Uint32(payload)) * time.Microsecond
	if took <= time.Duration(c.route.idle)*time.Second { // else it is no echo of ours
		l.stats.RTT.observe(RTTBounds, uint64(took))
	}
}

// micros is the loop's clock in microseconds; it goes round in 71 minutes.
func (l *Loop) micros() uint32 { return uint32(l.clock() / time.Microsecond) }

// bounded is due, or the end of the connection's life where that is earlier.
func (c *Conn) bounded(due uint32) uint32 {
	if c.route.life == 0 {
		return due
	}
	if due == 0 || c.ext.life < due {
		return c.ext.life
	}
	return due
}

// startLife sets the end of a connection's life, up to a tenth early.
func (c *Conn) startLife() {
	life := c.route.life
	if life == 0 {
		return
	}
	c.extend().life = c.loop.after(life) - rand.Uint32N(life/10+1)
}
