package redis

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
)

// hub holds the subscriber connections: one, or one for each master of a Redis
// Cluster; sharded channels have theirs. It knows what is to be subscribed,
// brings the servers in line with that, again after each reconnection, failover
// and migration of a slot, and proves by probes that messages pass.
type hub struct {
	b     *Broker
	lane  *lane // for probes
	slots *slots

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	tidy   chan struct{} // wakes the goroutine that releases late

	// mu is held for a moment only: never during a network call, nor while a
	// listener is called.
	mu       sync.RWMutex
	channels map[channelKey]*channel
	main     *conn            // of plain and pattern channels
	shards   map[string]*conn // of sharded ones, by address; "" where there is no Cluster
	outages  map[listener]*outage
	late     []lateRelease       // those to look at first are first
	refused  map[*channel]string // what servers do not let us subscribe to, and why
	closed   bool
}

// channelKind is how a channel is subscribed to.
type channelKind uint8

const (
	plain   channelKind = iota // SUBSCRIBE
	pattern                    // PSUBSCRIBE
	sharded                    // SSUBSCRIBE
)

// listener gets what arrives on a channel. Its methods are called on the
// connection's goroutine, one at a time and in order: they must not block, nor
// call Redis. They may subscribe and release.
type listener interface {
	// message is one that arrived. channel is where it was published, for a
	// pattern too. Both strings are the message's own: they alias no buffer that is
	// used again, and may be kept.
	message(channel, payload string)
	// gap says that messages may have been lost: the connection was away, and what
	// is published now arrives again. It comes once for each time, when all of the
	// listener's subscriptions that had stood before stand again: before the first
	// message that arrives by the last of them.
	gap(g broker.Gap)
}

// channelKey names a channel.
type channelKey struct {
	kind channelKind
	name string
}

// channel is one that is subscribed, or is to be.
type channel struct {
	channelKey
	slot  uint16                          // of a sharded one
	holds atomic.Pointer[[]*subscription] // replaced, never changed; read without hub.mu

	// Guarded by hub.mu.
	home     *conn         // which connection it belongs to; nil: no server is known yet
	asked    bool          // home was told to subscribe, and has not refused
	standing bool          // the server has confirmed
	lingers  bool          // nobody holds it, but it is not to be released yet
	until    time.Time     // it lingers
	inLate   bool          // hub.late has it
	refusals int           // in a row
	retryAt  time.Time     // after a refusal
	changed  chan struct{} // closed when standing becomes true; nil: nobody waits
}

// subscription is a listener's hold on a channel. Several listeners may have the
// same channel: it is subscribed once.
type subscription struct {
	h        *hub
	channel  *channel
	listener listener
	released atomic.Bool

	// Guarded by hub.mu.
	stood  bool // it has stood once
	missed bool // it does not stand any more: a gap is due when it does
}

// outage is a time in which some of a listener's subscriptions do not stand any
// more.
type outage struct {
	left int  // that do not stand yet
	back bool // one does again
}

// lateRelease is a channel that nobody held at a time: one entry for each, however
// often it comes and goes.
type lateRelease struct {
	channel *channel
	due     time.Time
}

