package redis

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
)

// Bounds of a batch.
const (
	batchMessages = 512
	batchBytes    = 1 << 20
)

// keylessSlot is the slot of commands without a key, as a builder of a Cluster's
// client gives it.
const keylessSlot = 1 << 14

// lane sends commands in the order of the push calls, in pipelined batches of
// which one is under way at a time. What waits is bounded. In a Cluster the order
// holds for each slot, and for the commands without a key.
//
// A batch that gets no answer makes the lane unavailable: what waits has failed,
// and push fails at once, until a ping is answered again. By then that batch has
// arrived, or can't any more. In a Cluster, where others may have answered, what
// follows waits for that, but goes on without a node that does not answer at all.
type lane struct {
	b       *Broker
	name    string
	ownUse  bool // for probes, whose losses are counted as such
	ctx     context.Context
	cancel  context.CancelFunc
	wake    chan struct{}
	closing chan struct{}
	gone    chan struct{} // closed when run has ended

	cmds      []rueidis.Completed // run's
	gen       uint64              // run's; of the link that the last batch went by
	unsettled bool                // run's; in a Cluster: some of it got no answer
	leftAt    string              // run's; the node that left commands without a key so; "": none did

	mu       sync.Mutex
	queue    []order
	messages int // in the queue, and under way
	bytes    int
	down     error // why push fails; nil while it does not
	closed   bool
}

// order is a command that waits.
type order struct {
	size  int
	build func(rueidis.Builder) rueidis.Completed
	done  func(rueidis.RedisResult)
}

// newLane makes a lane; name is for logs and metrics.
func (b *Broker) newLane(name string) *lane {
	l := &lane{
		b: b, name: name,
		wake: make(chan struct{}, 1), closing: make(chan struct{}), gone: make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	b.mu.Lock()
	b.lanes = append(b.lanes, l)
	closed := b.closed
	b.mu.Unlock()
	if closed {
		l.closed = true
		close(l.closing)
	}
	go l.run()
	return l
}

// push queues a command that build makes on the lane's goroutine. size is about
// what waits, in bytes. done, if not nil, is called once with the result, in the
// order of the commands, on the lane's goroutine: it must not block. Errors are
// broker.ErrOverflow, ErrUnavailable (the connection is known to be down) and
// ErrClosed: done is not called then. Safe from any goroutine; it does not block.
//
// Of the errors that done gets, those that wrap broker.ErrUnavailable or ErrClosed
// say that the command was surely not taken, a *rueidis.RedisError that the server
// refused it; any other leaves that open. build may be called without what it
// makes being sent.
//
// Hot path: per message.
func (l *lane) push(size int, build func(rueidis.Builder) rueidis.Completed, done func(rueidis.RedisResult)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return broker.ErrClosed
	case l.down != nil:
		l.count(&l.b.count.unavailable, 1)
		return l.down
	case l.messages >= l.b.opts.QueueMessages, l.messages > 0 && l.bytes+size > l.b.opts.QueueBytes:
		l.count(&l.b.count.overflow, 1)
		return broker.ErrOverflow
	}
	l.queue = append(l.queue, order{size, build, done})
	l.messages++
	l.bytes += size
	if len(l.queue) == 1 {
		l.signal()
	}
	return nil
}

