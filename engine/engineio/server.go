package engineio

import (
	"context"
	"hash/maphash"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fe4bcecb/wsd/codec/eio"
	"github.com/fe4bcecb/wsd/engine"
)

// Handler is what sessions are for. Its methods run on the session's loop and
// must not block. One that panics ends its session.
type Handler interface {
	// OpenSession is called when the open packet is on its way.
	OpenSession(s *Session)
	// Message is called for each message. data is valid until it returns, and may
	// be written to.
	Message(s *Session, data []byte, binary bool)
	// CloseSession is called once, when the session has ended: what is sent then
	// goes nowhere. description may say more than reason.
	CloseSession(s *Session, reason Reason, description string)
}

// Server serves Engine.IO below a path of an App. Its methods are safe from any
// goroutine.
type Server struct {
	opts        Options
	handler     Handler
	prefix      string                     // of session ids
	cors        atomic.Pointer[corsPolicy] // see SetCORS
	maxSessions atomic.Int64               // see SetMaxSessions

	app    *engine.App
	laneMu sync.Mutex              // held while lanes are made
	lanes  atomic.Pointer[[]*lane] // by the loops' numbers; nil until the first is needed
	next   atomic.Uint32           // lane of the next polling session

	seed     maphash.Seed
	shards   [shardCount]shard
	sessions atomic.Int64
	closing  atomic.Bool

	refused    [refusals]atomic.Uint64
	atCapacity atomic.Uint64
	foreign    atomic.Uint64
	malformed  atomic.Uint64
}

// shardCount divides the registry, so that loops seldom wait for each other.
const shardCount = 16

// shard is a part of the registry of sessions.
type shard struct {
	mu       sync.RWMutex
	sessions map[string]*Session
}

// New makes a server whose sessions are h's. The error wraps ErrOptions.
func New(opts Options, h Handler) (*Server, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	srv := &Server{opts: opts, handler: h, prefix: Prefix(opts.ServerID), seed: maphash.MakeSeed()}
	if err = srv.SetCORS(opts.CORS); err != nil {
		return nil, err
	}
	srv.SetMaxSessions(opts.MaxSessions)
	for i := range srv.shards {
		srv.shards[i].sessions = map[string]*Session{}
	}
	return srv, nil
}

// SetCORS changes Options.CORS. The error wraps ErrOptions; then the policy stays as
// it is. Safe from any goroutine.
func (srv *Server) SetCORS(c *CORS) error {
	policy, err := c.policy()
	if err == nil {
		srv.cors.Store(policy)
	}
	return err
}

// SetMaxSessions changes Options.MaxSessions. Sessions that are open stay. Safe from
// any goroutine.
func (srv *Server) SetMaxSessions(n int) { srv.maxSessions.Store(int64(n)) }

// Mount serves requests whose path begins with prefix, "/socket.io/" as a rule.
// It is engine.Mounter's. Sessions that poll need connections of net/http, two
// each: see engine.Options.MaxHTTP.
func (srv *Server) Mount(app *engine.App, prefix string) error {
	if srv.app != nil {
		return ErrMounted
	}
	srv.app = app
	app.OnDrain(srv.drain)
	app.OnShutdown(func(ctx context.Context) {
		// What is left when ctx ends is closed by the App.
		_ = srv.Close(ctx)
	})
	prefix, slash := strings.CutSuffix(prefix, "/")
	app.Handle(prefix+"/", http.HandlerFunc(srv.serveHTTP))
	behavior := engine.Behavior{
		Compression:     srv.opts.Compression,
		MaxPayload:      srv.opts.MaxPayload,
		MaxBackpressure: srv.opts.MaxBackpressure,
		Policy:          engine.ClosePolicy,
		IdleTimeout:     -1, // the heartbeat's business
		SendPings:       -1,
		Layered:         true,
		CheckOrigin:     engine.AnyOrigin, // CheckOrigin of Options decides
		Upgrade:         srv.upgrade,
		Open:            srv.openConn,
		Message:         srv.message,
		GoAway:          srv.goAway,
		Close:           srv.closeConn,
	}
	app.WS(prefix+"/*", behavior)
	switch {
	case prefix == "":
	case slash:
		// Not captured, and not redirected either.
		app.Handle(prefix, http.NotFoundHandler())
	default:
		app.Handle(prefix, http.HandlerFunc(srv.serveHTTP))
		app.WS(prefix, behavior)
	}
	return nil
}

