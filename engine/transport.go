package engine

import "github.com/fe4bcecb/wsd/internal/poll"

// A connection's bytes move through a socket on the loop (socket_linux.go) or a
// goroutine transport (stream.go). Both behave as a non-blocking socket does:
// the functions here choose.

// write sends b. It returns how much was taken: less than all when the reader
// is slow, -1 when the connection broke.
//
// Hot path: per write.
func (c *Conn) write(b []byte) int {
	if c.flags&onStream != 0 {
		return c.ext.stream.write(b)
	}
	return sendSocket(int(c.fd), b)
}

// writeTwo sends a and b as one.
func (c *Conn) writeTwo(a, b []byte) int {
	if c.flags&onStream != 0 {
		n := c.ext.stream.write(a)
		if n < len(a) {
			return n
		}
		m := c.ext.stream.write(b)
		if m < 0 {
			return m
		}
		return n + m
	}
	return sendSocketParts(int(c.fd), [][]byte{a, b})
}

// maxParts is how many items one write takes from a queue.
const maxParts = 64

// writeQueue sends the head of q, which is not empty. all is true when the
// transport took everything it was given.
func (c *Conn) writeQueue(q *queue) (n int, all bool) {
	first := q.items[q.head].b[q.off:]
	if q.head == len(q.items)-1 || c.flags&onStream != 0 {
		n = c.write(first)
		return n, n == len(first)
	}
	if b := c.loop.joinQueued(q); b != nil {
		n = c.write(b)
		return n, n == len(b)
	}
	var parts [maxParts][]byte
	parts[0] = first
	k, size := 1, len(first)
	for i := q.head + 1; i < len(q.items) && k < maxParts; i++ {
		parts[k] = q.items[i].b
		size += len(parts[k])
		k++
	}
	n = sendSocketParts(int(c.fd), parts[:k])
	return n, n == size
}

// joinSize bounds what is copied together for one write: below it, send(2) of
// a copy costs less than sendmsg(2) of parts.
const joinSize = 8 << 10

// joinQueued copies the head of a queue into one piece, valid until the next call,
// or returns nil when there are not two items small enough.
func (l *Loop) joinQueued(q *queue) []byte {
	if len(q.items[q.head].b)-q.off+len(q.items[q.head+1].b) > joinSize {
		return nil
	}
	if l.joined == nil {
		l.joined = make([]byte, 0, joinSize)
	}
	b := append(l.joined, q.items[q.head].b[q.off:]...)
	for i := q.head + 1; i < len(q.items) && len(b)+len(q.items[i].b) <= joinSize; i++ {
		b = append(b, q.items[i].b...)
	}
	return b
}

func (c *Conn) armTransport() error {
	if c.flags&onStream != 0 {
		c.ext.stream.arm()
		return nil
	}
	return poll.ArmWrite(c.op, c.onWrite)
}

func (c *Conn) disarmTransport() error {
	if c.flags&onStream != 0 {
		return nil
	}
	return poll.DisarmWrite(c.op)
}

// shutdownWrite tells the peer that nothing more comes.
func (c *Conn) shutdownWrite() {
	if c.flags&onStream != 0 {
		c.ext.stream.halfClose()
		return
	}
	shutdownSocket(int(c.fd))
}

// detachTransport stops the events of a socket that lives on elsewhere. One that
// closes needs none of it: nothing else holds the descriptor, so closing it at
// the end of the turn takes it out of the poller, and saves a system call.
func (c *Conn) detachTransport() {
	if c.flags&onStream == 0 && c.op != nil {
		_ = poll.Detach(c.op)
	}
}

// releaseTransport closes. It is called at the end of a turn.
func (c *Conn) releaseTransport() {
	if c.flags&onStream != 0 {
		c.ext.stream.finish()
		return
	}
	c.freeOperator()
	if c.fd >= 0 {
		closeSocket(int(c.fd))
		c.fd = -1
	}
}

func (c *Conn) freeOperator() {
	if c.op != nil {
		c.loop.poll.Free(c.op)
		c.op = nil
	}
}

// onWrite is called by the poller while armed.
func (c *Conn) onWrite(poll.Poller) error {
	c.onWritable()
	return nil
}

// onRead is called by the poller when there is input, its end, or an error.
//
// Hot path: per readable event.
func (c *Conn) onRead(poll.Poller) error {
	l := c.loop
	buf := l.room[readAhead:]
	for total := 0; total < readFairness; {
		if c.state == stateClosed || c.state == stateLeaving {
			return nil
		}
		n := receiveSocket(int(c.fd), buf)
		if n == poll.WouldBlock {
			return nil
		}
		if n <= 0 {
			c.broken()
			return nil
		}
		c.receive(buf[:n])
		if n < len(buf) {
			return nil
		}
		total += n
	}
	return nil
}

// attach registers a socket with the loop and adds its connection.
func (l *Loop) attach(c *Conn) error {
	op, err := l.poll.Register(int(c.fd), c.onRead)
	if err != nil {
		return err
	}
	c.op = op
	l.add(c)
	return nil
}
