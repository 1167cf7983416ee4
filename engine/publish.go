package engine

import (
	"slices"
	"time"

	"github.com/fe4bcecb/wsd/codec/deflate"
	"github.com/fe4bcecb/wsd/codec/frame"
)

const (
	// A turn's publications are flushed at its end, or at this many messages or
	// bytes.
	maxLog      = 256
	maxLogBytes = 64 << 10
	// sampleEvery is how many publications there are to one whose way is timed.
	sampleEvery = 64
)

// publications collects what is published in one turn of a loop, so that each
// subscriber gets all of it in one write.
type publications struct {
	topics map[string]*topic
	log    []publication
	// frames are the log's frames end to end, packed the deflated ones.
	frames      []byte
	deflations  []byte
	dirtyTopics []*topic
	specials    []*Conn
	// base is the log position of log[0] in the loop's life.
	base   uint64
	gather []byte
	order  []int32
	// rotate moves the place where fan-outs begin, so that nobody is always
	// last.
	rotate uint32
}

// publication is one message: the spans of its frames.
type publication struct {
	topic      *topic
	except     *Conn
	op         OpCode
	size       int // of the payload
	start, end int
	// The deflated frame; zend is 0 before it was built and -1 when plain is
	// smaller.
	zstart, zend int
	// Copies for queues, made when the first reader is slow.
	kept, zkept []byte
}

func (p *publications) init() {
	p.topics = map[string]*topic{}
	p.frames = make([]byte, 0, maxLogBytes)
}

// Publish sends a message to all subscribers of a topic but this connection, on
// every loop and node. It does not need to be subscribed itself. msg may be
// reused when it returns. Errors are ErrTopic, ErrOverloaded and the broker's;
// a slow subscriber is none. Call on the socket's loop.
//
// Hot path: per message.
func (c *Conn) Publish(name string, msg []byte, op OpCode) error {
	return c.loop.publish(name, msg, op, c)
}

// publish sends a message to a topic's subscribers on every loop and node.
func (l *Loop) publish(name string, msg []byte, op OpCode, except *Conn) error {
	err := l.publishHere(name, msg, op, except)
	if l.app.node != nil && err != ErrTopic {
		if e := l.app.toBroker(name, msg, op); err == nil {
			err = e
		}
	}
	return err
}

// publishHere sends a message to a topic's subscribers and watchers on this node.
func (l *Loop) publishHere(name string, msg []byte, op OpCode, except *Conn) error {
	if name == "" || len(name) > MaxTopicLen {
		return ErrTopic
	}
	l.stats.Published++
	l.makeRoom(len(msg) + frame.MaxHeaderSize)
	if l.stats.Published%sampleEvery == 0 {
		l.sample(l.clock())
	}
	t := l.topics[name]
	var in *interest
	if t != nil {
		in = t.app
		start := len(l.frames)
		l.frames = frame.AppendFrame(l.frames, op, msg)
		l.logged(t, except, op, len(msg), start)
	}
	var err error
	if in == nil && (len(l.app.loops) > 1 || l.app.watches.Load() > 0) {
		in = l.app.topics.find(name)
	}
	l.stats.Fanout.observe(FanoutBounds, in.size())
	if in == nil {
		return nil
	}
	in.tell(name, msg, op)
	if len(l.app.loops) > 1 {
		err = l.spread(in, msg, op)
	}
	return err
}

// sample notes when a publication was made, unless an earlier one of this turn is
// sampled.
func (l *Loop) sample(at time.Duration) {
	if l.sampled == 0 {
		l.sampled = at
	}
}

// spread sends a frame to the other loops that have subscribers.
func (l *Loop) spread(in *interest, msg []byte, op OpCode) error {
	var err error
	var b []byte
	for i, other := range l.app.loops {
		if other == l || !in.present[i].Load() {
			continue
		}
		if b == nil {
			l.head = frame.AppendFrame(l.head[:0], op, msg)
			b = l.head
		}
		if e := other.mail.publish(in, op, b, len(msg)); e != nil {
			err = e
		}
		l.willWake(other)
	}
	if cap(l.head) > maxLogBytes {
		l.head = nil
	}
	return err
}

// makeRoom flushes a log that n bytes more would make too long. A topic without
// subscribers is forgotten then: look topics up afterwards.
func (l *Loop) makeRoom(n int) {
	if len(l.log) >= maxLog || len(l.frames) > 0 && len(l.frames)+n > maxLogBytes {
		l.flushPublications()
	}
}

