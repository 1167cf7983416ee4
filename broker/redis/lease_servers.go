package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
)

const (
	// relist is how old the list of servers is at least before a lookup that finds
	// an unknown one has it read again.
	relist = 250 * time.Millisecond
	// sweepLife is how long a server that clears up behind another one may take for
	// a batch, beside CommandTimeout.
	sweepLife = 5 * time.Second
)

// serverState is what the lease of a server says.
type serverState uint8

const (
	unknown serverState = iota // no server of a presence
	alive
	dead  // it has neither left nor kept its lease
	swept // somebody is clearing up behind it
)

// servers is the list of all servers, kept so that a lookup does not have to ask
// for leases.
type servers struct {
	reading chan struct{} // one place: has something while the list is read

	mu    sync.Mutex
	asked time.Time // when the list was asked for last, whatever came of it
	err   error     // what came of it
	read  time.Time // when the list that is kept was asked for; zero: never
	state map[string]serverState
	info  []broker.ServerInfo // of those alive, by name
}

// known returns the state of a server, and how old it is.
func (s *servers) known(server string, now time.Time) (serverState, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state[server], now.Sub(s.read)
}

// watchServers keeps the list, and clears up behind servers that have died.
func (n *presenceNode) watchServers() {
	every := n.b.opts.Lease / listedPerLife
	for pause(n.ctx, jitter(every)) {
		if err := n.readServers(n.ctx, time.Now()); err != nil {
			continue // counted; lookups try for themselves
		}
		for _, server := range n.deadServers() {
			if err := n.sweep(server); err != nil && n.ctx.Err() == nil {
				n.complain("redis: a server that died could not be cleared up behind", "dead", server, "error", err)
			}
		}
	}
}

// readServers reads the list, unless it was asked for after a time already: of
// those who come together one asks for all.
func (n *presenceNode) readServers(ctx context.Context, after time.Time) error {
	s := &n.servers
	select {
	case s.reading <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.reading }()
	if done, err := s.askedSince(after); done {
		return err
	}
	asked := time.Now()
	err := n.askServers(ctx, asked)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() == nil { // else it is the caller's own
		s.asked, s.err = asked, err
	}
	return err
}

// askedSince reports whether the list was asked for after a time, and what came of
// it.
func (s *servers) askedSince(after time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked.After(after), s.err
}

// askServers is readServers that asks.
func (n *presenceNode) askServers(ctx context.Context, asked time.Time) error {
	s := &n.servers
	names, err := n.b.do(ctx, n.b.client.B().Smembers().Key(nodesKey).Build()).AsStrSlice()
	if err != nil && !rueidis.IsRedisNil(err) {
		return err
	}
	leases, err := n.readLeases(ctx, names)
	if err != nil {
		return err
	}
	state := make(map[string]serverState, len(names))
	var info []broker.ServerInfo
	for _, name := range names {
		var g grant
		text, held := leases[leaseKey+name]
		switch {
		case !held:
			state[name] = dead
		case json.Unmarshal([]byte(text), &g) == nil && g.Token != "":
			state[name] = alive
			info = append(info, broker.ServerInfo{Name: name, Started: time.UnixMilli(g.Started), UIDs: g.UIDs})
		default:
			state[name] = swept
		}
	}
	slices.SortFunc(info, func(a, b broker.ServerInfo) int { return strings.Compare(a.Name, b.Name) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read, s.state, s.info = asked, state, info
	return nil
}

// readLeases returns the values of those leases that are held.
func (n *presenceNode) readLeases(ctx context.Context, servers []string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, n.b.opts.CommandTimeout)
	defer cancel()
	cmds := make(rueidis.Commands, len(servers))
	for i, name := range servers {
		cmds[i] = n.b.client.B().Get().Key(leaseKey + name).Build()
	}
	values := make(map[string]string, len(servers))
	for i, r := range n.b.client.DoMulti(ctx, cmds...) {
		text, err := r.ToString()
		switch {
		case err == nil:
			values[leaseKey+servers[i]] = text
		case !rueidis.IsRedisNil(err):
			return nil, err
		}
	}
	return values, nil
}

// Servers implements broker.PresenceNode.
func (n *presenceNode) Servers(ctx context.Context) ([]broker.ServerInfo, error) {
	if n.isClosed() {
		return nil, broker.ErrClosed
	}
	if err := n.readServers(ctx, time.Now()); err != nil {
		return nil, n.unavailable(ctx, err)
	}
	n.servers.mu.Lock()
	defer n.servers.mu.Unlock()
	return slices.Clone(n.servers.info), nil
}

// unavailable is the error of a question to a server that has failed.
func (n *presenceNode) unavailable(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case n.isClosed():
		return broker.ErrClosed
	}
	return notTaken(err)
}

// deadServers are those whose lease has run out.
func (n *presenceNode) deadServers() (names []string) {
	n.servers.mu.Lock()
	defer n.servers.mu.Unlock()
	for name, state := range n.servers.state {
		if state == dead && name != n.server {
			names = append(names, name)
		}
	}
	return names
}

// sweep removes what a server that died has told, in batches. Meanwhile it holds
// that server's lease: should the server come back, it waits, and tells
// everything anew.
func (n *presenceNode) sweep(server string) error {
	if _, stands := n.lease.stands(time.Now()); !stands {
		return nil // who is not seen by others leaves it to them
	}
	g := grant{Sweeper: newToken()}
	life := n.b.opts.CommandTimeout + sweepLife
	for swept := 0; ; {
		// Whatever is sent in this turn is answered or given up before the lease ends.
		_, err := n.b.hold(n.ctx, n.scripts.hold, server, &g, life)
		var taken *errTaken
		if errors.As(err, &taken) {
			return nil // it has come back, or somebody else clears up
		}
		if err != nil {
			return err
		}
		users, err := n.b.do(n.ctx, n.b.client.B().Srandmember().Key(usersKey+server).Count(tellBatch).Build()).AsStrSlice()
		if err != nil && !rueidis.IsRedisNil(err) {
			return err
		}
		if len(users) == 0 {
			n.log.Info("redis: cleared up behind a server that died", "server", n.server, "dead", server, "users", swept)
			return n.resign(n.ctx, server, g.holder())
		}
		if err := n.forget(n.ctx, server, users); err != nil {
			return err
		}
		if err := n.b.do(n.ctx, n.b.client.B().Srem().Key(usersKey+server).Member(users...).Build()).Error(); err != nil {
			return fmt.Errorf("%d users: %w", len(users), err)
		}
		swept += len(users)
	}
}
