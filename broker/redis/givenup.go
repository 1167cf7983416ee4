package redis

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
)

// ageSlack is by how much a server's seconds of a connection's age may fall short.
const ageSlack = 2 * time.Second

// givenUp are the connections of the link that have ended here, though their servers
// may not know of it. What they have sent is perhaps on its way still, in a tunnel or
// in a proxy, and would arrive behind what comes by the next connection: so a server
// is told to end them before it gets that.
type givenUp struct {
	b *Broker

	turn chan struct{} // to end some: who comes later finds out that they are ended

	mu     sync.Mutex
	conns  map[string]standing // mu; by address
	alive  map[string]standing // mu; likewise, those that are in use
	warned bool                // mu; a server does not let this user
}

func newGivenUp(b *Broker) *givenUp {
	return &givenUp{
		b: b, turn: make(chan struct{}, 1),
		conns: map[string]standing{}, alive: map[string]standing{},
	}
}

// standing is since when connections stand, by what their server calls them.
type standing map[string]time.Time

// use notes a connection that is in use.
func (g *givenUp) use(addr, id string, since time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.alive[addr] == nil {
		g.alive[addr] = standing{}
	}
	g.alive[addr][id] = since
}

// add notes that a connection in use is given up.
func (g *givenUp) add(addr, id string, since time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if alive := g.alive[addr]; alive[id].Equal(since) {
		delete(alive, id)
	}
	if len(g.alive[addr]) == 0 {
		delete(g.alive, addr)
	}
	if g.conns[addr] == nil {
		g.conns[addr] = standing{}
	}
	g.conns[addr][id] = since
}

// inUse reports whether a connection of this process has an id.
func (g *givenUp) inUse(addr, id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.alive[addr][id]
	return ok
}

// to are those to a server.
func (g *givenUp) to(addr string) standing {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.conns[addr])
}

// forget drops some of those to a server.
func (g *givenUp) forget(addr string, ended standing) {
	g.mu.Lock()
	defer g.mu.Unlock()
	conns := g.conns[addr]
	maps.DeleteFunc(conns, func(id string, since time.Time) bool { return ended[id].Equal(since) })
	if len(conns) == 0 {
		delete(g.conns, addr)
	}
}

// refused goes on without.
func (g *givenUp) refused(err error) {
	g.mu.Lock()
	first := !g.warned
	g.warned = true
	g.mu.Unlock()
	if first {
		g.b.log.Warn("redis: connections that were given up can't be ended: what they have sent may arrive late", "error", err)
	}
}

// end returns when none to a server can bring it anything any more. An error means
// that this is not known.
func (g *givenUp) end(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, g.b.opts.CommandTimeout)
	defer cancel()
	defer context.AfterFunc(g.b.ctx, cancel)()
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	conns := g.to(addr)
	if len(conns) == 0 {
		return nil
	}
	// By the connection for commands, which nothing waits behind. A server that it
	// does not know takes no messages: a Sentinel, or one that has left a Cluster.
	if server := g.b.client.Nodes()[addr]; server != nil {
		err := kill(ctx, server, conns, clientName(g.b.opts.Server), func(id string) bool { return g.inUse(addr, id) })
		switch {
		case isRefusal(err):
			g.refused(err)
		case err != nil:
			return err
		}
	}
	g.forget(addr, conns)
	return nil
}

// isRefusal reports whether a server does not let this user end connections, or
// can't. One that has too many clients may let it later.
func isRefusal(err error) bool {
	var no *rueidis.RedisError
	return errors.As(err, &no) && !errors.Is(err, broker.ErrUnavailable) &&
		(strings.HasPrefix(no.Error(), "NOPERM") || strings.HasPrefix(no.Error(), "ERR"))
}

// endAll is end for all servers that are there.
func (g *givenUp) endAll(ctx context.Context) (failed error) {
	g.mu.Lock()
	addrs := slices.Collect(maps.Keys(g.conns))
	g.mu.Unlock()
	for _, addr := range addrs {
		if err := g.end(ctx, addr); !isNobody(err) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// kill ends connections of a name. A server that was restarted counts from 1 again:
// it may know somebody else by such a number, but not for as long, or one of this
// process that is in use.
func kill(ctx context.Context, server rueidis.Client, conns standing, name string, inUse func(id string) bool) error {
	run := func(words ...string) (string, error) {
		r := server.Do(ctx, server.B().Arbitrary("CLIENT").Args(words...).Build())
		if err := transportError(r); err != nil {
			return "", err
		}
		answer, err := r.ToMessage()
		if err != nil {
			return "", err
		}
		text, _ := answer.ToString() // or a number
		return text, nil
	}
	there, err := run(append([]string{"LIST", "ID"}, slices.Sorted(maps.Keys(conns))...)...)
	if err != nil {
		return err
	}
	for line := range strings.Lines(strings.TrimPrefix(there, "txt:")) { // of a verbatim string
		fields := map[string]string{}
		for _, field := range strings.Fields(line) {
			key, value, _ := strings.Cut(field, "=")
			fields[key] = value
		}
		id := fields["id"]
		since, ours := conns[id]
		age, err := strconv.Atoi(fields["age"])
		younger := err == nil && time.Duration(age)*time.Second+ageSlack < time.Since(since)
		if !ours || fields["name"] != name || younger || inUse(id) {
			continue
		}
		if _, err := run("KILL", "ID", id); err != nil {
			return err
		}
	}
	return nil
}
