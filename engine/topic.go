package engine

import (
	"sync"
	"sync/atomic"
)

// MaxTopicLen is the longest topic name in bytes.
const MaxTopicLen = 1024

// topic is one loop's view of a topic: its subscribers there.
type topic struct {
	name    string
	members []member
	app     *interest
	// pending are the positions in the turn's log of what was published here.
	pending []int32
	// fannedOut is for App.FanOut. The loop alone writes it.
	fannedOut atomic.Uint64
}

// member is a subscriber and the place of the subscription in its list.
type member struct {
	c    *Conn
	slot int32
}

// subscription is a topic and the place of the subscriber in its list.
type subscription struct {
	topic *topic
	pos   int32
}

// interest is a topic across the loops of an App.
type interest struct {
	name string
	// subscribers counts them on all loops.
	subscribers atomic.Int64
	// present[i] is true while loop i has subscribers, which local[i] holds.
	// local[i] belongs to loop i.
	present []atomic.Bool
	local   []*topic
	loops   int // with subscribers; registry.mu
	at      int // in registry.list; registry.mu
	// past is the fannedOut of loops whose last subscriber has left; registry.mu.
	past uint64
	// told is how much FanOut has told of; registry.fanOutMu.
	told uint64
	// watchers is nil while there are none.
	watchers atomic.Pointer[watchers]
}

// size is how many subscribers there are; in may be nil.
func (in *interest) size() uint64 {
	if in == nil {
		return 0
	}
	return uint64(in.subscribers.Load())
}

// registry finds a topic's interest by name.
type registry struct {
	mu       sync.RWMutex
	topics   map[string]*interest
	list     []*interest // the same ones, for FanOut to walk a part at a time
	loops    int
	fanOutMu sync.Mutex // one FanOut at a time
}

func (r *registry) find(name string) *interest {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.topics[name]
}

// enter notes that a loop has subscribers. first is true when nobody on
// the App was interested in the topic.
func (r *registry) enter(l *Loop, t *topic) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := r.ensure(t.name)
	t.app = in
	in.local[l.id] = t
	in.present[l.id].Store(true)
	in.loops++
	return in.loops == 1 && in.watchers.Load() == nil
}

// exit notes that a loop has none left. last is true when nobody is interested in
// the topic any more.
func (r *registry) exit(l *Loop, t *topic) (last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := t.app
	in.present[l.id].Store(false)
	in.local[l.id] = nil
	in.past += t.fannedOut.Load()
	in.loops--
	return r.dropIfUnused(in)
}

// ensure returns a topic's interest, which it makes if there is none. mu is held.
func (r *registry) ensure(name string) *interest {
	in := r.topics[name]
	if in == nil {
		in = &interest{name: name, present: make([]atomic.Bool, r.loops), local: make([]*topic, r.loops)}
		r.topics[name] = in
		in.at = len(r.list)
		r.list = append(r.list, in)
	}
	return in
}

// dropIfUnused forgets a topic that has neither subscribers nor watchers. mu is
// held.
func (r *registry) dropIfUnused(in *interest) bool {
	if in.loops > 0 || in.watchers.Load() != nil {
		return false
	}
	delete(r.topics, in.name)
	last := len(r.list) - 1
	moved := r.list[last]
	r.list[in.at], moved.at = moved, in.at
	r.list[last] = nil
	r.list = r.list[:last]
	return true
}

// Subscribe adds the connection to a topic. It gets what is published from now
// on. It returns false when it is subscribed already, or closed, or the name is
// empty or longer than MaxTopicLen. Call on the socket's loop.
func (c *Conn) Subscribe(name string) bool {
	if c.state != stateOpen || name == "" || len(name) > MaxTopicLen || c.find(name) >= 0 {
		return false
	}
	l := c.loop
	if !c.settle() {
		return false
	}
	t := l.topics[name]
	if t == nil {
		t = &topic{name: name}
		l.topics[name] = t
		if l.app.topics.enter(l, t) {
			l.app.syncBroker(name)
		}
	}
	e := c.extend()
	t.members = append(t.members, member{c, int32(len(e.subs))})
	e.subs = append(e.subs, subscription{t, int32(len(t.members) - 1)})
	if len(e.subs) > 1 {
		c.flags |= isMulti
	}
	if len(l.log) > 0 {
		l.markSpecial(c)
	}
	l.stats.Subscriptions++
	n := int(t.app.subscribers.Add(1))
	if c.route.Subscription != nil {
		l.call(c, func() { c.route.Subscription(c, name, n, n-1) })
	}
	return true
}

// Unsubscribe removes the connection from a topic. What was published before
// still reaches it. It returns false when it was not subscribed. Call on the
// socket's loop.
func (c *Conn) Unsubscribe(name string) bool {
	i := c.find(name)
	if i < 0 {
		return false
	}
	c.settle()
	if c.ext == nil || i >= len(c.ext.subs) {
		return false
	}
	c.loop.unsubscribe(c, i)
	return true
}

// Topics are the names of the topics that the connection is subscribed to. Call
// on the socket's loop.
func (c *Conn) Topics() []string {
	if c.ext == nil {
		return nil
	}
	names := make([]string, len(c.ext.subs))
	for i, s := range c.ext.subs {
		names[i] = s.topic.name
	}
	return names
}

// IsSubscribed reports whether the connection is subscribed to a topic. Call on
// the socket's loop.
func (c *Conn) IsSubscribed(name string) bool { return c.find(name) >= 0 }

// find is the place of a topic in the connection's list, or -1.
func (c *Conn) find(name string) int {
	if c.ext == nil {
		return -1
	}
	for i := range c.ext.subs {
		if c.ext.subs[i].topic.name == name {
			return i
		}
	}
	return -1
}

// unsubscribe removes c's i-th subscription from both lists in constant time.
func (l *Loop) unsubscribe(c *Conn, i int) {
	e := c.ext
	t, pos := e.subs[i].topic, e.subs[i].pos

	last := len(t.members) - 1
	moved := t.members[last]
	t.members[pos] = moved
	moved.c.ext.subs[moved.slot].pos = pos
	t.members[last] = member{}
	t.members = t.members[:last]

	last = len(e.subs) - 1
	e.subs[i] = e.subs[last]
	if i != last {
		e.subs[i].topic.members[e.subs[i].pos].slot = int32(i)
	}
	e.subs[last] = subscription{}
	e.subs = e.subs[:last]
	if len(e.subs) < 2 {
		c.flags &^= isMulti
	}

	l.stats.Subscriptions--
	n := int(t.app.subscribers.Add(-1))
	if len(t.members) == 0 && len(t.pending) == 0 {
		l.dropTopic(t)
	}
	if c.route.Subscription != nil {
		l.call(c, func() { c.route.Subscription(c, t.name, n, n+1) })
	}
}

// dropTopic forgets a topic without members. One with pending publications is
// dropped when they are flushed.
func (l *Loop) dropTopic(t *topic) {
	if l.topics[t.name] != t {
		return
	}
	delete(l.topics, t.name)
	if l.app.topics.exit(l, t) {
		l.app.syncBroker(t.name)
	}
}

// unsubscribeAll removes all subscriptions of a connection that has ended.
func (l *Loop) unsubscribeAll(c *Conn) {
	for c.ext != nil && len(c.ext.subs) > 0 {
		l.unsubscribe(c, len(c.ext.subs)-1)
	}
}
