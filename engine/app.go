package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/conv"
)

// Defaults of Options.
const (
	DefaultHandshakeTimeout  = 5 * time.Second
	DefaultDecisionTimeout   = 30 * time.Second
	DefaultMaxHandshakeBytes = 16 << 10
	DefaultMaxHTTP           = 1024
)

// Options are an App's. The zero value is ready for use.
type Options struct {
	// Loops is the number of event loops; 0: GOMAXPROCS.
	Loops int
	// Broker carries publications to other nodes; nil: this node only.
	Broker broker.Topics
	// Gap is told when the broker has lost messages of other nodes, or may have;
	// topic "" stands for all that have subscribers here. It is called on the
	// broker's goroutine, in order with what the broker delivers, and must not
	// block: what concerns connections is for [Loop.Post]. nil: nobody is told.
	Gap func(topic string, g broker.Gap)
	// Logger gets what an operator should know, never a line per message; nil:
	// slog.Default.
	Logger *slog.Logger
	// HandshakeTimeout is how long a request head may take; 0: 5 s.
	HandshakeTimeout time.Duration
	// DecisionTimeout is how long a deferred Upgrade may take; 0: 30 s.
	DecisionTimeout time.Duration
	// MaxHandshakeBytes bounds a request head; 0: 16 KiB.
	MaxHandshakeBytes int
	// MaxConnections bounds the open WebSocket connections: one more gets 101,
	// then close code 1008 "Server at capacity", and no callback. 0: no limit.
	MaxConnections int
	// MaxHTTP bounds the connections that net/http serves on this port; one
	// more gets 503. 0: 1,024.
	MaxHTTP int
	// CheckOrigin accepts or refuses (403) the page that a handshake comes
	// from; nil: the same host only. AnyOrigin accepts all.
	CheckOrigin func(*Handshake) bool
	// KeepDescriptors is how many of the file descriptors that the process may have
	// are not for clients: one who would take them is closed at once, so that other
	// parts of the process go on. 0: none, and clients are refused when there are no
	// more at all. On systems without loops it does nothing.
	KeepDescriptors int
	// Refused hears of every connection that the engine itself refuses, on its
	// loop, or where it has none yet on any goroutine: it must not block. nil:
	// nobody does.
	Refused func(Refusal)
	// ProxyHeader reports whether the connections of a peer begin with a header of the
	// PROXY protocol, version 1 or 2, before TLS where there is some. The address that it
	// tells is then the connection's everywhere, and Handshake.TLS and TLS go by what
	// it says of the client; a connection without one, or with one that can't be read,
	// is refused. Of other peers such a header is a bad request.
	// peer is the zero value where there is none, as on a Unix socket. ProxyHeader is
	// called when the first bytes arrive, on a loop or another goroutine, and must not
	// block. nil: there are no such proxies, and nobody is asked.
	ProxyHeader func(peer netip.Addr) bool
	// MoreHeld is asked before anybody is closed for the bound of SetMaxHeld: held is
	// what all want to hold, in bytes, and the bound that it returns counts from then
	// on. It is called on a loop, by several at once, and must not block. nil: the bound
	// stays.
	MoreHeld func(held int) (most int)
	// ReusePort lets several processes listen on one address (SO_REUSEPORT).
	ReusePort bool
	// Exclusive promises that the process does nothing beside the loops that is
	// urgent: with as many loops as GOMAXPROCS a loop then keeps its processor
	// while it waits, and other goroutines may wait 10 ms for it. HTTP
	// connections and goroutine transports suspend that while they last.
	Exclusive bool
}

// Mounter is a protocol server on top of the engine. Mount registers what it
// needs with WS and Handle.
type Mounter interface {
	Mount(app *App, prefix string) error
}

