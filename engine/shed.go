package engine

import (
	"math/bits"

	"github.com/gobwas/ws"
)

const (
	// tryAgainLater is a close code of the registry that RFC 6455 11.7 has begun.
	tryAgainLater StatusCode = 1013
	textShort                = "server is short of memory"
)

// SetMaxHeld bounds what all connections together may hold, in bytes: what waits for
// slow readers, counted for each of them, and what has come of messages that are not
// complete. Beyond it, unless Options.MoreHeld allows more, those are closed that hold
// most, at once: with 1013 where it is the client's own message that is too much, else
// without a Close frame, which would wait behind the rest. One message of any size is
// accepted where nothing waits, and a loop closes no connection while it holds less than
// its share: so somewhat more may be held. 0 or less: no bound. Safe from any goroutine.
func (a *App) SetMaxHeld(n int) { a.mostHeld.Store(int64(max(0, n))) }

// Held is what SetMaxHeld bounds, as of the loops' last turns. Safe from any goroutine.
func (a *App) Held() int { return int(a.held.Load()) }

// GiveBack has the loops give up memory that they keep for later use: unused queues,
// and the contexts of dedicated compressors, whose next message is a little longer for
// it. It does not wait for that. Safe from any goroutine.
func (a *App) GiveBack() {
	for _, l := range a.Loops() {
		l.post(l.giveBack)
	}
}

func (l *Loop) giveBack() {
	l.queues = nil
	l.packed, l.inflated = nil, nil
	for _, c := range l.conns {
		if c.ext != nil && c.ext.deflate != nil {
			c.ext.deflate.Forget()
		}
	}
}

// tellHeld tells the App what the loop's connections hold. It returns what those of all
// loops do.
func (l *Loop) tellHeld() int64 {
	now := l.stats.Buffered + l.arrived
	more := now - l.toldHeld
	if more == 0 {
		return l.app.held.Load()
	}
	l.toldHeld = now
	return l.app.held.Add(int64(more))
}

// mayHold reports whether a connection may hold n bytes more. Others that hold more may
// be closed for it, or the connection itself.
func (c *Conn) mayHold(n int) bool {
	l := c.loop
	most := int(l.app.mostHeld.Load())
	if most == 0 {
		return true
	}
	held := int(l.tellHeld()) + n
	if more := l.app.opts.MoreHeld; held > most && more != nil {
		most = more(held)
		l.app.SetMaxHeld(most)
	}
	if held <= most {
		return true
	}
	l.shed(most, c)
	return c.state == stateOpen || c.state == stateClosing
}

// shed closes the connections of the loop that hold most, until all loops hold an eighth
// less than most, or this one that much less than its share. by is the connection that
// wants more. Nothing is sent to others: a message may be on its way to them.
func (l *Loop) shed(most int, by *Conn) {
	share := most / len(l.app.loops)
	over := min(int(l.tellHeld())-most+most/8, l.stats.Buffered+l.arrived-share+share/8)
	if over <= 0 {
		return
	}
	var sums [bits.UintSize + 1]int // by the length of the number
	for _, c := range l.conns {
		n := c.held()
		sums[bits.Len(uint(n))] += n
	}
	least := len(sums) - 1
	for enough := over - sums[least]; enough > 0 && least > 1; enough -= sums[least] {
		least--
	}
	for i := len(l.conns) - 1; i >= 0 && over > 0; i-- {
		// The last takes the place of one that is closed.
		if n := l.conns[i].held(); bits.Len(uint(n)) >= least {
			over -= n
			l.letGo(l.conns[i], l.conns[i] == by)
		}
	}
	l.tellHeld()
}

// held is the memory that a connection's peer makes it take, in bytes.
func (c *Conn) held() (n int) {
	if c.out != nil {
		n = c.out.bytes
	}
	if c.in != nil {
		n += cap(c.in.buf)
	}
	return n
}

// letGo closes a connection for want of memory, and frees what it held at once.
func (l *Loop) letGo(c *Conn, tell bool) {
	if tell && c.out == nil {
		c.fail(CauseMemory, tryAgainLater, textShort)
		return
	}
	c.destroy(CauseMemory, ws.StatusAbnormalClosure, "")
	c.dropInbox()
	if q := c.out; q != nil {
		l.stats.Dropped += uint64(len(q.items) - q.head)
		q.grow(-q.bytes)
		q.items, q.head, q.off, q.arena = nil, 0, 0, nil
	}
}

// dropInbox gives up what has come of a message.
func (c *Conn) dropInbox() {
	if c.in != nil {
		c.loop.arrived -= cap(c.in.buf)
		c.in = nil
	}
}
