package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

const (
	// keepAlive is how often an idle connection is asked for a sign of life. With
	// CommandTimeout for the answer, a dead one is known in four seconds.
	keepAlive = time.Second
	// topologyRefresh is how often sentinels, or a Cluster, are asked who serves:
	// what they push may be lost (a failover that nobody was told of).
	topologyRefresh = 5 * time.Second
	// bufferSize is of the read and the write buffer of a connection, in bytes.
	bufferSize = 32 << 10
	// cacheSize bounds the client-side cache of a connection, in bytes.
	cacheSize = 32 << 20
)

// clientOption is what all clients of a Broker have in common.
func (b *Broker) clientOption() rueidis.ClientOption {
	l, timeout := b.location, b.opts.CommandTimeout
	dialer := net.Dialer{Timeout: timeout, KeepAlive: keepAlive}
	o := rueidis.ClientOption{
		InitAddress: l.Addrs,
		SelectDB:    l.DB, Username: l.Username, Password: l.Password, TLSConfig: l.TLS,
		Dialer: dialer, DialCtxFn: b.dial, ConnWriteTimeout: timeout,
		ReadBufferEachConn: bufferSize, WriteBufferEachConn: bufferSize,
		CacheSizeEachConn: cacheSize,
		ClientSetInfo:     rueidis.DisableClientSetInfo,
		ClientName:        clientName(b.opts.Server),
		ClusterOption: rueidis.ClusterOption{
			ShardsRefreshInterval: topologyRefresh, MaxMovedRedirections: 5,
		},
	}
	switch {
	case l.Unix != "":
		o.InitAddress, o.ForceSingleClient = []string{l.Unix}, true
	case l.Mode == Sentinel:
		o.Sentinel = rueidis.SentinelOption{
			MasterSet: l.Master, Username: l.SentinelUser, Password: l.SentinelSecret,
			Dialer: dialer, TLSConfig: l.TLS, TopologyRefreshInterval: topologyRefresh,
		}
	}
	return o
}

// clientName is how the server lists the connections; it takes no spaces.
func clientName(server string) string {
	name := []byte("wsd-" + server)
	for i, c := range name {
		if c <= ' ' || c > '~' {
			name[i] = '_'
		}
	}
	return string(name)
}

// commandOption is of the client for commands whose order does not matter.
func (b *Broker) commandOption() rueidis.ClientOption {
	o := b.clientOption()
	o.DisableCache = b.opts.NoTracking
	o.OnInvalidations = b.invalidated
	return o
}

// linkOption is of the client for messages: one connection for commands in
// order. Subscriber connections are dedicated ones of it.
func (b *Broker) linkOption() rueidis.ClientOption {
	o := b.clientOption()
	o.DialCtxFn = b.link.dial
	o.PipelineMultiplex, o.AlwaysPipelining = -1, true
	o.DisableRetry, o.DisableCache = true, true
	o.RingScaleEachConn = 8 // batches and pings, not single commands
	return o
}

// dial connects to a server. It ends with the Broker.
func (b *Broker) dial(ctx context.Context, addr string, d *net.Dialer, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.ctx, cancel)()
	network := "tcp"
	if b.location.Unix != "" {
		network = "unix"
	}
	var c net.Conn
	var err error
	if config != nil {
		c, err = (&tls.Dialer{NetDialer: d, Config: config}).DialContext(ctx, network, addr)
	} else {
		c, err = d.DialContext(ctx, network, addr)
	}
	if err != nil {
		return nil, &dialError{addr: addr, err: err}
	}
	forgetAtClose(c)
	return &boundConn{Conn: c, stop: context.AfterFunc(b.ctx, func() { c.Close() })}, nil
}

// forgetAtClose has the system drop what the server has not taken when the
// connection is closed. It would go on sending it otherwise, and when the network
// is back a server would get it behind what came by the next connection.
func forgetAtClose(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // the other end may have closed it already
	}
}

// boundConn is a connection that ends with its Broker: whoever waits for an answer
// does not wait longer.
type boundConn struct {
	net.Conn
	stop func() bool
}