// laneOf is the lane of a loop.
func (srv *Server) laneOf(l *engine.Loop) *lane { return srv.makeLanes()[l.ID()] }

// makeLanes are the lanes, or none before the App's loops exist.
func (srv *Server) makeLanes() []*lane {
	if all := srv.begunLanes(); all != nil {
		return all
	}
	srv.laneMu.Lock()
	defer srv.laneMu.Unlock()
	if all := srv.begunLanes(); all != nil {
		return all
	}
	var all []*lane
	for _, l := range srv.app.Loops() {
		all = append(all, newLane(srv, l))
	}
	if all != nil {
		srv.lanes.Store(&all)
	}
	return all
}

// begunLanes are the lanes, or none if no session ever was.
func (srv *Server) begunLanes() []*lane {
	if all := srv.lanes.Load(); all != nil {
		return *all
	}
	return nil
}

// nextLane takes turns among the loops. It is nil before there are any.
func (srv *Server) nextLane() *lane {
	all := srv.makeLanes()
	if len(all) == 0 {
		return nil
	}
	return all[int(srv.next.Add(1)%uint32(len(all)))]
}

func (srv *Server) shard(sid string) *shard {
	return &srv.shards[maphash.String(srv.seed, sid)%shardCount]
}

// session is the session of an id, or nil.
func (srv *Server) session(sid string) *Session {
	s := srv.shard(sid)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sessions[sid]
}

func (srv *Server) register(s *Session) {
	x := srv.shard(s.sid)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sessions[s.sid] = s
}

func (srv *Server) unregister(s *Session) {
	x := srv.shard(s.sid)
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.sessions, s.sid)
}

// Sessions is the number of open sessions.
func (srv *Server) Sessions() int { return int(srv.sessions.Load()) }

// Owns reports whether a session id was made by a server of this ServerID.
func (srv *Server) Owns(sid string) bool {
	return len(sid) == sidLen && sid[:prefixLen] == srv.prefix
}

// Close refuses further sessions and closes the open ones with ShuttingDown. It
// returns when all have ended, or ctx has. Call it before App.Shutdown, which
// waits for polls to be answered.
func (srv *Server) Close(ctx context.Context) error {
	srv.closing.Store(true)
	lanes := srv.begunLanes()
	done := make(chan struct{}, len(lanes))
	waiting := 0
	for _, ln := range lanes {
		if ln.loop.Post(func() {
			ln.closeAll()
			done <- struct{}{}
		}) {
			waiting++
		}
	}
	for ; waiting > 0; waiting-- {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Session is the session of an id, or nil.
func (srv *Server) Session(sid string) *Session { return srv.session(sid) }

// openPacket is what the open packet of a session says.
func (srv *Server) openPacket(sid string) eio.Handshake {
	return eio.Handshake{
		SID:          sid,
		PingInterval: srv.opts.PingInterval.Milliseconds(),
		PingTimeout:  srv.opts.PingTimeout.Milliseconds(),
		MaxPayload:   int64(srv.opts.MaxPayload),
	}
}

// admit counts one more session, if there is room.
func (srv *Server) admit() bool {
	// Counted first: of several that come at once none may think that it is the last.
	n := srv.sessions.Add(1)
	if limit := srv.maxSessions.Load(); limit > 0 && n > limit || srv.opts.Full != nil && srv.opts.Full() {
		srv.sessions.Add(-1)
		return false
	}
	return true
}
