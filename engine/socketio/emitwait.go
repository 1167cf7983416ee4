package socketio

import (
	"context"
	"errors"
	"sync"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
)

// EmitWait is Emit that returns when the cluster has taken the event, for whoever
// answers for it to somebody else: the Redis server has answered to PUBLISH or, with
// the streams adapter, to XADD. offset is the event's in a log, "" without one. A
// broadcast that is Local, or a server without Options.Cluster, waits for nobody. That
// clients got the event is not said: see EmitWithAck.
//
// This node's sockets get it whatever becomes of the rest. Errors are Emit's, ErrOnLoop,
// and the cluster's: those that wrap broker.ErrUnavailable, broker.ErrOverflow or
// broker.ErrClosed say that no other node gets the event, or with ErrOverflow not
// all; any other, and ctx's, leave open whether they do. It blocks: on a loop (an
// inline handler) it returns ErrOnLoop, and nothing is sent.
func (b Broadcast) EmitWait(ctx context.Context, event string, args ...any) (offset string, err error) {
	if b.nsp.server.onLoop() {
		return "", ErrOnLoop
	}
	told := newOutcomes()
	if err := b.emit(event, args, told.one()); err != nil {
		return "", err
	}
	return told.wait(ctx)
}

// EmitWait is Broadcast.EmitWait to all sockets of the namespace.
func (n *Namespace) EmitWait(ctx context.Context, event string, args ...any) (offset string, err error) {
	return n.broadcast().EmitWait(ctx, event, args...)
}

// SendToUserWait is SendToUser that returns as Broadcast.EmitWait does, when the event
// was taken for each node that is told. The errors are those of both; one for each node
// that it was not taken for, a *[ServerError], is joined.
func (n *Namespace) SendToUserWait(ctx context.Context, user, event string, args ...any) (offset string, err error) {
	if n.server.onLoop() {
		return "", ErrOnLoop
	}
	told := newOutcomes()
	if err := n.sendToUser(ctx, user, event, args, told); err != nil {
		return "", err
	}
	return told.wait(ctx)
}

// tell has the other nodes get an event, which this node's sockets have got.
func (b Broadcast) tell(payload sio.Payload, done taken) error {
	m := b.message(cluster.Broadcast, payload)
	if done == nil {
		return b.nsp.node.Publish(m)
	}
	return b.nsp.node.PublishThen(m, done)
}

// taken is told what becomes of an event on its way to other nodes; nil: nobody wants
// to know.
type taken func(offset string, err error)

// nobody is for an event that no other node is to get.
func (t taken) nobody() {
	if t != nil {
		t("", nil)
	}
}

// outcomes gathers what is told of one event's messages. A nil *outcomes gathers
// nothing.
type outcomes struct {
	over chan struct{} // closed when nothing is awaited any more

	mu     sync.Mutex
	due    int // messages, and 1 until wait is called
	offset string
	failed error
}

func newOutcomes() *outcomes { return &outcomes{over: make(chan struct{}), due: 1} }

// one is what is to be told of one more message.
func (o *outcomes) one() taken {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.due++
	return o.tell
}

func (o *outcomes) tell(offset string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if offset != "" {
		o.offset = offset
	}
	o.failed = errors.Join(o.failed, err)
	if o.due--; o.due == 0 {
		close(o.over)
	}
}

// wait returns when all is told.
func (o *outcomes) wait(ctx context.Context) (offset string, err error) {
	o.tell("", nil)
	select {
	case <-o.over:
		return o.offset, o.failed
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
