package redis

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
)

// redisPresence is a Broker's broker.Presence.
type redisPresence struct{ b *Broker }

// presenceState is what a Broker's nodes of presence share. The zero value is
// ready.
type presenceState struct {
	once sync.Once
	lane *lane // of all that they tell, in the order of their calls

	mu    sync.Mutex
	names map[string]bool   // mu; of servers that have joined by this Broker
	uids  map[string]string // mu; of this Broker's nodes of Cluster, by namespace
}

// maxUIDs bounds the namespaces whose nodes a server names in its lease.
const maxUIDs = 64

// named notes a node of Cluster, whose name others then learn from this server's
// lease.
func (s *presenceState) named(namespace, uid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uids == nil {
		s.uids = map[string]string{}
	}
	if _, there := s.uids[namespace]; there || len(s.uids) < maxUIDs {
		s.uids[namespace] = uid
	}
}

// unnamed ends what named began.
func (s *presenceState) unnamed(namespace, uid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uids[namespace] == uid {
		delete(s.uids, namespace)
	}
}

// allNamed is a copy of what is noted.
func (s *presenceState) allNamed() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.uids)
}

// Parts of a lease's life.
const (
	keptPerLife   = 3 // how often a lease is refreshed
	listedPerLife = 6 // how often the leases of all servers are read
)

// presenceNode is one server's part in the presence.
type presenceNode struct {
	b       *Broker
	lane    *lane
	log     *slog.Logger
	server  string
	started time.Time
	grant   grant
	scripts scripts
	lease   lease
	servers servers
	cache   lookups
	inbox   *inbox

	ctx  context.Context // ends with Leave, and with the Broker
	end  context.CancelFunc
	gone sync.WaitGroup
	wake chan struct{} // something is to be told again

	lost      atomic.Uint64 // messages that were refused, or failed on their way out
	malformed atomic.Uint64 // messages, and entries of users, that made no sense
	logged    atomic.Int64  // Unix nanoseconds of the last line about those

	mu     sync.Mutex
	left   bool
	users  map[string][]presentConn // this server's, the oldest first
	dirty  map[string]struct{}      // users to be told again as a whole
	going  map[string]int           // users whose last exit is being told: how many of those
	strays bool                     // the server's set may have users that are not here
	sub    *subscription            // of the inbox; nil: the lease was never held
}

// presentConn is a connection of a user to this server.
type presentConn struct {
	id string
	at int64 // Unix milliseconds
}

// Join implements broker.Presence. Without a name it is Options.Server.
func (p redisPresence) Join(server string, direct func(*cluster.Message)) (broker.PresenceNode, error) {
	b := p.b
	if server == "" {
		server = b.opts.Server
	}
	if err := broker.CheckServer(server); err != nil {
		return nil, err
	}
	s := &b.presence
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names[server] {
		return nil, broker.ErrServer
	}
	n := &presenceNode{
		b:       b,
		log:     b.log,
		server:  server,
		started: time.Now(),
		scripts: newScripts(),
		wake:    make(chan struct{}, 1),
		users:   map[string][]presentConn{},
		going:   map[string]int{},
		dirty:   map[string]struct{}{},
		servers: servers{reading: make(chan struct{}, 1)},
	}
	n.grant = grant{Token: newToken(), Started: n.started.UnixMilli()}
	n.inbox = b.newInbox(broker.ClusterReceiver{Deliver: direct}, n.open)
	n.lane = b.presenceLane()
	n.cache.init(b)
	n.ctx, n.end = context.WithCancel(b.ctx)
	if err := n.start(); err != nil {
		return nil, err
	}
	if s.names == nil {
		s.names = map[string]bool{}
	}
	s.names[server] = true
	return n, nil
}

// start begins what the node does by itself. The error is broker.ErrClosed.
func (n *presenceNode) start() error {
	b := n.b
	b.mu.Lock()
	closed := b.closed
	if !closed {
		for _, loop := range []func(){n.keepLease, n.tellAgain, n.watchServers} {
			n.gone.Add(1)
			b.wg.Go(func() {
				defer n.gone.Done()
				loop()
			})
		}
	}
	b.mu.Unlock()
	if closed {
		n.end()
		return broker.ErrClosed
	}
	return nil
}

// presenceLane is the lane that all nodes of presence tell on.
func (b *Broker) presenceLane() *lane {
	b.presence.once.Do(func() { b.presence.lane = b.newLane("presence") })
	return b.presence.lane
}

// jitter is a duration with up to a quarter taken away, so that nodes which began
// together do not stay together.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/4+1) }