// logFrame logs a publication that came framed from elsewhere.
func (l *Loop) logFrame(in *interest, op OpCode, b []byte, size int) {
	l.makeRoom(len(b))
	t := in.local[l.id]
	if t == nil {
		return // its last subscriber here has left
	}
	start := len(l.frames)
	l.frames = append(l.frames, b...)
	l.logged(t, nil, op, size, start)
}

// logged notes the frame at the end of l.frames.
func (l *Loop) logged(t *topic, except *Conn, op OpCode, size, start int) {
	if len(t.pending) == 0 {
		l.dirtyTopics = append(l.dirtyTopics, t)
	}
	t.pending = append(t.pending, int32(len(l.log)))
	l.log = append(l.log, publication{topic: t, except: except, op: op, size: size, start: start, end: len(l.frames)})
	if except != nil && except.flags&isSpecial == 0 && except.isMember(t) {
		l.markSpecialFrom(except, l.base)
	}
}

func (c *Conn) isMember(t *topic) bool {
	if c.ext == nil {
		return false
	}
	for i := range c.ext.subs {
		if c.ext.subs[i].topic == t {
			return true
		}
	}
	return false
}

// markSpecial lets c get only what is published from now on.
func (l *Loop) markSpecial(c *Conn) { l.markSpecialFrom(c, l.base+uint64(len(l.log))) }

func (l *Loop) markSpecialFrom(c *Conn, since uint64) {
	c.extend().since = since
	if c.flags&isSpecial == 0 {
		c.flags |= isSpecial
		l.specials = append(l.specials, c)
	}
}

// flushPublications sends the log to the subscribers.
//
// Hot path: per turn, with the loop below per subscriber.
func (l *Loop) flushPublications() {
	if len(l.log) == 0 {
		return
	}
	slow := slowWay
	if len(l.dirtyTopics) > 1 {
		slow |= isMulti
	}
	for _, t := range l.dirtyTopics {
		l.fanOut(t, slow)
	}
	l.endLog()
}

// endLog makes the log ready for the next publications.
func (l *Loop) endLog() {
	for i, c := range l.specials {
		c.flags &^= isSpecial
		l.specials[i] = nil
	}
	l.specials = l.specials[:0]
	for i, t := range l.dirtyTopics {
		t.pending = t.pending[:0]
		if len(t.members) == 0 {
			l.dropTopic(t)
		}
		l.dirtyTopics[i] = nil
	}
	l.dirtyTopics = l.dirtyTopics[:0]
	if l.sampled != 0 {
		l.stats.Delivery.observe(TurnBounds, uint64(l.clock()-l.sampled))
		l.sampled = 0
	}
	l.base += uint64(len(l.log))
	clear(l.log)
	l.log = l.log[:0]
	l.frames, l.deflations = trim(l.frames), trim(l.deflations)
	l.gather = trim(l.gather)
}

// trim empties a buffer and gives up one that an unusual message has grown.
func trim(b []byte) []byte {
	if cap(b) > 4*maxLogBytes {
		return make([]byte, 0, maxLogBytes)
	}
	return b[:0]
}

// fanOut sends a topic's publications to its subscribers. Most of them get the
// same bytes in one write; those that slow names are served one by one.
func (l *Loop) fanOut(t *topic, slow flags) {
	n := len(t.members)
	if n == 0 {
		return
	}
	t.fannedOut.Store(t.fannedOut.Load() + uint64(n)*uint64(len(t.pending)))
	plain := l.collect(t, false)
	var packed []byte
	l.rotate++
	at := int(l.rotate % uint32(n))
	served, bytes := 0, 0
	for range n {
		if at == n {
			at = 0
		}
		c := t.members[at].c
		at++
		if c.flags&slow != 0 {
			c.settle()
			continue
		}
		b := plain
		if c.flags&deflates != 0 {
			if packed == nil {
				packed = l.collect(t, true)
			}
			b = packed
		}
		if sent := c.write(b); sent != len(b) {
			c.sentShort(t, sent)
			continue
		}
		served++
		bytes += len(b)
	}
	for _, i := range t.pending {
		l.stats.FramesByOp[l.log[i].op&opMask] += uint64(served)
	}
	l.stats.FramesOut += uint64(served * len(t.pending))
	l.stats.BytesOut += uint64(bytes)
}

// collect returns a topic's pending frames end to end.
func (l *Loop) collect(t *topic, deflated bool) []byte {
	if deflated {
		for _, i := range t.pending {
			l.deflatePublication(&l.log[i])
		}
	}
	first, last := &l.log[t.pending[0]], &l.log[t.pending[len(t.pending)-1]]
	if !deflated && int(t.pending[len(t.pending)-1]-t.pending[0]) == len(t.pending)-1 {
		return l.frames[first.start:last.end]
	}
	start := len(l.gather)
	for _, i := range t.pending {
		l.gather = append(l.gather, l.bytes(&l.log[i], deflated)...)
	}
	return l.gather[start:]
}

