package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// subscribeBatch is how many channels are subscribed in one round trip.
const subscribeBatch = 512

// conn is a place for a subscriber connection: it makes one, brings the server's
// subscriptions in line with what the hub wants, and makes another one when that
// is lost.
type conn struct {
	h       *hub
	addr    string // in a Cluster: whose sharded channels these are
	sharded bool
	cancel  context.CancelFunc
	kick    chan struct{}

	// Guarded by hub.mu.
	dirty  map[*channel]struct{}   // channels of which wanted and asked may differ
	strays map[channelKey]struct{} // subscriptions that belong elsewhere by now

	probe probe
}

// newConn makes one, and starts it. Call with hub.mu held.
func (h *hub) newConn(addr string, sharded bool) *conn {
	ctx, cancel := context.WithCancel(h.ctx)
	c := &conn{
		h: h, addr: addr, sharded: sharded, cancel: cancel,
		kick:  make(chan struct{}, 1),
		dirty: map[*channel]struct{}{}, strays: map[channelKey]struct{}{},
	}
	c.probe.init(time.Now())
	h.wg.Go(func() { c.run(ctx) })
	return c
}

// signal wakes the goroutine.
func (c *conn) signal() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// run makes one connection after another.
func (c *conn) run(ctx context.Context) {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		s, err := c.open(ctx)
		if err == nil {
			err = s.serve(ctx)
			s.end()
			c.h.b.count.disconnects.Add(1)
			if s.proven {
				attempt = 0
			}
		}
		if ctx.Err() != nil {
			return
		}
		c.probe.fail(err)
		c.h.lost(c)
		c.h.b.log.Warn("redis: subscriber connection lost", "server", c.where(), "error", err, "attempt", attempt+1)
		if errors.Is(err, errMasterMoved) {
			continue
		}
		if c.h.b.clustered() {
			c.h.slots.wake()
		}
		if !pause(ctx, backoff(attempt)) {
			return
		}
	}
}

// where is the server, for logs.
func (c *conn) where() string {
	if c.addr != "" {
		return c.addr
	}
	return c.h.b.location.String()
}

// errMasterMoved ends a connection to a server that is not the master any more.
var errMasterMoved = errors.New("another server is the master")

// session is one connection, as long as it lives.
type session struct {
	c       *conn
	client  rueidis.DedicatedClient
	addr    string // the server
	gen     uint64 // of the link that it was made from
	gone    <-chan error
	channel string // of the probes
	proven  bool   // a probe has come back

	back chan uint64 // numbers of probes that did

	// mu is held while a listener is called: ended is set when that is over for
	// good.
	mu    sync.Mutex
	ended bool
}

// open connects, and subscribes the channel of the probes.
func (c *conn) open(ctx context.Context) (*session, error) {
	link, gen := c.h.b.link.current()
	node, addr, err := c.server(link)
	if err != nil {
		return nil, err
	}
	client, _ := node.Dedicate()
	s := &session{c: c, client: client, addr: addr, gen: gen, back: make(chan uint64, 1)}
	if s.channel, err = c.probeChannel(); err == nil {
		s.gone = client.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: s.message, OnSubscription: s.subscription})
		err = s.do(ctx, c.subscribeTo(client.B(), c.probeKind(), s.channel))
	}
	if err != nil {
		s.end()
		return nil, err
	}
	c.h.b.count.connects.Add(1)
	c.h.reopened(c)
	return s, nil
}

// server returns the client of the server to connect to, and its address.
func (c *conn) server(link rueidis.Client) (rueidis.Client, string, error) {
	if !c.h.b.clustered() {
		return link, masterOf(link), nil
	}
	if !c.sharded {
		return c.h.slots.anyMaster(link, "")
	}
	node := link.Nodes()[c.addr]
	if node == nil {
		return nil, "", fmt.Errorf("%s is no member of the Cluster that is known yet", c.addr)
	}
	return node, c.addr, nil
}

// masterOf is the address of the only server that a client talks to.
func masterOf(link rueidis.Client) string {
	for addr := range link.Nodes() {
		return addr
	}
	return ""
}

// subscribeTo is the command for one channel. There is never more than one in a
// command: a Cluster may answer that another node has it, and the client library
// takes a notice of a migrated slot for one of several answers.
func (c *conn) subscribeTo(b rueidis.Builder, kind channelKind, name string) rueidis.Completed {
	switch kind {
	case sharded:
		return b.Ssubscribe().Channel(name).Build()
	case pattern:
		return b.Psubscribe().Pattern(name).Build()
	}
	return b.Subscribe().Channel(name).Build()
}

// unsubscribeFrom is its opposite.
func (c *conn) unsubscribeFrom(b rueidis.Builder, kind channelKind, name string) rueidis.Completed {
	switch kind {
	case sharded:
		return b.Sunsubscribe().Channel(name).Build()
	case pattern:
		return b.Punsubscribe().Pattern(name).Build()
	}
	return b.Unsubscribe().Channel(name).Build()
}

// do runs one command on the connection.
func (s *session) do(ctx context.Context, cmd rueidis.Completed) error {
	ctx, cancel := context.WithTimeout(ctx, s.c.h.b.opts.CommandTimeout)
	defer cancel()
	return s.client.Do(ctx, cmd).Error()
}

