package engine

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/fe4bcecb/wsd/broker"
)

// Watcher receives a topic's messages; see [App.Watch].
type Watcher func(m broker.Message)

// Watch has fn called with each message of a topic, whoever publishes it, on this
// or another node, until stop is called. The node is subscribed to the topic
// meanwhile. It is how a protocol server fans a topic out in a form of its own.
//
// Messages of a topic that keeps history come when the broker has them: with their
// offsets, in the order of the log, and never by two goroutines at a time. Others
// come without an offset, in the order of each publisher. fn is called where the
// message is published, on a loop perhaps, or on the broker's goroutine: it must
// not block. m.Data is valid until it returns. A call that is under way when stop
// is called may end after it. Call after Listen or Serve. Safe from any goroutine.
func (a *App) Watch(topic string, fn Watcher) (stop func(), err error) {
	if topic == "" || len(topic) > MaxTopicLen {
		return nil, ErrTopic
	}
	if !a.started.Load() {
		return nil, broker.ErrUnavailable
	}
	w := &watch{fn: fn}
	if a.topics.watch(topic, w, a.Keeps(topic)) {
		a.syncBroker(topic)
	}
	a.watches.Add(1)
	return func() {
		if w.stopped.Swap(true) {
			return
		}
		a.watches.Add(-1)
		if a.topics.unwatch(topic, w) {
			a.syncBroker(topic)
		}
	}, nil
}

// Keeps reports whether a topic keeps history. Safe from any goroutine.
func (a *App) Keeps(topic string) bool {
	return a.started.Load() && a.node != nil && a.node.Keeps(topic)
}

// Ready returns when this node's subscription of a topic, which has a subscriber or
// a watcher here, has taken effect at the broker: see [broker.Node].Ready. It
// blocks: not to be called on a loop, where it is ErrOnLoop. Without a broker it
// returns at once. Safe from any goroutine.
func (a *App) Ready(ctx context.Context, topic string) error {
	switch {
	case a.opts.Broker == nil:
		return nil
	case !a.started.Load():
		return a.unstarted()
	case a.onLoop() != nil:
		return ErrOnLoop
	}
	return a.node.Ready(ctx, topic)
}

// PublishThen is [App.PublishWait] that does not block: done is called once, with
// the offset, when the broker has the message or does not take it, perhaps before
// PublishThen returns, on a loop or on the broker's goroutine. It must not block.
// An error means that done is not called: ErrTopic, ErrShutdown, and those of the
// broker. A mailbox that overflows is ErrOverloaded for done. Safe from any
// goroutine.
func (a *App) PublishThen(topic string, msg []byte, op OpCode, done func(offset string, err error)) error {
	if topic == "" || len(topic) > MaxTopicLen {
		return ErrTopic
	}
	if !a.started.Load() {
		return broker.ErrUnavailable
	}
	var here error
	if l := a.onLoop(); l != nil {
		here = l.publishHere(topic, msg, op, nil)
	} else {
		a.published.Add(1)
		here = a.spread(topic, msg, op)
	}
	if a.node == nil {
		done("", here)
		return nil
	}
	return a.node.PublishThen(broker.Message{Topic: topic, Data: msg, Binary: op == Binary}, func(offset string, err error) {
		if err == nil {
			err = here
		}
		done(offset, err)
	})
}

// watch is one call of Watch.
type watch struct {
	fn      Watcher
	stopped atomic.Bool
}

// watchers are a topic's; the slice is never changed, but replaced.
type watchers struct {
	all   []*watch
	keeps bool // they get messages from the broker only
}

// tell gives the watchers of a topic a message that was published on this node.
func (in *interest) tell(topic string, msg []byte, op OpCode) {
	if w := in.watchers.Load(); w != nil && !w.keeps {
		w.call(broker.Message{Topic: topic, Data: msg, Binary: op == Binary})
	}
}

func (w *watchers) call(m broker.Message) {
	for _, x := range w.all {
		if !x.stopped.Load() {
			x.fn(m)
		}
	}
}

// ownFromBroker gives watchers this node's own message, which the log has.
func (a *App) ownFromBroker(m broker.Message) {
	if !a.started.Load() {
		return
	}
	if in := a.topics.find(m.Topic); in != nil {
		if w := in.watchers.Load(); w != nil {
			w.call(m)
		}
	}
}

// watch adds a watcher. first is true when nobody on the App was interested in the
// topic.
func (r *registry) watch(name string, w *watch, keeps bool) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := r.ensure(name)
	first = in.loops == 0 && in.watchers.Load() == nil
	var all []*watch
	if old := in.watchers.Load(); old != nil {
		all = slices.Clone(old.all)
	}
	in.watchers.Store(&watchers{append(all, w), keeps})
	return first
}

// unwatch removes a watcher. last is true when nobody is interested any more.
func (r *registry) unwatch(name string, w *watch) (last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := r.topics[name]
	old := in.watchers.Load()
	rest := slices.DeleteFunc(slices.Clone(old.all), func(x *watch) bool { return x == w })
	if len(rest) > 0 {
		in.watchers.Store(&watchers{rest, old.keeps})
		return false
	}
	in.watchers.Store(nil)
	return r.dropIfUnused(in)
}
