package engine

import (
	"context"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/frame"
)

// Publish sends a message to all subscribers of a topic, on every loop and
// node. msg may be reused when it returns. Errors are ErrTopic, ErrShutdown,
// ErrOverloaded and the broker's; a slow subscriber is none. Safe from any
// goroutine.
func (a *App) Publish(topic string, msg []byte, op OpCode) error {
	if topic == "" || len(topic) > MaxTopicLen {
		return ErrTopic
	}
	if !a.started.Load() {
		return nil
	}
	if l := a.onLoop(); l != nil {
		return l.publish(topic, msg, op, nil)
	}
	a.published.Add(1)
	err := a.spread(topic, msg, op)
	if a.node != nil {
		if e := a.toBroker(topic, msg, op); err == nil {
			err = e
		}
	}
	return err
}

// PublishWait is [App.Publish] that returns when the broker has the message:
// its offset in the topic's log, "" for a topic that keeps no history or
// without a broker. This node's subscribers get the message at once and without
// an offset, whatever the broker does: on an error they may have it, and the
// other nodes may not. Further errors are ErrOnLoop and ctx's, which leaves open
// whether the broker took it. It blocks: not to be called on a loop.
func (a *App) PublishWait(ctx context.Context, topic string, msg []byte, op OpCode) (offset string, err error) {
	if topic == "" || len(topic) > MaxTopicLen {
		return "", ErrTopic
	}
	if !a.started.Load() {
		return "", a.unstarted()
	}
	if a.onLoop() != nil {
		return "", ErrOnLoop
	}
	a.published.Add(1)
	err = a.spread(topic, msg, op)
	if a.node == nil {
		return "", err
	}
	offset, e := a.node.PublishWait(ctx, broker.Message{Topic: topic, Data: msg, Binary: op == Binary})
	if e != nil {
		err = e
	}
	return offset, err
}

// History returns what a topic's log keeps after an offset: see
// [broker.Node].History. It is broker.ErrNoHistory without a broker. It blocks:
// not to be called on a loop, where it is ErrOnLoop. Safe from any other
// goroutine.
func (a *App) History(ctx context.Context, topic, since string, limit int) (broker.History, error) {
	switch {
	case topic == "" || len(topic) > MaxTopicLen:
		return broker.History{}, ErrTopic
	case a.opts.Broker == nil:
		return broker.History{}, broker.ErrNoHistory
	case !a.started.Load():
		return broker.History{}, a.unstarted()
	case a.onLoop() != nil:
		return broker.History{}, ErrOnLoop
	}
	return a.node.History(ctx, topic, since, limit)
}

// unstarted is why the broker can't be reached before Listen or Serve.
func (a *App) unstarted() error {
	if a.opts.Broker == nil {
		return nil
	}
	return broker.ErrUnavailable
}

// spread gives a message of this node to the topic's watchers, and to every loop
// that has subscribers.
func (a *App) spread(topic string, msg []byte, op OpCode) error {
	in := a.topics.find(topic)
	a.fanout.Observe(FanoutBounds, in.size())
	if in == nil {
		return nil
	}
	in.tell(topic, msg, op)
	return a.spreadTo(in, msg, op)
}

// spreadTo sends a message to every loop that has subscribers.
func (a *App) spreadTo(in *interest, msg []byte, op OpCode) error {
	var err error
	var b []byte
	for i, l := range a.loops {
		if !in.present[i].Load() {
			continue
		}
		if b == nil {
			b = frame.AppendFrame(make([]byte, 0, frame.HeaderSize(len(msg), false)+len(msg)), op, msg)
		}
		if e := l.mail.publish(in, op, b, len(msg)); e != nil {
			err = e
		}
		l.wakeUp()
	}
	return err
}

// toBroker hands a message to the other nodes.
func (a *App) toBroker(topic string, msg []byte, op OpCode) error {
	return a.node.Publish(broker.Message{Topic: topic, Data: msg, Binary: op == Binary})
}

// fromBroker delivers what another node published. A loop whose mailbox is full
// counts the loss itself.
func (a *App) fromBroker(m broker.Message) {
	op := OpCode(Text)
	if m.Binary {
		op = Binary
	}
	if !a.started.Load() {
		return
	}
	in := a.topics.find(m.Topic)
	a.fanout.Observe(FanoutBounds, in.size())
	if in == nil {
		return
	}
	if w := in.watchers.Load(); w != nil {
		w.call(m)
	}
	_ = a.spreadTo(in, m.Data, op)
}

// syncBroker brings the broker's subscription of a topic in line with whether
// this node has subscribers. It is called when that changed.
func (a *App) syncBroker(topic string) {
	if a.node == nil {
		return
	}
	a.brokerMu.Lock()
	defer a.brokerMu.Unlock()
	wanted := a.topics.find(topic) != nil
	switch {
	case wanted && !a.joined[topic]:
		a.joined[topic] = true
		a.node.Subscribe(topic)
	case !wanted && a.joined[topic]:
		delete(a.joined, topic)
		a.node.Unsubscribe(topic)
	}
}

// Health is the broker's, or a healthy one without broker.
func (a *App) Health() broker.Health {
	if !a.started.Load() || a.node == nil {
		return broker.Health{Up: true}
	}
	return a.node.Health()
}
