package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/pubsub"
)

// maxLoops bounds --loops: more than any machine has use for.
const maxLoops = 1024

// config is one run of a server.
type config struct {
	serverFlags
	*daemonFlags // nil: wsd echo
	startPage    bool
	command      string // for the log
	listen       string
	idleTimeout  time.Duration // 0: none
	lbWait       time.Duration // see --drain-lb-wait
	drainWindow  time.Duration // see --drain-window
	exclusive    bool          // nothing but the loops runs in this process
	host         host
	routes       func(*server)
	hints        func(public, admin string) string // what to try next; %s stands for host:port
	stdout       io.Writer
	stderr       io.Writer // for dumps, beside the log
	log          *slog.Logger
	logLevel     *slog.LevelVar              // of log; nil: it has none
	settings     []setting                   // what the command line came down to
	reread       func() (*invocation, error) // reads it again; nil: it can't be
	hangups      <-chan os.Signal            // each reloads; nil: nothing does
	dumpSignals  <-chan os.Signal            // each asks for a dump; nil: nothing does
	started      func(*server)               // called before listening is; nil: not
	listening    func(addr, admin net.Addr)  // called when connections are accepted, admin nil without that listener; nil: not
}

// server is a config at work.
type server struct {
	config
	ends        ends           // of what is open
	unserved    []net.Listener // the public ones, until the app serves them
	app         *engine.App
	sio         *sioApp        // nil: wsd echo
	*access                    // nil: wsd echo
	redis       *redis.Broker  // nil: this server is alone
	pubsub      *pubsub.Server // nil: wsd echo
	gaps        gapLog
	metrics     metrics.Set
	admin       *admin   // nil: wsd echo, or switched off
	monitor     *monitor // nil: wsd echo
	reloads     reloads
	dumps       dumps
	unready     []func() string // see notReady
	pulse       pulse
	fds         fdCount
	origins     originRule
	limit       atomic.Int64 // connections
	raw         atomic.Int64 // open connections of admission's routes
	draining    drainState
	certificate *certificate // nil: no TLS
	memory      memoryGuard
}

// prepareSIO makes the Socket.IO app, if there is to be one, and whatever
// knows who clients are. end is to be called when both are over.
func (s *server) prepareSIO() (end func(), err error) {
	if s.daemonFlags == nil {
		return func() {}, nil
	}
	verifier, err := s.authFlags.verifier(s.log)
	if err != nil {
		return nil, err
	}
	end = func() {}
	var tokens *keys
	if verifier != nil {
		tokens = newKeys(verifier, s.log)
		end = tokens.close
	}
	if s.access, err = newAccess(s.daemonFlags, &s.origins, s.log); err != nil {
		end()
		return nil, err
	}
	s.identity = newIdentifier(&s.authFlags, s.Anonymous, tokens)
	s.identity.revoked = s.revoked
	if s.redis != nil {
		s.revoked.join(s.redis)
	}
	s.onReload(s.access.reload, limitNames...)
	if s.sioFlags.ClientDir != "" {
		if s.sioFlags.ClientDir, err = clientDir(s.sioFlags.ClientDir); err != nil {
			end()
			return nil, usageError(fmt.Errorf("--client-dir: %w", err))
		}
	}
	if s.sio, err = newSIOApp(&s.sioFlags, s.cluster(), s.access, s.Origins, int(s.limit.Load()), s.crowded, s.log); err != nil {
		end()
		return nil, err
	}
	return end, nil
}

// connections is how many clients are connected: by WebSocket, and where there
// is Socket.IO by its sessions, polling ones included.
func (s *server) connections() int {
	if s.sio == nil {
		return s.app.Connections()
	}
	return int(s.raw.Load()) + s.sio.io.Engine().Sessions()
}

// full reports whether one more client is too many.
func (s *server) full() bool { return s.connections() >= int(s.limit.Load()) }

// crowded reports whether there are too many clients, one included that is counted but
// not let in yet.
func (s *server) crowded() bool { return s.connections() > int(s.limit.Load()) }

// webSockets is the engine's own limit. Who is closed for capacity behind an
// open packet needs a place meanwhile.
func (s *server) webSockets() int {
	limit := int(s.limit.Load())
	if s.daemonFlags != nil && s.sioFlags.AtCapacity == "close" {
		return limit + limit/8 + 16
	}
	return limit
}

