package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// probePrefix begins the channels of probes: each subscriber connection has one of
// its own.
const probePrefix = "wsd:probe:"

// errProbeLost ends a connection that a message did not come back by.
var errProbeLost = errors.New("a message that was published did not come back")

// errNoProbe is what Open fails with where the server answers commands only.
var errNoProbe = errors.New("connected, but a message that was published did not come back")

// probe is what is known of a connection's place by its probes.
type probe struct {
	up  atomic.Bool
	lag atomic.Int64 // of the last one that came back, in nanoseconds

	mu     sync.Mutex
	last   time.Time // one came back, or the place was made
	reason string
	first  chan struct{} // closed when one has come back
	told   bool          // first is closed
}

func (p *probe) init(now time.Time) {
	p.last, p.first = now, make(chan struct{})
}

// fail says why there is no connection.
func (p *probe) fail(err error) {
	p.up.Store(false)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reason = err.Error()
}

// pass says that a probe came back.
func (p *probe) pass(lag time.Duration) {
	p.lag.Store(int64(lag))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.reason = time.Now(), ""
	p.up.Store(true)
	if !p.told {
		p.told = true
		close(p.first)
	}
}

// prober sends the probes of a session. It is used by the connection's goroutine
// only, but for published.
type prober struct {
	s       *session
	number  uint64
	sent    time.Time
	pending bool

	mu        sync.Mutex
	published uint64 // the last number that the server took
	failed    error  // why the last one was not
}

func (s *session) newProber() *prober { return &prober{s: s} }

// probeKind is how the channel of the probes is subscribed to.
func (c *conn) probeKind() channelKind {
	if c.sharded {
		return sharded
	}
	return plain
}

// probeChannel makes a name that nobody else has; in a Cluster, for a sharded
// connection, one whose slot its server owns.
func (c *conn) probeChannel() (string, error) {
	var random [8]byte
	rand.Read(random[:])
	name := probePrefix + hex.EncodeToString(random[:])
	if c.addr == "" {
		return name, nil
	}
	if name = c.h.slots.nameAt(c.addr, name); name == "" {
		return "", fmt.Errorf("%s owns no slots", c.addr)
	}
	return name, nil
}

// send publishes a probe.
func (p *prober) send() {
	p.number++
	p.sent, p.pending = time.Now(), true
	n, s := p.number, p.s
	text := strconv.FormatUint(n, 10)
	err := s.c.h.lane.push(len(s.channel), func(b rueidis.Builder) rueidis.Completed {
		if s.c.sharded {
			return b.Spublish().Channel(s.channel).Message(text).Build()
		}
		return b.Publish().Channel(s.channel).Message(text).Build()
	}, func(r rueidis.RedisResult) { p.done(n, r.Error()) })
	if err != nil {
		p.done(n, err)
	}
}

// done says whether the server took a probe. It runs on the lane's goroutine.
func (p *prober) done(n uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = err
	if err == nil {
		p.published = n
	}
}

// returned says that a probe came back; it reports whether it is the one that is
// waited for.
func (p *prober) returned(n uint64) bool {
	if n != p.number || !p.pending {
		return false
	}
	p.pending = false
	lag := time.Since(p.sent)
	p.s.c.h.b.count.lags.observe(lag)
	p.s.c.probe.pass(lag)
	return true
}

// tick sends the next probe if the last one is back. The error means that it was
// lost between the servers, or that this connection is dead.
func (p *prober) tick(now time.Time) error {
	o := &p.s.c.h.b.opts
	if !p.pending {
		p.send()
		return nil
	}
	if now.Sub(p.sent) < o.ProbeTimeout {
		return nil
	}
	p.mu.Lock()
	published, failed := p.published == p.number, p.failed
	p.mu.Unlock()
	b := p.s.c.h.b
	b.count.probesLost.Add(1)
	if !published {
		// Publishing fails: that is no fault of this connection.
		if failed == nil {
			failed = errors.New("no answer to the probe's PUBLISH")
		}
		p.s.c.probe.fail(fmt.Errorf("publishing fails: %w", failed))
		p.send()
		return nil
	}
	b.link.renew(p.s.gen)
	return errProbeLost
}

// probeBack takes a probe that arrived.
func (s *session) probeBack(text string) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return
	}
	select {
	case <-s.back: // of a probe that nobody waits for any more
	default:
	}
	s.back <- n // there is room: nobody else sends
}

// health tells why messages do not pass, "" if they do, and how long the last one
// took.
func (c *conn) health(now time.Time) (reason string, lag time.Duration) {
	p, o := &c.probe, &c.h.b.opts
	p.mu.Lock()
	defer p.mu.Unlock()
	lag = time.Duration(p.lag.Load())
	quiet := now.Sub(p.last)
	switch {
	case p.reason != "":
		return c.where() + ": " + p.reason, lag
	case !p.told && quiet > 0 || quiet > o.ProbeInterval+o.ProbeTimeout:
		return fmt.Sprintf("%s: no probe has come back for %v", c.where(), quiet.Round(time.Second)), lag
	}
	return "", lag
}

// awaitProbe returns when a probe has come back. The error tells what ctx has
// ended for.
func (c *conn) awaitProbe(ctx context.Context) error {
	select {
	case <-c.probe.first:
		return nil
	case <-ctx.Done():
	}
	c.probe.mu.Lock()
	defer c.probe.mu.Unlock()
	if c.probe.reason != "" {
		return fmt.Errorf("%s: %w", c.probe.reason, ctx.Err())
	}
	return fmt.Errorf("%w: %w", errNoProbe, ctx.Err())
}
