package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/fe4bcecb/wsd/engine"
)

// serveCmd is `wsd serve`.
type serveCmd struct {
	Listen      string        `default:"127.0.0.1:3000" placeholder:"HOST:PORT" help:"Where to listen. Default ${default}."`
	IdleTimeout time.Duration `default:"120s" help:"Close a connection that is silent for so long and answers no ping; 0: never. Default ${default}."`
	DrainLBWait time.Duration `name:"drain-lb-wait" default:"5s" help:"When draining with clients connected, how long /health answers 503 before connections are closed. Default ${default}."`
	Config      string        `placeholder:"FILE" help:"YAML file with settings, named as the flags are. The environment and flags count more. SIGHUP reads it again."`
	DrainWindow time.Duration `default:"10s" help:"Over how long the closing of connections is spread then, so that clients do not reconnect all at once: at most half of what is left of --drain-timeout; 0: as fast as it goes. Default ${default}."`
	StartPage   bool          `negatable:"" default:"true" help:"Serve a page at / that says what is here."`
	serverFlags
	daemonFlags
}

// daemonFlags are what wsd serve has and wsd echo has not.
type daemonFlags struct {
	sioFlags    `group:"Socket.IO"`
	redisFlags  `group:"Cluster"`
	authFlags   `group:"Authentication"`
	limitFlags  `group:"Limits"`
	pubsubFlags `group:"/pubsub"`
	adminFlags  `group:"Administration"`
	apiFlags    `group:"Administration"`
	healthFlags `group:"Health"`
	tlsFlags    `group:"TLS"`
	memoryFlags `group:"Memory"`
	workerFlags `group:"Workers"`
}

// check refuses flags that can't be meant.
func (f *daemonFlags) check() error {
	for _, check := range []func() error{
		f.sioFlags.check, f.redisFlags.check, f.authFlags.check, f.limitFlags.check,
		f.pubsubFlags.check, f.adminFlags.check, f.apiFlags.check, f.healthFlags.check, f.tlsFlags.check, f.memoryFlags.check, f.workerFlags.check,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// serveHints lead to the chat, a publication and the dashboard. admin is "" without
// that listener.
func serveHints(public, admin string) string {
	operate := ""
	if admin != "" {
		operate = fmt.Sprintf(`  http://%[1]s/          the dashboard; metrics at /metrics
In another terminal:
  curl http://%[1]s/v1/publish -H 'Content-Type: application/json' \
    -d '{"topic":"chat","data":{"from":"curl","text":"hello"}}'    # says it in the chat
`, admin)
	}
	return fmt.Sprintf(`
In a browser:
  http://%[1]s/chat      a chat: open it in two windows
  http://%[1]s/          what is here
%[2]s  npx wscat -c ws://%[1]s/topics/chat   # the chat, as it is on the wire
  bin/wsd bench echo --url ws://%[1]s/echo
Ctrl-C drains and stops.

`, public, operate)
}

// Run serves until the process is told to stop.
func (c *serveCmd) Run(p *process) error {
	if err := c.check(); err != nil {
		return err
	}
	dumps := make(chan os.Signal, 1)
	notifyDumps(dumps)
	defer signal.Stop(dumps)
	h, err := openHost()
	if err != nil {
		return err
	}
	defer h.close()
	switch {
	case h.worker != nil:
		c.takeShare(h.worker)
	case c.Workers > 0:
		return c.supervise(p, h)
	}
	cfg := c.config(p)
	cfg.host = h
	if h.worker != nil {
		cfg.log, cfg.stdout = cfg.log.With("worker", c.ServerID), io.Discard
	}
	warnOfVariables(p.invocation, cfg.log)
	cfg.hangups, cfg.dumpSignals = p.hangups, dumps
	return run(p.ctx, cfg)
}

// check refuses flags that can't be meant, but for those of serverFlags.
func (c *serveCmd) check() error {
	if c.DrainLBWait < 0 || c.DrainLBWait >= c.DrainTimeout {
		return usageError(fmt.Errorf("--drain-lb-wait %v: want less than --drain-timeout %v", c.DrainLBWait, c.DrainTimeout))
	}
	if c.DrainWindow < 0 {
		return usageError(fmt.Errorf("--drain-window %v: want 0 or more", c.DrainWindow))
	}
	if err := c.daemonFlags.check(); err != nil {
		return err
	}
	return c.checkWorkers()
}

func (c *serveCmd) config(p *process) config {
	log, level := newLogger(p.stderr, &c.logFlags)
	cfg := config{
		serverFlags: c.serverFlags,
		daemonFlags: &c.daemonFlags,
		startPage:   c.StartPage,
		command:     "serve",
		listen:      c.Listen,
		idleTimeout: c.IdleTimeout,
		lbWait:      c.DrainLBWait,
		drainWindow: c.DrainWindow,
		routes:      serveRoutes,
		hints:       serveHints,
		stdout:      p.stdout,
		stderr:      p.stderr,
		log:         log,
		logLevel:    level,
	}
	if p.invocation != nil {
		cfg.settings = p.invocation.settings()
		cfg.reread = func() (*invocation, error) { return invoke(p.args, p.stdout, p.stderr) }
	}
	return cfg
}

func serveRoutes(s *server) {
	s.app.WS("/echo", s.admission(echo(s.base()), func(u *engine.Handshake, who *account) {
		s.welcome(u, who, nil, engine.Accept{})
	}))
	s.app.WS("/topics/{topic...}", s.topics(s.base()))
	s.pubsubRoutes()
	s.healthRoutes(func(pattern string, h http.Handler) { s.app.Handle(pattern, h) })
	s.app.Mount(s.sioFlags.SIOPath, s.sio.io)
	for _, name := range clientFiles {
		s.app.Handle(s.sioFlags.SIOPath+name, clientFile(s.sioFlags.ClientDir, name))
	}
	if s.startPage {
		s.startRoutes()
	}
}

// echo makes b send each message back.
func echo(b engine.Behavior) engine.Behavior {
	b.Message = func(ws *engine.Conn, msg []byte, op engine.OpCode) {
		ws.Send(msg, op)
	}
	return b
}
