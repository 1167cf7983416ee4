package pubsub

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/engine"
)

// Defaults of Options.
const (
	DefaultPing       = 25 * time.Second
	DefaultMaxTopics  = 128
	DefaultMaxPending = 256
	DefaultMaxMembers = 1000
	DefaultTimeout    = 10 * time.Second
)

const (
	// reserve is what answers may queue beyond MaxBackpressure, in bytes, beside one
	// with members.
	reserve = 64 << 10
	// memberBytes is how many bytes a member may take in an answer, on average.
	memberBytes = 512
	// workers bounds the requests that wait for the broker at a time.
	workers = 64
)

// Options are a Server's.
type Options struct {
	// App carries the messages. Required.
	App *engine.App
	// ClientOf returns what NewClient made for a connection. Required.
	ClientOf func(*engine.Conn) *Client
	// Server is this node's id, which clients are told.
	Server string
	// Renew takes a token that a client has brought with the op auth. It is called on
	// the connection's loop. nil: tokens are refused.
	Renew func(ws *engine.Conn, token string) Renewal
	// Limits are those at first; see [Server.SetLimits].
	Limits
	// MaxPayload is the largest data of a message, in bytes, as published; 0: 16 KiB.
	MaxPayload int
	// MaxBackpressure is how many bytes of messages may wait for a slow reader; 0: 64
	// KiB, negative: no limit. Answers have a little more, and one with members is
	// beside that.
	MaxBackpressure int
	// CloseSlow closes a slow reader with 1008 where messages would be dropped.
	CloseSlow bool
	// Members knows who is subscribed to topics, on every node; nil: there is no
	// presence.
	Members broker.TopicMembers
	// MaxMembers is how many members of a topic a client is told; 0: 1,000. They are
	// fewer where they take more than 512 bytes each.
	MaxMembers int
	// Timeout bounds what the broker is asked; 0: 10 s.
	Timeout time.Duration
	// Logger gets what an operator should know, never a line per message; nil:
	// slog.Default.
	Logger *slog.Logger
}

// Limits are what may change while a Server runs.
type Limits struct {
	// Ping is what clients are told: how long a connection may be quiet before they
	// ask whether it is alive. 0: 25 s.
	Ping time.Duration
	// MaxTopics is how many topics a connection may subscribe to; 0: 128.
	MaxTopics int
	// MaxPending is how many publications of a connection may wait for the broker; 0:
	// 256.
	MaxPending int
}

// Server serves the protocol on connections of one App. Its methods are safe from
// any goroutine.
type Server struct {
	opts    Options // but for Limits
	limits  atomic.Pointer[Limits]
	members broker.TopicMembersNode // nil: there is no presence
	jobs    pool
	count   counters
	ctx     context.Context // ends with Close
	end     context.CancelFunc

	maxShard int // the constant, but in tests

	mu     sync.Mutex // of enter and exit as a whole
	shards map[*engine.Loop]*shard

	// index is the innermost lock: the broker calls Gap with locks of its own held.
	index  sync.RWMutex
	topics map[string]*topic
}

// New makes a Server. Use its Behavior for the App's routes. The error is that of
// Members.
func New(opts Options) (*Server, error) {
	setDefault(&opts.MaxPayload, engine.DefaultMaxPayload)
	setDefault(&opts.MaxBackpressure, engine.DefaultMaxBackpressure)
	setDefault(&opts.MaxMembers, DefaultMaxMembers)
	setDefault(&opts.Timeout, DefaultTimeout)
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	s := &Server{opts: opts, maxShard: maxShard, topics: map[string]*topic{}, shards: map[*engine.Loop]*shard{}}
	s.SetLimits(opts.Limits)
	s.jobs.max = workers
	s.ctx, s.end = context.WithCancel(context.Background())
	if opts.Members != nil {
		var err error
		if s.members, err = opts.Members.Join(broker.TopicMembersReceiver{Changed: s.memberChanged, Missed: s.membersMissed}); err != nil {
			s.end()
			return nil, err
		}
	}
	return s, nil
}

// SetLimits puts limits in the place of those before. They hold for connections that
// are open, too: what these have stays.
func (s *Server) SetLimits(l Limits) {
	setDefault(&l.Ping, DefaultPing)
	setDefault(&l.MaxTopics, DefaultMaxTopics)
	setDefault(&l.MaxPending, DefaultMaxPending)
	s.limits.Store(&l)
}