// signal wakes run. Call with mu held, or not.
func (l *lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// count adds to a counter, unless the lane is for probes.
func (l *lane) count(c interface{ Add(uint64) uint64 }, n uint64) {
	if !l.ownUse {
		c.Add(n)
	}
}

// run sends what is pushed, until the lane is closed and empty.
func (l *lane) run() {
	defer close(l.gone)
	defer l.cancel()
	var taken []order
	for {
		if taken = l.take(taken[:0]); len(taken) == 0 {
			select {
			case <-l.wake:
				continue
			case <-l.closing:
				if taken = l.take(taken); len(taken) == 0 {
					return
				}
			}
		}
		for rest := taken; len(rest) > 0; {
			n := batchLen(rest)
			if err := l.send(rest[:n]); err != nil {
				l.fail(rest[n:], err)
				l.awaitServer()
				break
			}
			rest = rest[n:]
		}
		clear(taken)
		if cap(taken) > 4*batchMessages {
			taken = nil // of a burst
		}
	}
}

// take moves what waits to a slice that push does not use.
func (l *lane) take(into []order) []order {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.queue
	l.queue = into
	return taken
}

// batchLen is how many of the orders, which are not none, make a batch.
func batchLen(orders []order) int {
	bytes := 0
	for i, o := range orders {
		if bytes += o.size; i == batchMessages || i > 0 && bytes > batchBytes {
			return i
		}
	}
	return len(orders)
}

// send runs a batch. The error means that the connection is down.
func (l *lane) send(batch []order) error {
	client, gen := l.b.link.current()
	if l.unsettled {
		l.settle(client, gen != l.gen)
	}
	l.gen = gen
	ctx, cancel := context.WithTimeout(l.ctx, l.b.opts.CommandTimeout)
	defer cancel()
	results, err := l.exchange(ctx, client, batch)
	if err != nil {
		l.finish(batch, err)
		return err
	}
	failed := 0
	for i, r := range results {
		if e := transportError(r); e != nil {
			r, err = rueidis.NewErrorResult(e), e
			failed++
		}
		l.finishOne(batch[i], r)
	}
	l.release(batch)
	if failed > 0 {
		l.cmds = nil // the client may still hold them
		l.unsettled = l.b.clustered()
	}
	// In a Cluster one server of several may be away.
	if failed == 0 || l.b.clustered() && failed < len(batch) {
		return nil
	}
	return err
}

// exchange sends the commands of a batch and returns their results.
func (l *lane) exchange(ctx context.Context, client rueidis.Client, batch []order) ([]rueidis.RedisResult, error) {
	l.cmds = l.cmds[:0]
	keyless := 0
	for _, o := range batch {
		c := o.build(client.B())
		if c.Slot() == keylessSlot {
			keyless++
		}
		l.cmds = append(l.cmds, c)
	}
	if !l.b.clustered() || keyless == 0 {
		return client.DoMulti(ctx, l.cmds...), nil
	}
	node, addr, err := l.b.link.keyless()
	if err != nil {
		return nil, err
	}
	if keyless == len(batch) {
		results := node.DoMulti(ctx, l.cmds...)
		l.leaveIfBroken(addr, results)
		return results, nil
	}
	return l.runMixed(ctx, client, node, addr), nil
}

// runMixed sends commands without a key to one node, and the others to theirs.
func (l *lane) runMixed(ctx context.Context, client, node rueidis.Client, addr string) []rueidis.RedisResult {
	results := make([]rueidis.RedisResult, len(l.cmds))
	var keyed, keyless []rueidis.Completed
	for _, c := range l.cmds {
		if c.Slot() == keylessSlot {
			keyless = append(keyless, c)
		} else {
			keyed = append(keyed, c)
		}
	}
	ofKeyless := node.DoMulti(ctx, keyless...)
	l.leaveIfBroken(addr, ofKeyless)
	ofKeyed := client.DoMulti(ctx, keyed...)
	for i := range l.cmds {
		if l.cmds[i].Slot() == keylessSlot {
			results[i], ofKeyless = ofKeyless[0], ofKeyless[1:]
		} else {
			results[i], ofKeyed = ofKeyed[0], ofKeyed[1:]
		}
	}
	return results
}

// leaveIfBroken has commands without a key go by another node than the one at an
// address, if that has left some without an answer.
func (l *lane) leaveIfBroken(addr string, results []rueidis.RedisResult) {
	for _, r := range results {
		if r.NonRedisError() != nil {
			l.leftAt = addr
			l.b.link.unpin(addr)
			return
		}
	}
}

// settle returns when what got no answer in a Cluster has arrived, or can't any more,
// and may be followed by what goes by a client: by another node where it has no key,
// by another connection where the link was renewed. A node that does not answer in the
// time in which a dead connection is found out and made anew is gone on without.
func (l *lane) settle(client rueidis.Client, renewed bool) {
	ctx, cancel := context.WithTimeout(l.ctx, keepAlive+2*l.b.opts.CommandTimeout)
	defer cancel()
	node := client.Nodes()[l.leftAt]
	for attempt := 0; ; attempt++ {
		var err error
		if node != nil {
			err = node.Do(ctx, node.B().Ping().Build()).NonRedisError()
		}
		if renewed && (err == nil || isNobody(err)) {
			err = l.b.link.settle(ctx)
		}
		if err == nil || isNobody(err) || !pause(ctx, backoff(attempt)) {
			break
		}
	}
	l.unsettled, l.leftAt = false, ""
}

// finishOne counts a result and hands it on.
func (l *lane) finishOne(o order, r rueidis.RedisResult) {
	c := &l.b.count
	err := r.Error()
	var refused *rueidis.RedisError
	switch {
	case err == nil, rueidis.IsRedisNil(err):
		l.count(&c.sent, 1)
	case errors.Is(err, broker.ErrUnavailable), errors.Is(err, broker.ErrClosed):
		l.count(&c.unavailable, 1)
	case isNoScript(err): // not lost: whoever sent it sends the script itself
	case errors.As(err, &refused):
		l.count(&c.refused, 1)
	default:
		l.count(&c.unknown, 1)
	}
	if o.done != nil {
		o.done(r)
	}
}

// finish is finishOne and release for orders that have failed.
func (l *lane) finish(orders []order, err error) {
	for _, o := range orders {
		l.finishOne(o, rueidis.NewErrorResult(err))
	}
	l.release(orders)
}

// release makes room in the queue.
func (l *lane) release(orders []order) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages -= len(orders)
	for _, o := range orders {
		l.bytes -= o.size
	}
}

