package engine

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fe4bcecb/wsd/codec/deflate"
	"github.com/fe4bcecb/wsd/codec/frame"
	"github.com/fe4bcecb/wsd/codec/handshake"
	"github.com/fe4bcecb/wsd/internal/conv"
	"github.com/fe4bcecb/wsd/internal/poll"
	"github.com/gobwas/ws"
)

const (
	// corkSize is what a connection's callbacks may send before it is written.
	corkSize = 64 << 10
	// corkBelow is the payload in bytes from which a frame is not copied into
	// the cork.
	corkBelow = 8 << 10
	// maxRounds bounds how often one turn goes round when its work makes more.
	maxRounds = 8
	// spareQueues is how many unused queues a loop keeps.
	spareQueues = 256
)

// Loop is one event loop: a goroutine that serves its connections for life. Its
// state needs no lock, because nothing else touches it.
type Loop struct {
	app  *App
	id   int
	poll *poll.Poll
	// self is the loop's goroutine.
	self   atomic.Uintptr
	number atomic.Uint64 // of self, in traces; 0: it does not run
	done   chan struct{}

	conns  []*Conn
	lastID uint64
	due    []uint32 // tick at which conns[i] needs a look; 0: never
	load   atomic.Int64

	// room is the read buffer with readAhead bytes before it.
	room    []byte
	corked  *Conn
	cork    []byte
	reply   int // bytes at the start of cork that are no frames
	message frame.Message
	heard   bool // the connection being read has completed a frame
	request handshake.Request
	head    []byte // scratch for responses

	compressor   deflate.Compressor
	decompressor deflate.Decompressor
	joined       []byte // scratch of joinQueued
	packed       []byte
	inflated     []byte

	mail mailbox
	publications

	// Work for the end of the turn.
	dirty      []*Conn     // queues to flush
	losses     []loss      // Dropped callbacks
	drains     []*Conn     // Drain callbacks
	closeCalls []closeCall // Close callbacks
	lingered   []*Conn     // lingering, output through
	dead       []*Conn     // to be released
	leave      []*Conn     // to another loop or to net/http
	jobs       []func()    // other work, such as releasing a listener
	wake       []*Loop     // loops that got mail
	stopping   bool        // finish when nothing is left

	closing  map[*Conn]closeCall
	queues   []*queue
	arrived  int // bytes of incomplete messages, as much as they take
	toldHeld int // see tellHeld

	tick      uint32        // seconds since the loop began
	began     time.Duration // of this turn, on clock
	busyAt    time.Duration // when stats.Busy was found, on clock
	busy      uint64        // stats.Turns.Sum then
	sampled   time.Duration // when a publication of this turn was made, one of many; 0: none
	timer     timer
	resumeAt  []resumption
	acceptors []*acceptor
	stats     LoopStats

	snapMu   sync.Mutex
	lastSnap LoopStats     // snapMu
	snapping chan struct{} // closed when lastSnap is renewed; nil: nobody has asked; snapMu
}

type loss struct {
	c               *Conn
	messages, bytes int
}

func newLoop(a *App, id int) (*Loop, error) {
	l := &Loop{
		app:     a,
		id:      id,
		done:    make(chan struct{}),
		room:    make([]byte, readAhead+readSize),
		cork:    make([]byte, 0, corkSize),
		closing: map[*Conn]closeCall{},
	}
	l.publications.init()
	l.mail.epoch = a.epoch
	p, err := poll.Open(l.begin, l.turn)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	l.poll = p
	if err := l.startTimer(); err != nil {
		return nil, fmt.Errorf("engine: loop timer: %w", err)
	}
	return l, nil
}

// run serves the loop until the App closes it.
func (l *Loop) run() {
	l.self.Store(conv.Goroutine())
	l.number.Store(conv.GoroutineNumber())
	defer close(l.done)
	if err := l.poll.Run(); err != nil {
		l.app.opts.Logger.Error("loop ended", "loop", l.id, "err", err)
	}
	l.self.Store(0)
	l.number.Store(0)
}

// ID is the loop's number, from 0. Safe from any goroutine.
func (l *Loop) ID() int { return l.id }

// Post has fn called on the loop, behind what was posted or published before.
// It may block the caller no longer than a lock takes, and fn must not block.
// The mailbox has no limit for functions: the caller bounds what it posts.
// It returns false after Shutdown, when fn will not be called. Safe from any
// goroutine.
func (l *Loop) Post(fn func()) bool { return l.post(fn) }