// bytes is a publication's frame; the deflated one if it is smaller.
func (l *Loop) bytes(p *publication, deflated bool) []byte {
	if deflated && l.deflatePublication(p) {
		return l.deflations[p.zstart:p.zend]
	}
	return l.frames[p.start:p.end]
}

// deflatePublication compresses a publication once. It reports whether that
// made it smaller.
func (l *Loop) deflatePublication(p *publication) bool {
	if p.zend != 0 {
		return p.zend > 0
	}
	p.zend = -1
	if p.size < compressAbove {
		return false
	}
	body, ok := l.compressor.Append(l.packed[:0], l.payload(p), deflate.MaxWindowBits)
	l.packed = body[:0]
	l.stats.deflated(p.size, len(body))
	if !ok {
		return false
	}
	p.zstart = len(l.deflations)
	l.deflations = frame.AppendHeader(l.deflations, true, true, p.op, len(body))
	l.deflations = append(l.deflations, body...)
	p.zend = len(l.deflations)
	return true
}

func (l *Loop) payload(p *publication) []byte { return l.frames[p.end-p.size : p.end] }

// keep is a publication's frame in memory of its own, shared by all slow
// readers.
func (l *Loop) keep(p *publication, deflated bool) []byte {
	if deflated && l.deflatePublication(p) {
		if p.zkept == nil {
			p.zkept = slices.Clone(l.deflations[p.zstart:p.zend])
		}
		return p.zkept
	}
	if p.kept == nil {
		p.kept = slices.Clone(l.frames[p.start:p.end])
	}
	return p.kept
}

// sentShort queues what the kernel did not take of a topic's publications.
func (c *Conn) sentShort(t *topic, sent int) {
	if sent < 0 {
		c.broken()
		return
	}
	l := c.loop
	// The topic's publications are all that c has to get of this turn; what
	// happens below must not make settle send them again.
	l.markSpecial(c)
	deflated := c.flags&deflates != 0
	for _, i := range t.pending {
		p := &l.log[i]
		b := l.keep(p, deflated)
		if sent >= len(b) {
			sent -= len(b)
			l.stats.sent(p.op, len(b))
			continue
		}
		if sent > 0 {
			l.stats.sent(p.op, len(b))
			c.queue().push(b[sent:], true)
			sent = 0
			c.arm()
			continue
		}
		if c.out == nil {
			c.queue()
			c.arm()
		}
		if c.state == stateOpen && c.admit(len(b)) {
			l.stats.sent(p.op, len(b))
			c.queue().push(b, false)
		}
	}
}

// settle sends c what was published for it this turn before something else is
// sent to it, so that it gets all in the order of the calls. It reports whether
// the connection is open afterwards: a policy or the network may have ended it.
func (c *Conn) settle() bool {
	if len(c.loop.log) > 0 && c.ext != nil && len(c.ext.subs) > 0 {
		c.deliverPending()
	}
	return c.flags&notOpen == 0
}

// deliverPending is settle for a subscriber while something is logged.
func (c *Conn) deliverPending() {
	l := c.loop
	since := l.base
	if c.flags&isSpecial != 0 {
		since = c.ext.since
	}
	if since == l.base+uint64(len(l.log)) {
		return
	}
	l.markSpecial(c)
	skip := int32(since - l.base)
	order := l.order[:0]
	for i := range c.ext.subs {
		pending := c.ext.subs[i].topic.pending
		first, _ := slices.BinarySearch(pending, skip)
		order = append(order, pending[first:]...)
	}
	if c.flags&isMulti != 0 {
		slices.Sort(order)
	}
	for _, i := range order {
		if p := &l.log[i]; p.except != c {
			c.deliver(p)
		}
	}
	l.order = order[:0]
}

// deliver sends one publication to c.
func (c *Conn) deliver(p *publication) {
	l := c.loop
	switch {
	case c.flags&notOpen != 0:
		return
	case c.flags&fragmenting != 0:
		c.hold(l.payload(p), p.op)
		return
	case c.flags&dedicated != 0 && p.size >= compressAbove:
		c.sendDeflated(l.payload(p), p.op)
		return
	}
	deflated := c.flags&deflates != 0
	switch {
	case c.flags&(isCorked|hasQueue) == isCorked:
		c.corkFrame(l.bytes(p, deflated))
	case c.out != nil && c.out.armed:
		c.enqueue(nil, nil, l.keep(p, deflated), false)
	default:
		c.enqueue(l.bytes(p, deflated), nil, nil, false)
	}
}