func newHub(b *Broker) *hub {
	h := &hub{
		b: b, lane: b.newLane("probe"), slots: newSlots(),
		tidy:     make(chan struct{}, 1),
		channels: map[channelKey]*channel{}, shards: map[string]*conn{}, refused: map[*channel]string{},
		outages: map[listener]*outage{},
	}
	h.lane.ownUse = true
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

// start opens the main connection, and returns when a first probe is back.
func (h *hub) start(ctx context.Context) error {
	if h.b.clustered() {
		client, _ := h.b.link.current()
		if _, err := h.slots.refresh(ctx, client); err != nil {
			return err
		}
		h.wg.Go(h.watchSlots)
	}
	h.wg.Go(h.releaseLate)
	h.mu.Lock()
	h.main = h.newConn("", false)
	h.mu.Unlock()
	return h.main.awaitProbe(ctx)
}

// subscribe has l listen to a channel. It does not block: the subscription stands
// soon, and again after each reconnection.
func (h *hub) subscribe(kind channelKind, name string, l listener) *subscription {
	s := &subscription{h: h, listener: l}
	h.mu.Lock()
	defer h.mu.Unlock()
	key := channelKey{kind, name}
	c := h.channels[key]
	if c == nil {
		c = &channel{channelKey: key}
		if kind == sharded {
			c.slot = slotOf(name)
		}
		h.channels[key] = c
		c.home = h.homeLocked(c)
	}
	s.channel, s.stood = c, c.standing
	c.lingers = false
	c.holdLocked(s)
	h.dirtyLocked(c)
	return s
}

// holdLocked adds a subscription.
func (c *channel) holdLocked(s *subscription) {
	var holds []*subscription
	if old := c.holds.Load(); old != nil {
		holds = append(holds, *old...)
	}
	holds = append(holds, s)
	c.holds.Store(&holds)
}

// held returns who listens.
func (c *channel) held() []*subscription {
	if holds := c.holds.Load(); holds != nil {
		return *holds
	}
	return nil
}

// wantedLocked reports whether the channel is to be subscribed.
func (c *channel) wantedLocked() bool { return c.lingers || len(c.held()) > 0 }

// homeLocked returns the connection that a channel belongs to, and makes it where
// there is none. It is nil while no server is known to own the channel's slot.
func (h *hub) homeLocked(c *channel) *conn {
	if c.kind != sharded {
		return h.main
	}
	addr := ""
	if h.b.clustered() {
		if addr = h.slots.owner(c.slot); addr == "" {
			return nil
		}
	}
	shard := h.shards[addr]
	if shard == nil && !h.closed {
		shard = h.newConn(addr, true)
		h.shards[addr] = shard
	}
	return shard
}

// dirtyLocked has the channel's connection look at it.
func (h *hub) dirtyLocked(c *channel) {
	if c.home == nil || c.wantedLocked() == c.asked {
		if !c.asked && !c.wantedLocked() {
			h.forgetLocked(c)
		}
		return
	}
	c.home.dirty[c] = struct{}{}
	c.home.signal()
}

// forgetLocked drops a channel that is neither wanted nor asked for.
func (h *hub) forgetLocked(c *channel) {
	if h.channels[c.channelKey] == c {
		delete(h.channels, c.channelKey)
	}
	delete(h.refused, c)
}

// release ends it. The listener is not called after release has returned, except
// by a call that is under way. late keeps the channel subscribed for
// Options.ReleaseDelay, so that churn does not reach the server. It may be called
// twice.
func (s *subscription) release(late bool) {
	if s.released.Swap(true) {
		return
	}
	h, c := s.h, s.channel
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.settleLocked(s, false) && !h.closed {
		// The caller may hold what the listener waits for.
		h.wg.Go(func() { s.listener.gap(broker.Gap{Reason: broker.Reconnected, Lost: -1}) })
	}
	var holds []*subscription
	for _, other := range c.held() {
		if other != s {
			holds = append(holds, other)
		}
	}
	c.holds.Store(&holds)
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
	if len(holds) > 0 {
		return
	}
	if late && c.asked && !h.closed {
		c.lingers, c.until = true, time.Now().Add(h.b.opts.ReleaseDelay)
		if c.inLate {
			return
		}
		c.inLate = true
		h.late = append(h.late, lateRelease{c, c.until})
		if len(h.late) == 1 {
			select {
			case h.tidy <- struct{}{}:
			default:
			}
		}
		return
	}
	h.dirtyLocked(c)
}

// releaseLate lets go of channels that nobody held for ReleaseDelay.
func (h *hub) releaseLate() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-h.tidy:
		case <-timer.C:
		}
		if next, ok := h.releaseDue(time.Now()); ok {
			timer.Reset(next)
		}
	}
}

// releaseDue releases what is due, and returns in how long the next one is.
func (h *hub) releaseDue(now time.Time) (next time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.late) > 0 && !h.late[0].due.After(now) {
		c := h.late[0].channel
		h.late[0] = lateRelease{}
		h.late = h.late[1:]
		switch {
		case c.lingers && c.until.After(now): // subscribed since, and released again
			h.late = append(h.late, lateRelease{c, c.until})
		case c.lingers:
			c.lingers, c.inLate = false, false
			h.dirtyLocked(c)
		default:
			c.inLate = false
		}
	}
	if len(h.late) == 0 {
		h.late = nil
		return 0, false
	}
	return h.late[0].due.Sub(now), true
}

// up reports whether the subscription stands.
func (s *subscription) up() bool {
	s.h.mu.RLock()
	defer s.h.mu.RUnlock()
	return s.channel.standing && !s.released.Load()
}