// serve keeps the subscriptions as they should be until the connection is lost.
func (s *session) serve(ctx context.Context) error {
	c, o := s.c, &s.c.h.b.opts
	tick := time.NewTicker(o.ProbeInterval)
	defer tick.Stop()
	if err := s.reconcile(ctx); err != nil {
		return err
	}
	p := s.newProber()
	p.send()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-s.gone:
			if err == nil {
				err = errors.New("the connection has ended")
			}
			return err
		case n := <-s.back:
			s.proven = p.returned(n) || s.proven
		case now := <-tick.C:
			if !c.sharded && !c.h.b.clustered() {
				if link, _ := c.h.b.link.current(); masterOf(link) != s.addr {
					return errMasterMoved
				}
			}
			if err := p.tick(now); err != nil {
				return err
			}
			c.h.retryRefused(c, now)
			if err := s.reconcile(ctx); err != nil {
				return err
			}
		case <-c.kick:
			if err := s.reconcile(ctx); err != nil {
				return err
			}
		}
	}
}

// reconcile subscribes and unsubscribes what is due, in batches.
func (s *session) reconcile(ctx context.Context) error {
	for {
		batch := s.c.h.takeDirty(s.c, subscribeBatch)
		if len(batch) == 0 {
			return nil
		}
		cmds := make([]rueidis.Completed, len(batch))
		for i, w := range batch {
			if w.subscribe {
				cmds[i] = s.c.subscribeTo(s.client.B(), w.kind, w.name)
			} else {
				cmds[i] = s.c.unsubscribeFrom(s.client.B(), w.kind, w.name)
			}
		}
		if err := s.exchange(ctx, cmds, batch); err != nil {
			return err
		}
	}
}

// exchange runs the commands of a batch. The error is the connection's.
func (s *session) exchange(ctx context.Context, cmds []rueidis.Completed, batch []change) error {
	ctx, cancel := context.WithTimeout(ctx, s.c.h.b.opts.CommandTimeout)
	defer cancel()
	for i, r := range s.client.DoMulti(ctx, cmds...) {
		if err := r.NonRedisError(); err != nil {
			return err
		}
		err := r.Error()
		if err == nil || !batch[i].subscribe {
			continue
		}
		var refused *rueidis.RedisError
		if errors.As(err, &refused) {
			if addr, moved := refused.IsMoved(); moved {
				s.c.h.moved(batch[i].channel, s.c, addr)
				continue
			}
		}
		s.c.h.refuse(s.c, batch[i].channel, err)
	}
	return nil
}

// change is one thing to bring in line.
type change struct {
	channelKey
	channel   *channel // nil for a stray
	subscribe bool
}

// takeDirty returns at most max changes that are due, and notes them as made.
func (h *hub) takeDirty(from *conn, max int) []change {
	h.mu.Lock()
	defer h.mu.Unlock()
	var batch []change
	for key := range from.strays {
		if len(batch) == max {
			return batch
		}
		delete(from.strays, key)
		batch = append(batch, change{channelKey: key})
	}
	for c := range from.dirty {
		if len(batch) == max {
			return batch
		}
		delete(from.dirty, c)
		want := c.wantedLocked()
		if c.home != from || want == c.asked {
			continue
		}
		c.asked = want
		if !want {
			c.standing = false
			h.forgetLocked(c)
		}
		batch = append(batch, change{c.channelKey, c, want})
	}
	return batch
}

// reopened has a new connection subscribe all that belongs to its place.
func (h *hub) reopened(from *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.channels {
		if c.home == from {
			h.dirtyLocked(c)
		}
	}
}

// message is called by the client library for what arrives.
//
// Hot path: per message.
func (s *session) message(m rueidis.PubSubMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	if m.Channel == s.channel && m.Pattern == "" {
		s.probeBack(m.Message)
		return
	}
	s.c.h.deliver(s.c, m)
}

// subscription is called by the client library when the server has subscribed or
// unsubscribed a channel.
func (s *session) subscription(e rueidis.PubSubSubscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || e.Channel == s.channel {
		return
	}
	switch e.Kind {
	case "subscribe":
		s.c.h.confirmed(s.c, channelKey{plain, e.Channel})
	case "psubscribe":
		s.c.h.confirmed(s.c, channelKey{pattern, e.Channel})
	case "ssubscribe":
		s.c.h.confirmed(s.c, channelKey{sharded, e.Channel})
	case "unsubscribe":
		s.c.h.dropped(s.c, channelKey{plain, e.Channel})
	case "punsubscribe":
		s.c.h.dropped(s.c, channelKey{pattern, e.Channel})
	case "sunsubscribe":
		s.c.h.dropped(s.c, channelKey{sharded, e.Channel})
	}
}

// end closes the connection. When it returns, listeners are not called any more.
func (s *session) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	// It asks the server for a last answer: a second, where that is silent.
	s.c.h.b.wg.Go(s.client.Close)
}

// isUp reports whether messages were seen to pass lately.
func (c *conn) isUp() bool { return c.probe.up.Load() }