func setDefault[T comparable](value *T, def T) {
	var zero T
	if *value == zero {
		*value = def
	}
}

// Behavior makes b serve the protocol: its callbacks but for Upgrade, and its limits
// of sizes.
func (s *Server) Behavior(b engine.Behavior) engine.Behavior {
	b.MaxPayload = envelope(s.opts.MaxPayload)
	b.Policy = engine.DropNewest
	if b.MaxBackpressure = s.opts.MaxBackpressure; b.MaxBackpressure > 0 {
		b.MaxBackpressure += 2*reserve + s.listBytes() // answer has the exact bound
	}
	b.Dropped, b.Subscription = nil, nil
	b.Open = func(ws *engine.Conn) { s.opts.ClientOf(ws).open(ws) }
	b.Message = func(ws *engine.Conn, msg []byte, op engine.OpCode) { s.opts.ClientOf(ws).receive(msg, op) }
	b.Drain = func(ws *engine.Conn) { s.opts.ClientOf(ws).drained() }
	b.Close = func(ws *engine.Conn, _ engine.StatusCode, _ string) { s.opts.ClientOf(ws).closed() }
	return b
}

// listBytes is how long the members in an answer may be.
func (s *Server) listBytes() int { return min(s.opts.MaxMembers, 1<<20) * memberBytes }

// envelope is the longest message that may hold so many bytes of data: in base64,
// beside a topic and a token.
func envelope(data int) int { return data + data/3 + 2*engine.MaxTopicLen + 16<<10 }

// Gap tells subscribers that the broker has lost messages of a topic, or of all
// (""): it is for engine.Options.Gap.
func (s *Server) Gap(name string, g broker.Gap) {
	s.index.RLock()
	var told []*topic
	if name == "" {
		for _, t := range s.topics {
			told = append(told, t)
		}
	} else if t := s.topics[name]; t != nil {
		told = append(told, t)
	}
	s.index.RUnlock()
	for _, t := range told {
		t.spread(delivery{kind: gapDelivery, reason: gapOf(g.Reason), lost: g.Lost, restarted: g.Reason == broker.Restarted})
	}
}

// Close ends what waits for the broker, and takes back the members of topics. Call
// when the App was shut down.
func (s *Server) Close(ctx context.Context) error {
	s.end()
	if s.members == nil {
		return nil
	}
	return s.members.Leave(ctx)
}

// shardOf is the part of the Server that a loop serves.
func (s *Server) shardOf(l *engine.Loop) *shard {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.shards[l]
	if x == nil {
		x = &shard{server: s, loop: l}
		s.shards[l] = x
	}
	return x
}

// enter makes a client a subscriber of a topic. Call on the client's loop.
func (s *Server) enter(c *Client, name string) (*subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.find(name)
	if t == nil {
		t = newTopic(s, name)
		stop, err := s.opts.App.Watch(name, t.deliver)
		if err != nil {
			return nil, err
		}
		t.stop = stop
		s.index.Lock()
		s.topics[name] = t
		s.index.Unlock()
	}
	t.subscribers++
	return t.add(c), nil
}

// exit is the end of what enter began. Call on the client's loop.
func (s *Server) exit(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := sub.local.topic
	t.remove(sub)
	if t.subscribers--; t.subscribers == 0 {
		s.index.Lock()
		delete(s.topics, t.name)
		s.index.Unlock()
		t.stop()
	}
}

func (s *Server) find(name string) *topic {
	s.index.RLock()
	defer s.index.RUnlock()
	return s.topics[name]
}

// pool runs functions, a few at a time. Whoever calls run bounds what waits.
type pool struct {
	max int

	mu      sync.Mutex
	running int
	queue   []func()
}

func (p *pool) run(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == p.max {
		p.queue = append(p.queue, fn)
		return
	}
	p.running++
	go p.work(fn)
}

func (p *pool) work(fn func()) {
	for fn != nil {
		fn()
		fn = p.next()
	}
}

func (p *pool) next() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		p.queue = nil
		p.running--
		return nil
	}
	fn := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	return fn
}
