package redis

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/redis/rueidis"
)

// givenUp are the connections of the link that were closed here, though their
// servers may not know of it. What they have sent is perhaps on its way still, in a
// tunnel or in a proxy, and would arrive behind what comes by the next connection:
// so a server is told to end them before it gets that.
type givenUp struct {
	b *Broker

	mu      sync.Mutex
	ids     map[string][]string // mu; what the servers call them, by address
	refused bool                // mu; a server does not let this user
}

// add notes a connection.
func (g *givenUp) add(addr, id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refused {
		return
	}
	if g.ids == nil {
		g.ids = map[string][]string{}
	}
	g.ids[addr] = append(g.ids[addr], id)
}

// to are those to a server.
func (g *givenUp) to(addr string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.ids[addr])
}

// forget drops some of those to a server.
func (g *givenUp) forget(addr string, ids []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	left := slices.DeleteFunc(g.ids[addr], func(id string) bool { return slices.Contains(ids, id) })
	if g.ids[addr] = left; len(left) == 0 {
		delete(g.ids, addr)
	}
}

// refuse goes without from now on.
func (g *givenUp) refuse(err error) {
	g.mu.Lock()
	first := !g.refused
	g.refused, g.ids = true, nil
	g.mu.Unlock()
	if first {
		g.b.log.Warn("redis: connections that were given up can't be ended: what they have sent may arrive late", "error", err)
	}
}

// end returns when none to a server can bring it anything any more. An error means
// that this is not known.
func (g *givenUp) end(ctx context.Context, addr string) error {
	ids := g.to(addr)
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, g.b.opts.CommandTimeout)
	defer cancel()
	defer context.AfterFunc(g.b.ctx, cancel)()
	// By the connection for commands, which nothing waits behind. A server that it
	// does not know takes no messages: a Sentinel, or one that has left a Cluster.
	if server := g.b.client.Nodes()[addr]; server != nil {
		err := kill(ctx, server, ids, clientName(g.b.opts.Server))
		var no *rueidis.RedisError
		if errors.As(err, &no) && (strings.HasPrefix(no.Error(), "NOPERM") || strings.HasPrefix(no.Error(), "ERR")) {
			g.refuse(err)
			return nil
		}
		if err != nil {
			return err
		}
	}
	g.forget(addr, ids)
	return nil
}

// endAll is end for all servers.
func (g *givenUp) endAll(ctx context.Context) (failed error) {
	g.mu.Lock()
	addrs := slices.Collect(maps.Keys(g.ids))
	g.mu.Unlock()
	for _, addr := range addrs {
		failed = errors.Join(failed, g.end(ctx, addr))
	}
	return failed
}

// kill ends connections of a name. A server that was restarted counts from 1 again:
// it may know somebody else by such a number.
func kill(ctx context.Context, server rueidis.Client, ids []string, name string) error {
	list := server.B().Arbitrary("CLIENT", "LIST", "ID").Args(ids...).Build()
	there, err := server.Do(ctx, list).ToString()
	if err != nil {
		return err
	}
	there = strings.TrimPrefix(there, "txt:") // of a verbatim string
	for line := range strings.Lines(there) {
		first, _, _ := strings.Cut(line, " ")
		id, ok := strings.CutPrefix(first, "id=")
		if !ok || !strings.Contains(line, " name="+name+" ") {
			continue
		}
		if err := server.Do(ctx, server.B().Arbitrary("CLIENT", "KILL", "ID", id).Build()).Error(); err != nil {
			return err
		}
	}
	return nil
}