// fail has push fail from now on, and what waits.
func (l *lane) fail(rest []order, why error) {
	why = notTaken(why)
	l.mu.Lock()
	l.down = why
	queue := l.queue
	l.queue = nil
	l.mu.Unlock()
	if !l.ownUse && l.b.ctx.Err() == nil {
		l.b.log.Warn("redis: publishing fails", "lane", l.name, "error", why)
	}
	l.finish(rest, why)
	l.finish(queue, why)
}

// awaitServer returns when a ping has been answered, or the lane is closed.
func (l *lane) awaitServer() {
	for attempt := 0; ; attempt++ {
		if l.ping() == nil {
			break
		}
		timer := time.NewTimer(backoff(attempt))
		select {
		case <-timer.C:
			continue
		case <-l.closing:
			timer.Stop()
		}
		break
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = nil
	if l.closed {
		l.down = broker.ErrClosed
	}
}

func (l *lane) ping() error {
	ctx, cancel := context.WithTimeout(l.ctx, l.b.opts.CommandTimeout)
	defer cancel()
	client, addr, err := l.b.link.keyless()
	if err != nil {
		return err
	}
	err = client.Do(ctx, client.B().Ping().Build()).NonRedisError()
	if err != nil {
		l.b.link.unpin(addr)
		return err
	}
	if l.b.clustered() {
		return nil // some servers may be away; see send
	}
	return l.b.link.settle(ctx)
}

// state is why the lane does not send; nil while it does.
func (l *lane) state() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.down
}

func (l *lane) stats() QueueStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return QueueStats{Name: l.name, Messages: l.messages, Bytes: l.bytes, Down: l.down != nil}
}

// close sends what waits, as long as ctx lasts. It may be called twice.
func (l *lane) close(ctx context.Context) {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	if first {
		close(l.closing)
	}
	select {
	case <-l.gone:
	case <-ctx.Done():
		l.cancel()
		<-l.gone
	}
}