// keepLease takes the lease and keeps it.
func (n *presenceNode) keepLease() {
	life := n.b.opts.Lease
	told := time.Time{}
	for attempt := 0; ; attempt++ {
		asked := time.Now()
		g := n.grant
		g.UIDs = n.b.presence.allNamed()
		fresh, err := n.b.hold(n.ctx, n.scripts.hold, n.server, &g, life)
		next := life / keptPerLife
		var taken *errTaken
		switch {
		case n.ctx.Err() != nil:
			return
		case err == nil:
			err = n.held(asked, fresh)
			attempt = 0
		case errors.As(err, &taken):
			n.lease.failed(err, true)
			n.refused()
			if !taken.swept() && time.Since(told) > time.Minute {
				told = time.Now()
				n.log.Error("redis: presence refused: this server is not seen by others, nor are its users, until the lease of its name runs out or is given back", "server", n.server, "error", err)
			}
		}
		if err != nil {
			if taken == nil {
				n.lease.failed(err, false)
			}
			next = min(next, backoff(attempt)+life/100)
		}
		if !pause(n.ctx, jitter(next)) {
			return
		}
	}
}

// held goes on from a lease that was granted.
func (n *presenceNode) held(asked time.Time, fresh bool) error {
	// Whoever reads the set first must not take this server for a foreign one.
	if err := n.b.do(n.ctx, n.b.client.B().Sadd().Key(nodesKey).Member(n.server).Build()).Error(); err != nil {
		return err
	}
	_, stood := n.lease.stands(asked)
	if fresh || !stood {
		if err := n.scripts.load(n.ctx, n.b); err != nil {
			n.log.Warn("redis: scripts are sent as a whole: they could not be loaded", "server", n.server, "error", err)
		}
		n.restart()
	}
	n.lease.kept(asked, n.b.opts.Lease)
	n.signal()
	return nil
}

// restart has everything told again: others may have cleared up behind this
// server, or Redis has lost what it had.
func (n *presenceNode) restart() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left {
		return
	}
	for user := range n.users {
		n.dirty[user] = struct{}{}
	}
	n.strays = true
	if n.sub == nil {
		n.sub = n.b.hub.subscribe(n.b.inboxKind(), inboxKey+n.server, n.inbox)
	}
}

// refused goes on without the lease: what is sent to the name is another's.
func (n *presenceNode) refused() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sub != nil {
		n.sub.release(false)
		n.sub = nil
	}
}

// signal wakes tellAgain.
func (n *presenceNode) signal() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Health implements broker.PresenceNode.
func (n *presenceNode) Health() broker.Health {
	dropped, gaps := n.inbox.counts()
	h := broker.Health{Lost: n.lost.Load() + dropped, Gaps: gaps}
	n.mu.Lock()
	left, sub := n.left, n.sub
	n.mu.Unlock()
	reason, stands := n.lease.stands(time.Now())
	switch err := n.lane.state(); {
	case left:
		h.Reason = "the node has left"
	case n.ctx.Err() != nil:
		h.Reason = "the broker is closed"
	case !stands:
		h.Reason = reason
	case err != nil:
		h.Reason = "presence can't be told: " + err.Error()
	case sub == nil || !sub.up():
		h.Reason = "the server's inbox is not subscribed"
	default:
		h.Up = true
	}
	return h
}

// isClosed reports whether the node has left, or its broker was closed.
func (n *presenceNode) isClosed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.left || n.ctx.Err() != nil
}

// Leave implements broker.PresenceNode.
func (n *presenceNode) Leave(ctx context.Context) error {
	n.mu.Lock()
	left, sub, users := n.left, n.sub, n.users
	for user := range n.going {
		users[user] = nil // what follows its exit is not sent any more perhaps
	}
	for user := range n.dirty {
		users[user] = nil
	}
	n.left, n.sub, n.users, n.dirty = true, nil, map[string][]presentConn{}, map[string]struct{}{}
	n.mu.Unlock()
	if left {
		return nil
	}
	closed := n.ctx.Err() != nil
	n.end()
	n.inbox.close()
	if sub != nil {
		sub.release(false)
	}
	n.gone.Wait()
	n.b.presence.mu.Lock()
	delete(n.b.presence.names, n.server)
	n.b.presence.mu.Unlock()
	if closed {
		return broker.ErrClosed
	}
	if _, stands := n.lease.stands(time.Now()); !stands {
		return nil // it has nothing to take back, or nobody to tell
	}
	return n.retract(ctx, users)
}

// retract takes back all that was told, and at last the lease.
func (n *presenceNode) retract(ctx context.Context, users map[string][]presentConn) error {
	batch := make([]string, 0, tellBatch)
	for user := range users {
		if batch = append(batch, user); len(batch) == tellBatch {
			if err := n.forget(ctx, n.server, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if err := n.forget(ctx, n.server, batch); err != nil {
		return err
	}
	return n.resign(ctx, n.server, n.grant.holder())
}

// resign strikes a server, all of whose users are forgotten, off the list, and
// gives back its lease.
func (n *presenceNode) resign(ctx context.Context, server, holder string) error {
	for _, cmd := range []rueidis.Completed{
		n.b.client.B().Del().Key(usersKey + server).Build(),
		n.b.client.B().Srem().Key(nodesKey).Member(server).Build(),
	} {
		if err := n.b.do(ctx, cmd).Error(); err != nil {
			return err
		}
	}
	return n.b.run(ctx, n.scripts.drop, leaseKey+server, holder).Error()
}