// wait returns when the subscription stands on the server, or ctx ends. The error
// is broker.ErrClosed after release, and ctx's.
func (s *subscription) wait(ctx context.Context) error {
	for {
		s.h.mu.Lock()
		c := s.channel
		switch {
		case s.released.Load() || s.h.closed:
			s.h.mu.Unlock()
			return broker.ErrClosed
		case c.standing:
			s.h.mu.Unlock()
			return nil
		}
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed := c.changed
		s.h.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// deliver hands a message to the listeners of its channel. from is the connection
// that it came by.
//
// Hot path: per message.
func (h *hub) deliver(from *conn, m rueidis.PubSubMessage) {
	key := channelKey{plain, m.Channel}
	switch {
	case from.sharded:
		key.kind = sharded
	case m.Pattern != "":
		key = channelKey{pattern, m.Pattern}
	}
	h.mu.RLock()
	c := h.channels[key]
	h.mu.RUnlock()
	h.b.count.received.Add(1)
	if c == nil || len(c.held()) == 0 {
		h.b.count.unwanted.Add(1)
		return
	}
	for _, s := range c.held() {
		if !s.released.Load() {
			s.listener.message(m.Channel, m.Message)
		}
	}
}

// confirmed says that a connection's server has subscribed a channel. Listeners
// that had it before are told of the gap: this runs before the first message.
func (h *hub) confirmed(from *conn, key channelKey) {
	var missed []*subscription
	h.mu.Lock()
	c := h.channels[key]
	if c != nil && c.home == from && c.asked {
		c.standing, c.refusals = true, 0
		delete(h.refused, c)
		if c.changed != nil {
			close(c.changed)
			c.changed = nil
		}
		for _, s := range c.held() {
			if h.settleLocked(s, true) {
				missed = append(missed, s)
			}
			s.stood = true
		}
	}
	h.mu.Unlock()
	for _, s := range missed {
		if !s.released.Load() {
			s.listener.gap(broker.Gap{Reason: broker.Reconnected, Lost: -1})
		}
	}
}

// dropLocked notes that a channel does not stand any more, without its having
// been released, and reports whether a listener misses it.
func (c *channel) dropLocked() (missed bool) {
	c.asked, c.standing = false, false
	for _, s := range c.held() {
		if s.stood && !s.missed {
			s.missed, missed = true, true
			o := s.h.outages[s.listener]
			if o == nil {
				o = &outage{}
				s.h.outages[s.listener] = o
			}
			o.left++
		}
	}
	return missed
}

// settleLocked ends a subscription's part in an outage: it stands again, or is
// released. It reports whether the outage is over, and the listener to be told.
func (h *hub) settleLocked(s *subscription, stands bool) (tell bool) {
	if !s.missed {
		return false
	}
	s.missed = false
	o := h.outages[s.listener]
	o.left--
	o.back = o.back || stands
	if o.left > 0 {
		return false
	}
	delete(h.outages, s.listener)
	return o.back
}

// lost says that a connection has gone: its channels do not stand any more.
func (h *hub) lost(from *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	missed := false
	for _, c := range h.channels {
		if c.home != from {
			continue
		}
		missed = c.dropLocked() || missed
		if !c.wantedLocked() {
			h.forgetLocked(c)
		}
	}
	clear(from.dirty)
	clear(from.strays)
	if missed {
		h.b.count.gap(broker.Reconnected)
	}
}

// refuse notes that a server does not let us subscribe to a channel. It is tried
// again, more and more rarely.
func (h *hub) refuse(from *conn, c *channel, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.home != from || !c.asked {
		return
	}
	c.dropLocked()
	if !c.wantedLocked() {
		h.forgetLocked(c)
		return
	}
	c.retryAt = time.Now().Add(min(time.Second<<min(c.refusals, 5), 30*time.Second))
	c.refusals++
	h.b.count.subscribeErrors.Add(1)
	if len(h.refused) == 0 {
		h.b.log.Error("redis: the server refuses a subscription", "channel", c.name, "error", err)
	}
	h.refused[c] = err.Error()
}

// retryRefused has a connection ask again for what was refused long enough ago.
func (h *hub) retryRefused(from *conn, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.refused {
		if c.home == from && !now.Before(c.retryAt) {
			h.dirtyLocked(c)
		}
	}
}

// refusedLocked names a channel that is refused; "" if there is none.
func (h *hub) refusedLocked() string {
	for c, why := range h.refused {
		return "channel " + c.name + ": " + why
	}
	return ""
}

// size counts connections and channels.
func (h *hub) size() (connections, channels, standing int) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, c := range h.channels {
		channels++
		if c.standing {
			standing++
		}
	}
	for _, c := range h.connsLocked() {
		if c.isUp() {
			connections++
		}
	}
	return connections, channels, standing
}

// connsLocked returns all connections.
func (h *hub) connsLocked() []*conn {
	var all []*conn
	if h.main != nil {
		all = append(all, h.main)
	}
	for _, c := range h.shards {
		all = append(all, c)
	}
	return all
}

// proven reports whether messages were seen to pass lately, by any connection.
func (h *hub) proven() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return slices.ContainsFunc(h.connsLocked(), (*conn).isUp)
}

// health is the connections' part of Broker.Health.
func (h *hub) health(now time.Time) (reason string, lag time.Duration) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.closed {
		return "closed", 0
	}
	for _, c := range h.connsLocked() {
		why, l := c.health(now)
		if reason == "" {
			reason = why
		}
		lag = max(lag, l)
	}
	if reason == "" {
		reason = h.refusedLocked()
	}
	return reason, lag
}

// close ends the connections. Listeners are not called any more.
func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	for _, c := range h.channels {
		if c.changed != nil {
			close(c.changed)
			c.changed = nil
		}
	}
	h.mu.Unlock()
	h.cancel()
	h.wg.Wait()
}