// httpConnections is how many connections net/http may have: each client that
// polls has two.
func (s *server) httpConnections() int {
	n := 2*int(s.limit.Load()) + engine.DefaultMaxHTTP
	if fds, ok := fdLimit(); ok && uint64(n)+reservedFDs > fds {
		n = max(engine.DefaultMaxHTTP, int(fds)-reservedFDs)
	}
	if s.daemonFlags == nil {
		n = engine.DefaultMaxHTTP
	}
	return n
}

// originCheck is nil for the engine's own rule, which is the fastest.
func (s *server) originCheck() func(*engine.Handshake) bool {
	switch {
	case s.access != nil:
		return s.originOfHandshake
	case len(s.Origins) == 0:
		return nil
	}
	return s.origins.handshake
}

// refusedByEngine is nil for a server that keeps no account of refusals.
func (s *server) refusedByEngine() func(engine.Refusal) {
	if s.access == nil {
		return nil
	}
	return s.byEngine
}

// proxyHeader is nil where no proxy speaks the PROXY protocol.
func (s *server) proxyHeader() func(netip.Addr) bool {
	if s.daemonFlags == nil || !s.ProxyProtocol {
		return nil
	}
	return s.trust.believes
}

// keepFDs is for the engine. wsd echo has no use for descriptors beside its clients'.
func (s *server) keepFDs() int {
	if s.daemonFlags == nil {
		return 0
	}
	return keepFDs()
}

// chooseLoops returns the number of loops and, where the loops have company,
// gives the Go scheduler one processor more than that: a waiting loop keeps
// its own. An explicit GOMAXPROCS is left alone.
func (s *server) chooseLoops() int {
	if s.Loops == 0 {
		s.Loops = runtime.GOMAXPROCS(0)
	}
	if _, set := os.LookupEnv("GOMAXPROCS"); !set && !s.exclusive {
		runtime.GOMAXPROCS(s.Loops + 1)
	}
	return s.Loops
}

// announce logs the start.
func (s *server) announce(addr net.Addr) {
	message := "listening"
	if s.host.worker != nil {
		message = "a worker listens" // the parent tells of the whole
	}
	s.log.Info(message,
		"address", addr.String(), "admin", s.adminText(), "command", s.command, "version", version, "pid", os.Getpid(),
		"loops", s.Loops, "max_connections", s.limit.Load(), "max_payload", s.MaxPayload.String(),
		"idle_timeout", s.idleTimeout.String(), "compression", s.Compression,
		"max_backpressure", s.MaxBackpressure.String(), "backpressure_policy", s.BackpressurePolicy,
		"origins", s.originsText())
	if s.sio != nil {
		s.log.Info("Socket.IO", "path", s.sioFlags.SIOPath, "server_id", s.sioFlags.ServerID,
			"max_payload", s.sioFlags.SIOMaxPayload.String(), "max_backpressure", s.sioFlags.SIOMaxBackpressure.String(),
			"recovery", s.sioFlags.Recovery.String(), "tokens", s.identity.keys != nil)
		if from := s.authFlags.InsecureUserFrom; from != "" {
			s.log.Warn("--insecure-user-from: clients are believed to be who they say they are", "from", from)
		}
	}
	if s.Anonymous {
		s.log.Warn("--anonymous: everybody who reaches this address may connect")
	}
	if s.Hints || isTerminal(s.stdout) {
		admin := ""
		if a := s.adminAddr(); a != nil && a.Network() == "tcp" {
			admin = a.String()
		}
		_, _ = fmt.Fprint(s.stdout, s.config.hints(addr.String(), admin))
	}
	if s.started != nil {
		s.started(s)
	}
	if s.listening != nil {
		s.listening(addr, s.adminAddr())
	}
}

// base is the Behavior that the routes start from.
func (s *server) base() engine.Behavior {
	b := s.behavior(s.idleTimeout)
	b.Dropped = func(ws *engine.Conn, messages, bytes int) {
		s.log.Warn("messages for a slow reader were dropped",
			"remote", ws.RemoteAddr().String(), "messages", messages, "bytes", bytes)
	}
	return b
}
