package main

import (
	"fmt"
	"time"
)

// echoCmd is `wsd echo`.
type echoCmd struct {
	Listen      string        `default:"127.0.0.1:9001" placeholder:"HOST:PORT" help:"Where to listen. Default ${default}."`
	IdleTimeout time.Duration `default:"60s" help:"Close a connection that is silent for so long and answers no ping; 0: never. Default ${default}."`
	serverFlags
}

// echoHints lead to the benchmark.
func echoHints(public, _ string) string {
	return fmt.Sprintf(`
Try next, in another terminal:
  bin/wsd bench echo --url ws://%[1]s
  npx wscat -c ws://%[1]s

`, public)
}

// Run echoes until the process is told to stop.
func (c *echoCmd) Run(p *process) error {
	return run(p.ctx, c.config(p))
}

func (c *echoCmd) config(p *process) config {
	log, _ := newLogger(p.stderr, &c.logFlags)
	return config{
		serverFlags: c.serverFlags,
		command:     "echo",
		listen:      c.Listen,
		idleTimeout: c.IdleTimeout,
		exclusive:   true,
		routes:      func(s *server) { s.app.WS("/*", echo(s.base())) },
		hints:       echoHints,
		stdout:      p.stdout,
		log:         log,
	}
}
