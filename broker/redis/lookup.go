package redis

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
)

const (
	// plainTTL is how old an answer may be where Redis can't tell that it changed.
	plainTTL = time.Second
	// maxPlain bounds the answers that are kept so.
	maxPlain = 10_000
)

// lookups counts what users are looked up, and keeps answers for plainTTL where
// there is no client-side caching.
type lookups struct {
	ttl time.Duration // 0: Redis tells of changes

	mu      sync.Mutex
	answers map[string]plainAnswer
}

// plainAnswer is one that Redis does not watch.
type plainAnswer struct {
	until time.Time
	found found
}

// found is what the keys of a user say.
type found struct {
	conns map[string]string // "<server>|<Unix milliseconds>" by connection
	entry map[string]string // what Node servers read and write
}

func (l *lookups) init(b *Broker) {
	if b.opts.NoTracking {
		l.ttl = min(plainTTL, b.opts.LookupTTL)
		l.answers = map[string]plainAnswer{}
	}
}

// get returns an answer that is young enough.
func (l *lookups) get(user string, now time.Time) (found, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.answers[user]
	return a.found, ok && now.Before(a.until)
}

// put keeps an answer, and drops another one, old if possible, where there are too
// many.
func (l *lookups) put(user string, f found, asked time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, there := l.answers[user]; !there && len(l.answers) >= maxPlain {
		looked := 0
		for other, a := range l.answers {
			if looked++; looked == 8 || asked.After(a.until) {
				delete(l.answers, other)
				break
			}
		}
	}
	l.answers[user] = plainAnswer{asked.Add(l.ttl), f}
}

// Lookup implements broker.PresenceNode. Answers come from the client-side cache,
// without a command, as long as Redis has not told that they changed: what another
// node told is seen as soon as Redis has both executed and announced it. Where the
// connection to Redis breaks, the cache goes with it; one that is dead without
// being closed is found out within keepAlive and CommandTimeout; and nothing is
// older than Options.LookupTTL, whatever happens. Without tracking an answer is
// up to a second old.
//
// A user of whom no server has told, or who has an entry of a server that is none
// of this presence, is looked for among what Node servers write.
func (n *presenceNode) Lookup(ctx context.Context, user string) ([]broker.Connection, error) {
	if err := broker.CheckUser(user); err != nil {
		return nil, err
	}
	if n.isClosed() {
		return nil, broker.ErrClosed
	}
	f, cached, err := n.find(ctx, user)
	if err != nil {
		return nil, n.unavailable(ctx, err)
	}
	now := time.Now()
	all := n.own(user, f, cached)
	for id, value := range f.conns {
		server, at, ok := readConnection(value)
		if !ok {
			n.complain("redis: a user's connection makes no sense", "user", user, "connection", id)
			continue
		}
		if server == n.server {
			continue
		}
		state, err := n.stateOf(ctx, server, now, relist)
		if err != nil {
			return nil, n.unavailable(ctx, err)
		}
		if state == alive {
			all = append(all, broker.Connection{ID: id, Server: server, At: at})
		}
	}
	foreign, ok, err := n.foreign(ctx, f.entry, now)
	if err != nil {
		return nil, n.unavailable(ctx, err)
	}
	if ok {
		all = append(all, foreign)
	}
	slices.SortFunc(all, broker.CompareConnections)
	return all, nil
}

// own are the user's connections to this server: it knows best. What Redis has of
// others that it does not know is told to be wrong.
func (n *presenceNode) own(user string, f found, cached bool) []broker.Connection {
	n.mu.Lock()
	defer n.mu.Unlock()
	conns := n.users[user]
	var all []broker.Connection
	for _, c := range conns {
		all = append(all, broker.Connection{ID: c.id, Server: n.server, At: time.UnixMilli(c.at)})
	}
	if cached {
		return all
	}
	for id, value := range f.conns {
		server, _, _ := readConnection(value)
		if server == n.server && !slices.ContainsFunc(conns, func(c presentConn) bool { return c.id == id }) {
			n.againLocked(user)
			break
		}
	}
	return all
}

// find reads the keys of a user. cached tells that no command was sent.
func (n *presenceNode) find(ctx context.Context, user string) (f found, cached bool, err error) {
	asked := time.Now()
	c := &n.b.count
	if n.cache.ttl > 0 {
		if f, ok := n.cache.get(user, asked); ok {
			c.cacheHits.Add(1)
			return f, true, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, n.b.opts.CommandTimeout)
	defer cancel()
	ttl := n.b.opts.LookupTTL
	b := n.b.client.B()
	results := n.b.client.DoMultiCache(ctx,
		rueidis.CT(b.Hgetall().Key(connectionsKey(user)).Cache(), ttl),
		rueidis.CT(b.Hgetall().Key(entryKey(user)).Cache(), ttl))
	cached = results[0].IsCacheHit() && results[1].IsCacheHit()
	if cached {
		c.cacheHits.Add(1)
	} else {
		c.cacheMisses.Add(1)
	}
	if f.conns, err = n.fields(results[0]); err == nil {
		f.entry, err = n.fields(results[1])
	}
	if err != nil {
		c.commandErrors.Add(1)
		return f, cached, err
	}
	if n.cache.ttl > 0 {
		n.cache.put(user, f, asked)
	}
	return f, cached, nil
}

// fields reads a hash. A key that another program uses in another form has none.
func (n *presenceNode) fields(r rueidis.RedisResult) (map[string]string, error) {
	all, err := r.AsStrMap()
	if unusable(err) {
		n.complain("redis: a key of presence can't be used", "error", err)
		return nil, nil
	}
	return all, err
}

// readConnection reads a value of a user's connections.
func readConnection(value string) (server string, at time.Time, ok bool) {
	i := strings.LastIndexByte(value, '|')
	if i < 1 {
		return "", at, false
	}
	ms, err := strconv.ParseInt(value[i+1:], 10, 64)
	return value[:i], time.UnixMilli(ms), err == nil
}

// foreign is the connection of which another program has told.
func (n *presenceNode) foreign(ctx context.Context, entry map[string]string, now time.Time) (c broker.Connection, ok bool, err error) {
	id, server := entry["socketId"], entry["serverId"]
	if id == "" || server == "" || server == n.server || entry["status"] == "offline" {
		return c, false, nil
	}
	// A new server's connections come before its entries: the list knows it by now.
	if state, err := n.stateOf(ctx, server, now, n.listLife()); err != nil || state != unknown {
		return c, false, err
	}
	ms, _ := strconv.ParseFloat(entry["connectedAt"], 64) // 0 for what is no time
	return broker.Connection{ID: id, Server: server, At: time.UnixMilli(int64(ms)), Foreign: true}, true, nil
}

// listLife is how old the list of servers may be.
func (n *presenceNode) listLife() time.Duration { return n.b.opts.Lease / 2 }

// stateOf is a server's state. The list is read again where it is too old: older
// than limit, if it does not have the server as alive.
func (n *presenceNode) stateOf(ctx context.Context, server string, now time.Time, limit time.Duration) (serverState, error) {
	state, age := n.servers.known(server, now)
	if state == alive {
		limit = n.listLife()
	}
	if age < limit {
		return state, nil
	}
	if err := n.readServers(ctx, now); err != nil {
		return unknown, err
	}
	state, _ = n.servers.known(server, now)
	return state, nil
}

// invalidated counts the cached answers that Redis has told to have changed. It
// runs on the connection's goroutine.
func (b *Broker) invalidated(keys []rueidis.RedisMessage) {
	b.count.invalidations.Add(uint64(len(keys)))
}
