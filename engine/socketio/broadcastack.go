package socketio

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine"
)

// EmitWithAck sends an event and waits until every client has acknowledged it.
// It returns the first argument of each acknowledgement, in the order of their
// arrival. When Timeout is over or ctx ends first, the error is ErrTimeout (a
// *[PartialError] where other nodes have not even told how many clients they
// have) or ctx's, beside the answers so far; it is ErrOverloaded or the cluster's
// when the event did not reach every loop or node, joined with the others where they
// hold as well. ErrTimeout itself says that all nodes have the event. It blocks: on a
// loop (an inline handler) it returns ErrOnLoop.
func (b Broadcast) EmitWithAck(ctx context.Context, event string, args ...any) ([]sio.Value, error) {
	if b.nsp.server.onLoop() {
		return nil, ErrOnLoop
	}
	type outcome struct {
		values []sio.Value
		err    error
	}
	done := make(chan outcome, 1)
	c, err := b.emitFunc(func(values []sio.Value, err error) { done <- outcome{values, err} }, event, args)
	if err != nil {
		return nil, err
	}
	select {
	case x := <-done:
		return x.values, x.err
	case <-ctx.Done():
		c.finish(ctx.Err())
		x := <-done
		return x.values, x.err
	}
}

// EmitFunc sends an event and has fn called once, when every client has
// acknowledged it or Timeout is over, as EmitWithAck returns. fn runs on a
// goroutine of its own. An error means that nothing was sent, and fn is not
// called.
func (b Broadcast) EmitFunc(fn func(answers []sio.Value, err error), event string, args ...any) error {
	srv := b.nsp.server
	_, err := b.emitFunc(func(values []sio.Value, err error) {
		srv.workers.enter()
		go func() {
			defer srv.workers.leave()
			defer func() {
				if v := recover(); v != nil {
					srv.panicked("a function that awaits acknowledgements", v)
				}
			}()
			fn(values, err)
		}()
	}, event, args)
	return err
}

// EmitWithAck sends an event to all sockets of the namespace and waits until
// every client has acknowledged it. See Broadcast.EmitWithAck.
func (n *Namespace) EmitWithAck(ctx context.Context, event string, args ...any) ([]sio.Value, error) {
	return n.broadcast().EmitWithAck(ctx, event, args...)
}

// collector gathers the acknowledgements of one broadcast, of this node's
// clients and, by their count, of the others'.
type collector struct {
	nsp  *Namespace
	id   uint64
	done func([]sio.Value, error)

	mu      sync.Mutex
	over    bool
	timer   *time.Timer
	local   bool // this node has not said how many clients it has
	away    bool // nor have all others, which roll tells of
	roll    roll
	clients int // that have not answered
	single  bool
	values  []sio.Value
	request string // to other nodes
	failed  error  // why not all were asked; nil: they were
}

func (b Broadcast) emitFunc(done func([]sio.Value, error), event string, args []any) (*collector, error) {
	n := b.nsp
	if sio.IsReserved(event) {
		return nil, ErrReserved
	}
	payload, err := n.encodeArgs(eventArgs(event, args))
	if err != nil {
		return nil, err
	}
	c := &collector{nsp: n, id: n.nextAckID(), done: done, single: b.single, local: true}
	away := n.node != nil && !b.local
	c.mu.Lock()
	c.timer = time.AfterFunc(b.patience(), func() { c.finish(ErrTimeout) })
	if away {
		c.away = true
		c.request = n.requests.open(c)
	}
	c.mu.Unlock()
	if err := b.deliverAcked(payload, c.id, c.await, c.missed, c.counted); err != nil {
		c.abandon()
		return nil, err
	}
	if away {
		m := b.message(cluster.Broadcast, payload)
		m.RequestID = c.request
		m.Packet.ID, m.Packet.HasID = c.id, true
		if err := n.node.Publish(m); err != nil {
			c.nobodyElse(err)
			return c, nil // this node's clients still answer
		}
		go c.askNodes()
	}
	return c, nil
}

// patience is how long answers are awaited.
func (b Broadcast) patience() time.Duration {
	if b.timeout > 0 {
		return b.timeout
	}
	return b.nsp.server.opts.RequestTimeout
}