// App is a WebSocket server. Register routes first, then Listen or Serve.
// Its methods are safe from any goroutine, registration excepted.
type App struct {
	opts           Options
	epoch          time.Time // from which the loops' clocks count
	handshakeTicks uint32
	decisionTicks  uint32
	newcomer       flags // of connections of which nothing was read
	routes         routes
	mux            *http.ServeMux
	mistake        error // the first of registration
	onDrain        []func(context.Context, DrainOptions)
	onShutdown     []func(context.Context)

	starting sync.Once
	startErr error
	started  atomic.Bool
	loops    []*Loop
	web      *web

	topics   registry
	node     broker.Node
	brokerMu sync.Mutex
	joined   map[string]bool // topics subscribed at the broker; brokerMu

	watches      atomic.Int64    // calls of Watch that last
	published    atomic.Uint64   // by App.Publish, outside of loops
	fanout       SharedHistogram // likewise, and of what other nodes published
	count        atomic.Int64    // open WebSocket connections
	guests       atomic.Int64    // connections and decisions that need goroutines
	spare        atomic.Bool     // more processors than loops
	deaf         atomic.Bool     // StopListening was called
	leaving      atomic.Bool     // Drain or Shutdown has begun: no more clients
	draining     atomic.Bool     // Shutdown has begun: no more connections
	unanswered   atomic.Uint64   // connections cut off that did not answer our Close frame
	tlsFailed    atomic.Uint64   // TLS handshakes
	nextAcceptor atomic.Uint32
	fdRefused    atomic.Uint64 // connections for which descriptors were short
	fdCeiling    atomic.Int64  // from which on descriptors are kept, when last looked up
	warnings     limiter

	maxConnections, maxHTTP atomic.Int64 // see SetMaxConnections, SetMaxHTTP
	held, mostHeld          atomic.Int64 // see SetMaxHeld; mostHeld 0: no bound

	mu        sync.Mutex
	acceptors []*acceptor
	listeners []net.Listener
	quit      chan struct{} // closed when Shutdown begins
	shut      sync.Once
	shutErr   error
}

