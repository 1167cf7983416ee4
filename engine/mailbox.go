package engine

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxMail is how many bytes of publications a loop's mailbox may hold. Beyond
// it a publisher is told, and the loss is counted.
const maxMail = 16 << 20

const (
	// mailSize is what a publication counts beside its frame, in bytes.
	mailSize = 64
	// keepMail bounds the items that an empty mailbox keeps room for.
	keepMail = 4096
)

// mailbox is how other goroutines reach a loop: functions and publications, in
// one order.
type mailbox struct {
	// waiting is true while there is mail; the loop looks without the lock.
	waiting atomic.Bool

	mu     sync.Mutex
	closed bool
	items  []mail
	frames []byte
	// spare are the buffers of the last reading.
	spareItems  []mail
	spareFrames []byte
	lost        uint64        // publications refused
	epoch       time.Time     // of the loop's clock
	published   uint64        // publications taken
	sampled     time.Duration // when one of the items was put in, on clock; 0: none
}

// mail is a function, or a publication whose frame is at frames[start:end].
type mail struct {
	fn         func()
	topic      *interest
	op         OpCode
	size       int // of the payload
	start, end int
}

// post returns false when the box is closed.
func (m *mailbox) post(fn func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.items = append(m.items, mail{fn: fn})
	m.waiting.Store(true)
	return true
}

// publish queues a frame for a topic's subscribers on the loop.
func (m *mailbox) publish(topic *interest, op OpCode, b []byte, size int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrShutdown
	}
	if len(m.frames)+len(b)+len(m.items)*mailSize > maxMail {
		m.lost++
		return ErrOverloaded
	}
	start := len(m.frames)
	m.frames = append(m.frames, b...)
	m.items = append(m.items, mail{topic: topic, op: op, size: size, start: start, end: len(m.frames)})
	m.waiting.Store(true)
	if m.published++; m.published%sampleEvery == 0 && m.sampled == 0 {
		m.sampled = time.Since(m.epoch)
	}
	return nil
}

// take returns all mail and leaves the box empty. The caller gives the slices
// back when it has read them. sampled is when one of the publications was put in,
// or 0.
func (m *mailbox) take() (items []mail, frames []byte, sampled time.Duration) {
	if !m.waiting.Load() {
		return nil, nil, 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting.Store(false)
	items, frames, sampled = m.items, m.frames, m.sampled
	m.sampled = 0
	m.items, m.frames = m.spareItems[:0], m.spareFrames[:0]
	m.spareItems, m.spareFrames = nil, nil
	return items, frames, sampled
}

func (m *mailbox) give(items []mail, frames []byte) {
	clear(items)
	m.mu.Lock()
	defer m.mu.Unlock()
	const keep = 1 << 20
	if cap(items) <= keepMail {
		m.spareItems = items[:0]
	}
	if cap(frames) <= keep {
		m.spareFrames = frames[:0]
	}
}

// closeIfEmpty refuses further mail, unless there is some to be read.
func (m *mailbox) closeIfEmpty() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = len(m.items) == 0
	return m.closed
}

// readMail runs the functions and logs the publications that arrived.
func (l *Loop) readMail() {
	items, frames, sampled := l.mail.take()
	if items == nil {
		return
	}
	if sampled != 0 {
		l.sample(sampled)
	}
	for i := range items {
		m := &items[i]
		if m.fn != nil {
			l.runPosted(m.fn)
			continue
		}
		l.logFrame(m.topic, m.op, frames[m.start:m.end], m.size)
	}
	l.mail.give(items, frames)
}

// runPosted calls a posted function; its panic belongs to no connection.
func (l *Loop) runPosted(fn func()) {
	defer func() {
		if v := recover(); v != nil {
			l.stats.Panics++
			l.app.opts.Logger.Error("posted function panicked", "loop", l.id, "panic", v)
		}
	}()
	fn()
}

// wakeOthers wakes the loops that this turn has sent mail to.
func (l *Loop) wakeOthers() {
	for i, other := range l.wake {
		other.wakeUp()
		l.wake[i] = nil
	}
	l.wake = l.wake[:0]
}

// willWake remembers to wake other at the end of the turn.
func (l *Loop) willWake(other *Loop) {
	for _, w := range l.wake {
		if w == other {
			return
		}
	}
	l.wake = append(l.wake, other)
}
