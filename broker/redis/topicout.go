package redis

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/conv"
)

const (
	// Bounds of a batch: what one command carries. A longer message goes alone.
	topicBatchMessages = 256
	topicBatchBytes    = 64 << 10
	// idleOutboxes is how many topics without anything on its way are remembered;
	// where a failure is yet to be told to subscribers, twice as many.
	idleOutboxes = 8 << 10
	// outboxNumbers is how many messages an outbox can number: where a topic was
	// forgotten, the numbers of its next outbox are of another range.
	outboxNumbers = 1 << 40
)

// pushFunc is lane.push.
type pushFunc func(size int, build func(rueidis.Builder) rueidis.Completed, done func(rueidis.RedisResult)) error

// topicQueue is what a node has published and Redis has not taken yet: an outbox
// for each topic. It is bounded over all.
type topicQueue struct {
	push                  pushFunc
	commands              *topicCommands
	publisher             uint64
	maxMessages, maxBytes int
	lost                  atomic.Uint64

	mu              sync.Mutex
	boxes           map[string]*outbox
	made            uint64 // outboxes
	messages, bytes int
	closed          bool
	idle            chan struct{} // closed when closed and empty
}

// outbox sends a topic's messages, one command at a time: what is published while
// one is under way gathers, and goes with the next. That keeps the order whatever
// becomes of a command.
type outbox struct {
	q     *topicQueue
	topic string
	addr  topicAddress

	users  int  // messages that were admitted and are not done with; q.mu
	unsure bool // q.mu: subscribers are yet to be told that messages are missing

	mu    sync.Mutex
	queue []*topicBatch // the first one is pushed
	next  uint64        // number of the next message, of those that failed too
	why   broker.GapReason
}

// topicBatch is a command that is made of messages.
type topicBatch struct {
	box *outbox
	// buf is the envelope of a plain topic; for a durable one its messages end to
	// end, each behind a message header.
	buf     []byte
	count   int
	payload int  // bytes counted in the queue
	sealed  bool // takes no more messages
	retried bool // the server did not have the script: sent as text
	waiters []topicWaiter

	// Made once in the life of a batch, which is used again.
	build func(rueidis.Builder) rueidis.Completed
	done  func(rueidis.RedisResult)
}

// topicWaiter is a PublishWait for the batch's message number at.
type topicWaiter struct {
	at   int
	done func(offset string, err error)
}

func newTopicQueue(push pushFunc, commands *topicCommands, publisher uint64, maxMessages, maxBytes int) *topicQueue {
	return &topicQueue{
		push: push, commands: commands, publisher: publisher,
		maxMessages: maxMessages, maxBytes: maxBytes,
		boxes: map[string]*outbox{}, idle: make(chan struct{}),
	}
}

// publish queues a copy of a message. done, if not nil, is called once, on the
// lane's goroutine, unless there is an error. Errors are broker.ErrClosed, ErrOverflow and
// ErrUnavailable.
//
// Hot path: per message.
func (q *topicQueue) publish(m broker.Message, done func(string, error)) error {
	size := len(m.Data) + messageHeader
	box, err := q.admit(m.Topic, size)
	if box == nil {
		return err
	}
	box.mu.Lock()
	if err == nil {
		err = box.addLocked(m, done)
	}
	if err != nil {
		box.missLocked(1, reasonOf(err))
	}
	box.mu.Unlock()
	if err != nil {
		q.drop(box, size)
	}
	return err
}

// refuse counts a message that is not to be sent, so that subscribers learn of
// it, and returns why; broker.ErrClosed after close.
func (q *topicQueue) refuse(m broker.Message, why error) error {
	box, err := q.admit(m.Topic, 0)
	if box == nil {
		return err
	}
	box.mu.Lock()
	box.missLocked(1, reasonOf(why))
	box.mu.Unlock()
	q.drop(box, 0)
	return why
}

// drop releases and counts a message that was not taken.
func (q *topicQueue) drop(box *outbox, size int) {
	q.release(box, 1, size)
	q.lost.Add(1)
}