// Close implements net.Conn.
func (c *boundConn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// newClient makes a client. The client library's own constructor has no context:
// where ctx ends first, what it comes to is closed.
func (b *Broker) newClient(ctx context.Context, option rueidis.ClientOption) (rueidis.Client, error) {
	type result struct {
		client rueidis.Client
		err    error
	}
	made := make(chan result, 1)
	b.wg.Go(func() {
		c, err := rueidis.NewClient(option)
		if err != nil && c != nil {
			c.Close()
			c = nil
		}
		made <- result{c, err}
	})
	select {
	case r := <-made:
		if r.err != nil {
			return nil, fmt.Errorf("redis: %v: %w", b.location, r.err)
		}
		return r.client, nil
	case <-ctx.Done():
		b.wg.Go(func() {
			if r := <-made; r.client != nil {
				r.client.Close()
			}
		})
		return nil, fmt.Errorf("redis: %v: %w", b.location, ctx.Err())
	}
}

// link is the client that messages go by. It is made anew when probes show that
// it leads to a server which the subscriber connections are not at.
type link struct {
	b       *Broker
	givenUp *givenUp

	mu       sync.Mutex
	client   rueidis.Client
	gen      uint64 // how often it was made
	renewing bool
	pinned   rueidis.Client // in a Cluster: the node that gets commands without a key
	pinnedAt string         // its address; without one: the last one's
	retired  chan struct{}  // closed when the client before is; nil: there was none
}

func newLink(b *Broker) *link { return &link{b: b, givenUp: newGivenUp(b)} }

// current returns the client, and which one in a row it is.
func (k *link) current() (rueidis.Client, uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.client, k.gen
}

// keyless returns the client for commands without a key: in a Cluster always the
// same node, whose address it tells, until unpin. What goes through different ones
// could arrive in another order.
func (k *link) keyless() (rueidis.Client, string, error) {
	client, gen := k.current()
	if !k.b.clustered() {
		return client, "", nil
	}
	k.mu.Lock()
	pinned, addr := k.pinned, k.pinnedAt
	k.mu.Unlock()
	if pinned != nil {
		return pinned, addr, nil
	}
	pinned, addr, err := k.b.hub.slots.anyMaster(client, addr)
	if err != nil {
		return nil, "", notTaken(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gen != gen || k.pinned != nil {
		return pinned, addr, nil
	}
	k.pinned, k.pinnedAt = pinned, addr
	return pinned, addr, nil
}

// unpin has keyless choose again, if it chose the node at an address.
func (k *link) unpin(addr string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pinnedAt == addr {
		k.pinned = nil
	}
}

// renew makes the client anew, in the background, unless that was done since it
// was the one numbered gen.
func (k *link) renew(gen uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gen != gen || k.renewing || k.b.ctx.Err() != nil {
		return
	}
	k.renewing = true
	k.b.wg.Go(func() {
		client, err := k.b.newClient(k.b.ctx, k.b.linkOption())
		if err != nil {
			k.b.log.Warn("redis: the publishing connection could not be made anew", "error", err)
		}
		k.install(client)
	})
}

// install puts a new client in the place of the old one; nil leaves that.
func (k *link) install(client rueidis.Client) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.renewing = false
	if client == nil {
		return
	}
	if k.b.ctx.Err() != nil { // close may have been here already
		k.b.wg.Go(client.Close)
		return
	}
	if old := k.client; old != nil {
		k.b.count.resets.Add(1)
		retired := make(chan struct{})
		k.b.wg.Go(func() {
			defer close(retired)
			closeAll(old) // may wait for answers
		})
		k.retired = retired
	}
	k.client, k.pinned = client, nil
	k.gen++
}

// closeAll closes a client and returns when its connections are closed, which a
// Cluster's own Close does not wait for.
func closeAll(client rueidis.Client) {
	if client.Mode() == rueidis.ClientModeCluster {
		var all sync.WaitGroup
		for _, node := range client.Nodes() {
			all.Go(node.Close)
		}
		all.Wait()
	}
	client.Close()
}

// settle returns when what a client before has sent, and got no answer to, can't
// arrive any more: the one now was there already when that was given up.
func (k *link) settle(ctx context.Context) error {
	k.mu.Lock()
	retired := k.retired
	k.mu.Unlock()
	if retired == nil {
		return nil
	}
	select {
	case <-retired:
	case <-ctx.Done():
		return ctx.Err()
	}
	return k.givenUp.endAll(ctx)
}

func (k *link) close() {
	if client, _ := k.current(); client != nil {
		client.Close()
	}
}

// do runs a command whose order does not matter, for at most CommandTimeout.
func (b *Broker) do(ctx context.Context, cmd rueidis.Completed) rueidis.RedisResult {
	ctx, cancel := context.WithTimeout(ctx, b.opts.CommandTimeout)
	defer cancel()
	r := b.client.Do(ctx, cmd)
	if err := r.Error(); err != nil && !rueidis.IsRedisNil(err) {
		b.count.commandErrors.Add(1)
		if t := transportError(r); t != nil {
			return rueidis.NewErrorResult(t)
		}
	}
	return r
}

// clustered reports whether the servers are a Redis Cluster.
func (b *Broker) clustered() bool { return b.mode == rueidis.ClientModeCluster }

// version is the server's, such as 7.0.15; "" if it does not tell.
func (b *Broker) version() string { return b.redisVersion }

// connect makes the client for commands, without client-side caching where the
// server has none.
func (b *Broker) connect(ctx context.Context) error {
	option := b.commandOption()
	client, err := b.newClient(ctx, option)
	if errors.Is(err, rueidis.ErrNoCache) && !option.DisableCache {
		b.log.Warn("redis: no client-side caching: the server lacks it, or forbids CLIENT TRACKING", "server", b.location.String())
		b.opts.NoTracking = true
		client, err = b.newClient(ctx, b.commandOption())
	}
	if err != nil {
		return err
	}
	b.client, b.mode = client, client.Mode()
	if b.location.Mode == ClusterMode && !b.clustered() {
		return fmt.Errorf("redis: %v: the server is no member of a Cluster", b.location)
	}
	hello, err := b.do(ctx, client.B().Hello().Build()).AsMap()
	if err != nil {
		return fmt.Errorf("redis: %v: %w", b.location, err)
	}
	version := hello["version"]
	b.redisVersion, _ = version.ToString()
	return nil
}