// New makes an App.
func New(opts Options) *App {
	if opts.Loops <= 0 {
		opts.Loops = runtime.GOMAXPROCS(0)
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.HandshakeTimeout <= 0 {
		opts.HandshakeTimeout = DefaultHandshakeTimeout
	}
	if opts.DecisionTimeout <= 0 {
		opts.DecisionTimeout = DefaultDecisionTimeout
	}
	if opts.MaxHandshakeBytes <= 0 {
		opts.MaxHandshakeBytes = DefaultMaxHandshakeBytes
	}
	a := &App{
		opts:           opts,
		epoch:          time.Now(),
		handshakeTicks: ticks(opts.HandshakeTimeout),
		decisionTicks:  ticks(opts.DecisionTimeout),
		mux:            http.NewServeMux(),
		topics:         registry{topics: map[string]*interest{}, loops: opts.Loops},
		joined:         map[string]bool{},
		quit:           make(chan struct{}),
	}
	if opts.ProxyHeader != nil {
		a.newcomer = unheaded
	}
	a.SetMaxConnections(opts.MaxConnections)
	a.SetMaxHTTP(opts.MaxHTTP)
	return a
}

// SetMaxConnections changes Options.MaxConnections. Connections that are open stay.
// Safe from any goroutine.
func (a *App) SetMaxConnections(n int) { a.maxConnections.Store(int64(n)) }

// SetMaxHTTP changes Options.MaxHTTP; 0 or less: DefaultMaxHTTP. Connections that are
// open stay. Safe from any goroutine.
func (a *App) SetMaxHTTP(n int) {
	if n <= 0 {
		n = DefaultMaxHTTP
	}
	a.maxHTTP.Store(int64(n))
}

// WS serves WebSockets on the paths of a pattern: "/chat", "/rooms/{room}",
// "/topics/{topic...}" or "/*". Where several match, the more specific one is
// taken. A mistake is returned by Listen.
func (a *App) WS(pattern string, b Behavior) *App {
	r, err := b.compile()
	if err == nil {
		r.pattern = pattern
		err = a.routes.add(pattern, r)
	}
	a.note(err)
	return a
}

// Handle serves other requests, with the patterns of http.ServeMux.
func (a *App) Handle(pattern string, h http.Handler) *App {
	defer func() {
		if v := recover(); v != nil {
			a.note(fmt.Errorf("%w: %v", ErrPattern, v))
		}
	}()
	a.mux.Handle(pattern, h)
	return a
}

// OnShutdown has fn called when Shutdown begins, before it closes connections:
// a protocol server ends its sessions there. ctx is Shutdown's.
func (a *App) OnShutdown(fn func(ctx context.Context)) *App {
	a.onShutdown = append(a.onShutdown, fn)
	return a
}

// Mount lets a protocol server register what it needs below prefix.
func (a *App) Mount(prefix string, m Mounter) *App {
	a.note(m.Mount(a, prefix))
	return a
}

func (a *App) note(err error) {
	if a.mistake == nil {
		a.mistake = err
	}
}

// Listen serves a TCP address until Shutdown, and then returns ErrShutdown.
func (a *App) Listen(addr string) error {
	if a.mistake != nil {
		return a.mistake
	}
	l, err := listenTCP(addr, a.opts.ReusePort)
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	return a.Serve(l)
}

// Serve serves a listener until Shutdown, which closes it, and then returns
// ErrShutdown. The connections of a TCP or Unix listener are served on loops
// where the system has them, others (TLS) on goroutine transports.
func (a *App) Serve(l net.Listener) error {
	if err := a.start(); err != nil {
		_ = l.Close()
		return err
	}
	acc, err := a.serveOnLoops(l)
	if err == nil {
		// The kernel's listener lives on in the acceptor. A Unix listener stays,
		// because closing it removes its file.
		if _, tcp := l.(*net.TCPListener); tcp {
			_ = l.Close()
		}
	}
	if !a.keep(acc, l) {
		if acc != nil {
			nobodyWaits, cancel := context.WithCancel(context.Background())
			cancel() // a callback may hold up the loop for long
			acc.stop(nobodyWaits)
		}
		_ = l.Close()
		<-a.quit
		return ErrShutdown
	}
	if err != nil {
		return a.acceptAll(l)
	}
	<-a.quit
	return ErrShutdown
}

// keep remembers what StopListening must stop. It returns false when that is over.
func (a *App) keep(acc *acceptor, l net.Listener) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.draining.Load() || a.deaf.Load() {
		return false
	}
	if acc != nil {
		a.acceptors = append(a.acceptors, acc)
	}
	a.listeners = append(a.listeners, l)
	return true
}

// acceptAll serves a listener's connections on goroutine transports.
func (a *App) acceptAll(l net.Listener) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	var spare reserve
	spare.hold()
	defer spare.release()
	for {
		nc, err := l.Accept()
		if err == nil {
			// Without the reserve, nc has its place.
			if !spare.hold() || a.connTakesKept(nc) {
				a.refuseConn(nc)
				spare.hold()
				continue
			}
			if err := a.ServeConn(nc); err != nil {
				return err
			}
			continue
		}
		if a.deaf.Load() {
			<-a.quit
			return ErrShutdown
		}
		if (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)) && spare.release() {
			continue
		}
		if ne, ok := err.(net.Error); !ok || !ne.Timeout() && !isTemporary(err) {
			return fmt.Errorf("engine: %w", err)
		}
		pause.Reset(100 * time.Millisecond)
		select {
		case <-pause.C:
		case <-a.quit:
			return ErrShutdown
		}
	}
}

// start brings the loops up, once.
func (a *App) start() error {
	a.starting.Do(func() { a.startErr = a.bringUp() })
	return a.startErr
}