// admit makes room for a message. There is an outbox to release in spite of
// ErrOverflow.
func (q *topicQueue) admit(topic string, size int) (*outbox, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, broker.ErrClosed
	}
	box := q.boxes[topic]
	if box == nil {
		topic = strings.Clone(topic)
		box = &outbox{q: q, topic: topic, addr: q.commands.address(topic), next: q.made * outboxNumbers}
		q.made++
		q.boxes[topic] = box
	}
	var err error
	if q.messages >= q.maxMessages || q.messages > 0 && q.bytes+size > q.maxBytes {
		err = broker.ErrOverflow
	}
	box.users++
	q.messages++
	q.bytes += size
	return box, err
}

// release ends what admit began.
func (q *topicQueue) release(box *outbox, messages, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages -= messages
	q.bytes -= bytes
	box.users -= messages
	if box.users == 0 && len(q.boxes) > idleOutboxes && (!box.unsure || len(q.boxes) > 2*idleOutboxes) {
		delete(q.boxes, box.topic)
	}
	if q.closed && q.messages == 0 {
		close(q.idle)
	}
}

// close refuses what is published from now on, and returns when the rest is
// sent, or has failed.
func (q *topicQueue) close() {
	q.mu.Lock()
	first := !q.closed
	q.closed = true
	if first && q.messages == 0 {
		close(q.idle)
	}
	q.mu.Unlock()
	<-q.idle
}

// addLocked puts a message into the last batch, or a new one.
func (o *outbox) addLocked(m broker.Message, done func(string, error)) error {
	b := o.lastLocked(len(m.Data) + messageHeader)
	if b == nil {
		b = newTopicBatch(o)
		if !o.addr.durable {
			b.buf = appendPlainHeader(b.buf, o.q.publisher, o.next, o.why)
		}
		o.queue = append(o.queue, b)
		if len(o.queue) == 1 {
			if err := o.q.push(len(b.buf)+len(m.Data), b.build, b.done); err != nil {
				o.queue = o.queue[:0]
				b.recycle()
				return err
			}
		}
		o.tellLocked()
	}
	b.buf = appendMessage(b.buf, m.Binary, m.Data)
	b.payload += len(m.Data) + messageHeader
	if done != nil {
		b.waiters = append(b.waiters, topicWaiter{b.count, done})
	}
	b.count++
	o.next++
	return nil
}

// lastLocked is the batch that takes size bytes more, nil if none does.
func (o *outbox) lastLocked(size int) *topicBatch {
	if len(o.queue) == 0 {
		return nil
	}
	b := o.queue[len(o.queue)-1]
	if b.sealed || b.count >= topicBatchMessages || len(b.buf)+size > topicBatchBytes {
		return nil
	}
	return b
}

// missLocked notes that messages were not sent: what is next says so.
func (o *outbox) missLocked(n int, why broker.GapReason) {
	if o.addr.durable {
		return // the log tells what is missing
	}
	if n > 0 && len(o.queue) > 0 {
		o.queue[len(o.queue)-1].sealed = true // its messages have numbers in a row
	}
	o.next += uint64(n)
	if o.why == 0 {
		o.why = why
		o.markUnsure(true)
	}
}

// tellLocked notes that a batch says what is missing.
func (o *outbox) tellLocked() {
	if o.why != 0 {
		o.why = 0
		o.markUnsure(false)
	}
}

func (o *outbox) markUnsure(unsure bool) {
	o.q.mu.Lock()
	defer o.q.mu.Unlock()
	o.unsure = unsure
}

// reasonOf is what subscribers are told of a message that was refused.
func reasonOf(err error) broker.GapReason {
	if errors.Is(err, broker.ErrOverflow) {
		return broker.Overflow
	}
	return broker.Reconnected
}

var topicBatches sync.Pool

func newTopicBatch(o *outbox) *topicBatch {
	b, _ := topicBatches.Get().(*topicBatch)
	if b == nil {
		b = new(topicBatch)
		b.build, b.done = b.command, b.finish
	}
	b.box = o
	return b
}