// deliverAcked sends an event with an ack id to this node's sockets. await is
// called for each acknowledgement, missed for each loop that could not be
// reached, and counted once with the number of sockets, when all loops have sent
// it.
func (b Broadcast) deliverAcked(payload sio.Payload, id uint64, await func([]sio.Value, error), missed func(error), counted func(int)) error {
	n := b.nsp
	h := sio.Header{Type: sio.Event, Namespace: n.name, ID: id, HasID: true}
	p, err := n.encodePayload(h, payload, !b.uncompressed)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	lanes := n.lanes()
	waiting, clients := len(lanes), 0
	if waiting == 0 {
		counted(0)
		return nil
	}
	tell := func(k int) {
		mu.Lock()
		defer mu.Unlock()
		clients += k
		if waiting--; waiting == 0 {
			counted(clients)
		}
	}
	for _, ln := range lanes {
		if err := b.post(ln, p.Size(), func() {
			targets := ln.recipients(b.rooms, b.except)
			for _, s := range targets {
				s.awaitAck(id, await)
				s.deliver(p, false)
			}
			k := len(targets)
			ln.release(targets)
			tell(k)
		}); err != nil {
			missed(err)
			tell(0)
		}
	}
	return nil
}

// missed notes that some were not asked.
func (c *collector) missed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = err
}

// await takes one client's acknowledgement.
func (c *collector) await(args []sio.Value, err error) {
	if err != nil {
		return // the client is gone, and its answer with it: the timeout tells
	}
	c.answer("", args)
}

// answer takes an acknowledgement, of another node's client if uid says so.
func (c *collector) answer(uid string, args []sio.Value) {
	value := sio.RawValue([]byte("null"))
	if len(args) > 0 {
		value = args[0].Clone()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || !c.roll.knows(uid) {
		return
	}
	c.values = append(c.values, value)
	c.clients--
	c.settleLocked()
}

// counted takes this node's number of clients.
func (c *collector) counted(clients int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clients += clients
	c.local = false
	c.settleLocked()
}

// heard takes another node's number of clients.
func (c *collector) heard(uid string, clients int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.away || !c.roll.answer(uid) {
		return
	}
	c.clients += clients
	c.rolledLocked()
	c.settleLocked()
}

// nobodyElse ends the waiting for other nodes, which were not asked or can't be
// counted.
func (c *collector) nobodyElse(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = err
	c.homeLocked(err)
	c.settleLocked()
}

// askNodes learns how many other nodes will answer.
func (c *collector) askNodes() {
	ctx, cancel := context.WithTimeout(context.Background(), c.nsp.server.opts.RequestTimeout)
	defer cancel()
	members, err := c.nsp.node.Members(ctx)
	if err != nil {
		c.nobodyElse(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.roll.call(members)
	c.rolledLocked()
	c.settleLocked()
}

// rolledLocked ends the waiting for other nodes if all have answered.
func (c *collector) rolledLocked() {
	if c.roll.complete() {
		c.homeLocked(nil)
	}
}

// homeLocked ends the waiting for other nodes, and counts what came of it.
func (c *collector) homeLocked(err error) {
	if c.away {
		c.away = false
		c.nsp.server.requestCounts.count(RequestAcks, err, c.roll.answered())
	}
}

func (c *collector) settleLocked() {
	if c.over || !(!c.local && !c.away && c.clients == 0 || c.single && len(c.values) > 0) {
		return
	}
	c.endLocked(nil)
}

// finish ends the waiting with what has come.
func (c *collector) finish(err error) {
	c.mu.Lock()
	over := c.over
	if !over {
		if err == ErrTimeout && c.away {
			err = c.roll.timeout()
		}
		c.endLocked(err)
	}
	c.mu.Unlock()
	if !over {
		c.forget()
	}
}

func (c *collector) endLocked(err error) {
	c.over = true
	c.timer.Stop()
	if c.request != "" {
		c.nsp.requests.close(c.request)
	}
	c.homeLocked(err)
	if c.failed != nil {
		err = errors.Join(err, c.failed)
	}
	c.done(slices.Clip(c.values), err)
}

// abandon ends a collector whose event was not sent.
func (c *collector) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	c.timer.Stop()
	if c.request != "" {
		c.nsp.requests.close(c.request)
	}
}

// forget drops what the sockets that did not answer still hold.
func (c *collector) forget() { c.nsp.forgetAcks(c.id) }

// forgetAcks makes all sockets of this node forget a broadcast's ack id.
func (n *Namespace) forgetAcks(id uint64) {
	for _, ln := range n.lanes() {
		ln.mustPost(0, func() {
			for _, s := range ln.all {
				s.forgetAck(id)
			}
		})
	}
}

// onLoop reports whether the caller runs on a loop of the server's App.
func (srv *Server) onLoop() bool {
	return slices.ContainsFunc(srv.loops(), (*engine.Loop).Here)
}