// Run calls fn at once when the caller is on the loop and no mail waits, and
// otherwise posts it. So calls of Run take place in the order in which they are
// made, whoever makes them, and cost nothing extra on the loop. fn must not
// block; a false result is Post's. Safe from any goroutine.
func (l *Loop) Run(fn func()) bool {
	if l.Direct() {
		fn()
		return true
	}
	return l.post(fn)
}

// Direct reports whether Run would call a function at once. Safe from any
// goroutine.
func (l *Loop) Direct() bool { return l.onLoop() && !l.mail.waiting.Load() }

// Here reports whether the caller runs on the loop. Safe from any goroutine.
func (l *Loop) Here() bool { return l.onLoop() }

func (l *Loop) post(fn func()) bool {
	if !l.mail.post(fn) {
		return false
	}
	l.wakeUp()
	return true
}

// wakeUp makes the loop look at its mail.
func (l *Loop) wakeUp() {
	l.mail.mu.Lock()
	defer l.mail.mu.Unlock()
	if !l.mail.closed {
		// Failing means that the loop's eventfd is full: it is awake.
		_ = l.poll.Wake()
	}
}

// onLoop reports whether the caller runs on the loop.
func (l *Loop) onLoop() bool { return l.self.Load() == conv.Goroutine() }

// clock is the time since the App was made.
func (l *Loop) clock() time.Duration { return time.Since(l.app.epoch) }

// begin starts an iteration.
func (l *Loop) begin() { l.began = l.clock() }

// turn ends an iteration.
func (l *Loop) turn(int) poll.Wait {
	next := l.work()
	l.tellHeld()
	l.stats.turned(l.clock() - l.began)
	l.sampled = 0
	return next
}

// work is what is left to do in an iteration: mail, publications, output,
// callbacks, releases.
func (l *Loop) work() poll.Wait {
	for round := 0; ; round++ {
		l.readMail()
		if l.settled() {
			break
		}
		l.wakeOthers() // they fan out while this loop does
		l.flushPublications()
		l.flushDirty()
		l.tell()
		l.release()
		if round == maxRounds {
			l.wakeOthers()
			return poll.WaitNone
		}
	}
	l.wakeOthers()
	if l.stopping && !l.finish() {
		return poll.WaitNone
	}
	if l.app.keepsProcessor() {
		return poll.WaitRaw
	}
	return poll.WaitAnnounced
}

// settled reports whether the turn has left no work.
func (l *Loop) settled() bool {
	return len(l.log)+len(l.dirty)+len(l.losses)+len(l.drains)+len(l.closeCalls)+
		len(l.lingered)+len(l.dead)+len(l.leave)+len(l.jobs) == 0
}

// flushDirty writes what was sent outside of readable events.
func (l *Loop) flushDirty() {
	for i := 0; i < len(l.dirty); i++ {
		c := l.dirty[i]
		if c.out == nil || !c.out.listed {
			continue
		}
		c.out.listed = false
		if !c.out.armed && c.state != stateClosed {
			c.flush()
		}
	}
	clear(l.dirty)
	l.dirty = l.dirty[:0]
}

// tell calls the callbacks that this turn has caused.
func (l *Loop) tell() {
	losses, drains := l.losses, l.drains
	l.losses, l.drains = nil, nil
	for _, x := range losses {
		if x.c.state == stateOpen {
			l.call(x.c, func() { x.c.route.Dropped(x.c, x.messages, x.bytes) })
		}
	}
	for _, c := range drains {
		if c.state == stateOpen {
			l.call(c, func() { c.route.Drain(c) })
		}
	}
	for i := 0; i < len(l.closeCalls); i++ {
		e := l.closeCalls[i]
		l.count(&e)
		if e.c.flags&wasOpened != 0 && e.c.route.Close != nil {
			l.call(e.c, func() { e.c.route.Close(e.c, e.code, e.reason) })
		}
		l.unsubscribeAll(e.c)
	}
	clear(l.closeCalls)
	l.closeCalls = l.closeCalls[:0]
}

// count counts a connection that has ended.
func (l *Loop) count(e *closeCall) {
	l.stats.Ended[e.by][endCode(e.code)]++
	if c := e.c; c.flags&wasOpened != 0 && !c.route.Layered {
		age := max(0, l.began-time.Duration(c.since)*time.Second)
		l.stats.Lives.observe(LifeBounds, uint64(age))
	}
}

// call runs a callback of c outside of a readable event.
func (l *Loop) call(c *Conn, fn func()) {
	defer func() {
		if v := recover(); v != nil {
			c.panicked(v)
		}
	}()
	fn()
}