func (a *App) bringUp() error {
	if a.mistake != nil {
		return a.mistake
	}
	if a.draining.Load() {
		return ErrShutdown
	}
	if a.opts.Broker != nil {
		node, err := a.opts.Broker.Join(broker.TopicsReceiver{Deliver: a.fromBroker, Own: a.ownFromBroker, Gap: a.opts.Gap})
		if err != nil {
			return fmt.Errorf("engine: broker: %w", err)
		}
		a.node = node
	}
	var loops []*Loop
	for i := range a.opts.Loops {
		l, err := newLoop(a, i)
		if err != nil {
			a.abandon(loops)
			return err
		}
		loops = append(loops, l)
	}
	a.loops = loops
	a.spare.Store(a.opts.Loops < runtime.GOMAXPROCS(0))
	a.web = newWeb(a)
	go a.web.serve(a.opts.Logger)
	for _, l := range a.loops {
		go l.run()
	}
	a.started.Store(true)
	return nil
}

// abandon ends what a failed start has begun.
func (a *App) abandon(loops []*Loop) {
	for _, l := range loops {
		go l.run()
		l.end(context.Background())
	}
	if a.node != nil {
		_ = a.node.Leave()
	}
}

// Loops are the App's loops, none before Listen or Serve.
func (a *App) Loops() []*Loop {
	if !a.started.Load() {
		return nil
	}
	return a.loops
}

func (a *App) lightestLoop() *Loop {
	best := a.loops[0]
	for _, l := range a.loops[1:] {
		if l.load.Load() < best.load.Load() {
			best = l
		}
	}
	return best
}

// Connections are the open WebSocket connections. It does not ask the loops.
func (a *App) Connections() int { return int(a.count.Load()) }

// NumSubscribers is how many connections of this node are subscribed to a
// topic.
func (a *App) NumSubscribers(topic string) int {
	if in := a.topics.find(topic); in != nil {
		return int(in.subscribers.Load())
	}
	return 0
}

// NumTopics is how many topics have subscribers on this node.
func (a *App) NumTopics() int {
	a.topics.mu.RLock()
	defer a.topics.mu.RUnlock()
	return len(a.topics.topics)
}

// admit counts a connection towards MaxConnections.
func (a *App) admit() bool {
	n := a.count.Add(1)
	if limit := a.maxConnections.Load(); limit > 0 && n > limit {
		a.count.Add(-1)
		return false
	}
	return true
}

// uncount takes a connection out of the count when it has ended.
func (c *Conn) uncount() {
	if c.flags&counted != 0 {
		c.flags &^= counted
		c.loop.app.count.Add(-1)
	}
}

// addGuest counts what needs goroutines to run while loops wait.
func (a *App) addGuest(n int64) {
	if a.guests.Add(n) == 1 && n > 0 && a.opts.Exclusive {
		for _, l := range a.loops {
			l.wakeUp()
		}
	}
}

// keepsProcessor reports whether a loop may keep its processor while it waits.
func (a *App) keepsProcessor() bool {
	return a.spare.Load() || a.opts.Exclusive && a.guests.Load() == 0
}

// onLoop is the loop that the caller runs on, or nil.
func (a *App) onLoop() *Loop {
	self := conv.Goroutine()
	for _, l := range a.loops {
		if l.self.Load() == self {
			return l
		}
	}
	return nil
}

// limiter allows one warning a second.
type limiter struct{ last atomic.Int64 }

func (l *limiter) allow() bool {
	now := time.Now().Unix()
	return l.last.Swap(now) != now
}

// isTemporary reports whether accepting may succeed later, such as after
// descriptors ran out.
func isTemporary(err error) bool {
	t, ok := err.(interface{ Temporary() bool })
	return ok && t.Temporary()
}

// Shutdown stops listening, closes every connection with 1001 in batches, and
// returns when all are gone and the loops have ended. When ctx ends first, what
// is left is closed at once, and ctx's error returned, with ErrStuck if a
// callback does not return within a second more. Further calls wait for the
// first. Not to be called in a callback.
func (a *App) Shutdown(ctx context.Context) error {
	if a.started.Load() && a.onLoop() != nil {
		return ErrOnLoop
	}
	a.shut.Do(func() { a.shutErr = a.shutdown(ctx) })
	return a.shutErr
}
