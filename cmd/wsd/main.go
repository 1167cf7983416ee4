// Command wsd is a server for Socket.IO and WebSockets.
//
//	wsd          serves /socket.io/, /topics/{topic...}, /echo and /health on 127.0.0.1:3000
//	wsd echo     echoes on every path of 127.0.0.1:9001
//	wsd token    signs a token for a test
//	wsd --help   lists commands and flags
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker.
var version = "dev"

// Exit codes; see docs/operations.md.
const (
	exitFailure   = 1   // at run time, or a drain that had to be cut short
	exitUsage     = 2   // flags, environment
	exitBind      = 3   // the address can't be listened on
	exitBroker    = 4   // Redis can't be used
	exitInterrupt = 130 // second signal
)

func main() {
	ctx := onSignal(os.Stderr, os.Exit)
	hangups := make(chan os.Signal, 1) // from the beginning: without it the signal ends the process
	signal.Notify(hangups, syscall.SIGHUP)
	p := &process{ctx: ctx, stdout: os.Stdout, stderr: os.Stderr, args: os.Args[1:], hangups: hangups}
	os.Exit(p.execute())
}

// cli is the command line. Each flag is also read from the environment, as
// WSD_ and its name in capitals: --max-payload is WSD_MAX_PAYLOAD; those of serve
// also from the file of --config. See invoke.
type cli struct {
	Serve       serveCmd       `cmd:"" default:"withargs" help:"Serve Socket.IO, /topics/{topic...}, /echo and /health (the default command)."`
	Echo        echoCmd        `cmd:"" help:"Echo on every path: the profile for benchmarks."`
	Bench       benchCmd       `cmd:"" help:"Put load on a server and measure it."`
	Token       tokenCmd       `cmd:"" help:"Sign a token, for tests."`
	Config      configCmd      `cmd:"" help:"Check, print and explain the configuration of wsd serve."`
	Publish     publishCmd     `cmd:"" help:"Publish a message to a topic."`
	Conns       connsCmd       `cmd:"" help:"List connections of a server."`
	Rooms       roomsCmd       `cmd:"" help:"List the largest Socket.IO rooms of a server."`
	Topics      topicsCmd      `cmd:"" help:"List the topics of a server with the most subscribers."`
	Nodes       nodesCmd       `cmd:"" help:"List the servers of the cluster."`
	Kick        kickCmd        `cmd:"" help:"End connections."`
	Top         topCmd         `cmd:"" help:"Show what a server does, live, in the terminal."`
	Drain       drainCmd       `cmd:"" help:"Have a server drain and end, as SIGTERM does."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask a server whether it is well: for containers."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

// process is what a command gets of the process it runs in.
type process struct {
	ctx            context.Context // done at the first signal
	stdout, stderr io.Writer
	args           []string
	hangups        chan os.Signal // each has wsd serve read its configuration again; nil: nothing does
	invocation     *invocation    // what args came down to
}

// execute runs the command that the arguments name and returns the exit code.
func (p *process) execute() int {
	in, err := invoke(p.args, p.stdout, p.stderr)
	if err == nil {
		if node := in.command.Selected(); node == nil || node.Name != "serve" {
			signal.Stop(p.hangups) // it ends other commands
		}
		p.invocation = in
		err = in.command.Run(p)
	}
	if err != nil {
		fmt.Fprintln(p.stderr, "wsd:", err)
	}
	return exitCode(err)
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	error
}

func (e exitError) Unwrap() error { return e.error }

func usageError(err error) error { return exitError{exitUsage, err} }

// exitCode is the code for what a command returned.
func exitCode(err error) int {
	var exit exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.code
	}
	return exitFailure
}