// release closes what has lingered enough, frees what is dead and hands over
// what leaves. Operators may only be freed here.
func (l *Loop) release() {
	for _, c := range l.lingered {
		if c.state != stateLingering || c.out != nil {
			continue
		}
		if c.flags&peerClosed != 0 {
			c.destroy(CausePeer, 0, "")
			continue
		}
		c.shutdownWrite()
		l.due[c.idx] = l.after(lingerTicks)
	}
	clear(l.lingered)
	l.lingered = l.lingered[:0]
	for _, c := range l.leave {
		c.depart()
	}
	clear(l.leave)
	l.leave = l.leave[:0]
	for i := 0; i < len(l.dead); i++ {
		l.bury(l.dead[i])
	}
	clear(l.dead)
	l.dead = l.dead[:0]
	jobs := l.jobs
	l.jobs = nil
	for _, job := range jobs {
		job()
	}
}

// bury releases what a destroyed connection held.
func (l *Loop) bury(c *Conn) {
	c.releaseTransport()
	if q := c.out; q != nil {
		c.out = nil
		c.flags &^= hasQueue
		q.items, q.head = nil, 0
		l.giveQueue(q)
	}
	c.dropInbox()
}

// add makes the loop serve c.
func (l *Loop) add(c *Conn) {
	c.loop = l
	c.idx = int32(len(l.conns))
	l.conns = append(l.conns, c)
	l.due = append(l.due, 0)
	l.load.Add(1)
}

// remove makes the loop forget c.
func (l *Loop) remove(c *Conn) {
	last := len(l.conns) - 1
	moved := l.conns[last]
	l.conns[c.idx], l.due[c.idx] = moved, l.due[last]
	moved.idx = c.idx
	l.conns[last] = nil
	l.conns, l.due = l.conns[:last], l.due[:last]
	l.load.Add(-1)
}

// roomBefore returns the read buffer from its start when data is what was read
// into it.
func (l *Loop) roomBefore(data []byte) []byte {
	if len(data) > 0 && &data[0] == &l.room[readAhead] {
		return l.room
	}
	return nil
}

// corkFor collects what c sends until uncork.
func (l *Loop) corkFor(c *Conn) {
	l.corked = c
	l.cork = l.cork[:0]
	l.reply = 0
	c.flags |= isCorked
}

// uncork writes what was collected.
func (l *Loop) uncork() {
	c := l.corked
	if c == nil {
		return
	}
	if len(l.cork) > 0 {
		l.flushCork()
	}
	c.flags &^= isCorked
	l.corked = nil
}

// flushCork writes the cork; what the kernel refuses goes to the queue.
func (l *Loop) flushCork() {
	c := l.corked
	b := l.cork
	l.cork = l.cork[:0]
	if len(b) == 0 || c.state == stateClosed {
		return
	}
	n := c.write(b)
	if n == len(b) {
		l.reply = 0
		return
	}
	if n < 0 {
		c.broken()
		return
	}
	if n < l.reply {
		q := c.queue()
		q.push(q.copied(b[n:l.reply], nil), true)
		n = l.reply
	}
	c.queueCork(b, n)
	l.reply = 0
}

// queueCork queues what the kernel did not take of a cork, frame by frame, so
// that a policy can tell them apart. sent bytes of b are out.
func (c *Conn) queueCork(b []byte, sent int) {
	q := c.queue()
	c.arm()
	var h frame.Header
	for at := c.loop.reply; at < len(b) && c.out == q; {
		n, err := frame.ParseHeader(b[at:], &h)
		if n == 0 || err != nil {
			break // not reached: the cork holds whole frames of ours
		}
		end := at + n + int(h.Length)
		switch {
		case sent >= end:
		case sent > at || h.OpCode.IsControl() || !h.Fin || h.OpCode == ws.OpContinuation:
			q.push(q.copied(b[max(at, sent):end], nil), true)
		case c.flags&dedicated != 0:
			q.push(q.copied(b[at:end], nil), true)
		case c.flags&notOpen == 0 && c.admit(end-at):
			q.push(q.copied(b[at:end], nil), false)
		}
		at = end
	}
}

func (l *Loop) takeQueue() *queue {
	if n := len(l.queues); n > 0 {
		q := l.queues[n-1]
		l.queues = l.queues[:n-1]
		return q
	}
	return &queue{stats: &l.stats}
}

func (l *Loop) giveQueue(q *queue) {
	q.reset()
	if len(l.queues) < spareQueues {
		l.queues = append(l.queues, q)
	}
}