// recycle makes a batch that the client does not hold any more ready for use.
func (b *topicBatch) recycle() {
	if cap(b.buf) > 2*topicBatchBytes {
		return
	}
	clear(b.waiters)
	*b = topicBatch{buf: b.buf[:0], waiters: b.waiters[:0], build: b.build, done: b.done}
	topicBatches.Put(b)
}

// command makes the command, of all that has gathered. It runs on the lane's
// goroutine.
func (b *topicBatch) command(builder rueidis.Builder) rueidis.Completed {
	o := b.box
	o.mu.Lock()
	b.sealed = true
	o.mu.Unlock()
	if o.addr.durable {
		return o.q.commands.append(builder, o.addr, conv.String(b.buf), b.count, b.retried)
	}
	return o.q.commands.publish(builder, o.addr.channel, conv.String(b.buf))
}

// finish takes the answer and sends what has gathered since. It runs on the
// lane's goroutine.
func (b *topicBatch) finish(r rueidis.RedisResult) {
	o, err := b.box, r.Error()
	o.mu.Lock()
	b.sealed = true // a command that failed early was not made
	o.mu.Unlock()
	if o.addr.durable {
		o.q.commands.learn(err)
		if isNoScript(err) && !b.retried {
			b.retried = true
			if err = o.q.push(len(b.buf), b.build, b.done); err == nil {
				return
			}
		}
	}
	b.answer(r, err)
	if err != nil {
		o.q.lost.Add(uint64(b.count))
	}
	// The waiters have their answers; whoever publishes next finds room.
	o.mu.Lock()
	if err != nil {
		o.failedLocked(b)
	}
	refused := o.advanceLocked()
	o.mu.Unlock()
	for _, f := range refused {
		f.batch.answer(r, f.err)
		o.q.lost.Add(uint64(f.batch.count))
		o.q.release(o, f.batch.count, f.batch.payload)
	}
	count, payload := b.count, b.payload
	if err == nil {
		b.recycle()
	}
	o.q.release(o, count, payload)
}

// failedLocked notes that a batch did not get through, and why. Its messages have
// their numbers: subscribers miss them when the next ones arrive.
func (o *outbox) failedLocked(b *topicBatch) {
	if !o.addr.durable && len(o.queue) == 1 {
		o.missLocked(0, broker.Reconnected)
	}
}

// refusedBatch is one that could not be sent.
type refusedBatch struct {
	batch *topicBatch
	err   error
}

// advanceLocked sends the batch behind the first one, which is done with. It
// returns those that can't be sent.
func (o *outbox) advanceLocked() (refused []refusedBatch) {
	o.dropFirstLocked()
	for len(o.queue) > 0 {
		b := o.queue[0]
		err := o.q.push(len(b.buf), b.build, b.done)
		if err == nil {
			return refused
		}
		refused = append(refused, refusedBatch{b, err})
		o.dropFirstLocked()
		if len(o.queue) == 0 {
			o.missLocked(0, reasonOf(err))
		}
	}
	return refused
}

func (o *outbox) dropFirstLocked() {
	n := copy(o.queue, o.queue[1:])
	o.queue[n] = nil
	o.queue = o.queue[:n]
}

// answer tells who waits what has become of the batch.
func (b *topicBatch) answer(r rueidis.RedisResult, err error) {
	if len(b.waiters) == 0 {
		return
	}
	var offsets []string
	if err == nil && b.box.addr.durable {
		offsets, err = r.AsStrSlice()
		if err == nil && len(offsets) != b.count {
			err = errScript
		}
	}
	for _, w := range b.waiters {
		offset := ""
		if offsets != nil && err == nil {
			offset = offsets[w.at]
		}
		w.done(offset, err)
	}
}

// publishWait publishes and waits for the answer.
func (q *topicQueue) publishWait(ctx context.Context, m broker.Message) (offset string, err error) {
	type answer struct {
		offset string
		err    error
	}
	answers := make(chan answer, 1)
	if err := q.publish(m, func(offset string, err error) { answers <- answer{offset, err} }); err != nil {
		return "", err
	}
	select {
	case a := <-answers:
		return a.offset, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
