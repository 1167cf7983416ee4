package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/fe4bcecb/wsd/engine"
)

// serverFlags are the flags that serve and echo share.
type serverFlags struct {
	MaxPayload         size          `default:"16KiB" placeholder:"SIZE" help:"Largest message, after inflation; a larger one closes its connection with 1009. Default ${default}."`
	Compression        string        `enum:"off,shared,dedicated" default:"shared" help:"permessage-deflate: off, shared (no memory per connection) or dedicated (better ratios). Default ${default}."`
	MaxBackpressure    size          `default:"64KiB" placeholder:"SIZE" help:"Bytes that may wait for a slow reader, or unlimited. Default ${default}."`
	BackpressurePolicy string        `enum:"drop-newest,drop-oldest,close" default:"drop-newest" help:"Beyond it: drop-newest, drop-oldest, or close the connection with 1008. Default ${default}."`
	Loops              int           `default:"0" placeholder:"N" help:"Event loops; 0: one per CPU."`
	Origins            []string      `placeholder:"ORIGIN" help:"Origins that browsers may connect from, or * for any. Default: the host they connect to."`
	MaxConnections     int           `default:"50000" placeholder:"N" help:"Further ones are closed with 1008. Lowered, with a warning, to what the limit on open files allows. Default ${default}."`
	Anonymous          bool          `help:"Let anybody connect: needed, unless tokens are, to listen on other than a loopback address."`
	DrainTimeout       time.Duration `default:"30s" help:"After SIGTERM or SIGINT, how long connections may take to close before wsd leaves with exit code 1. Default ${default}."`
	logFlags           `group:"Logs"`
	Hints              bool   `hidden:"" help:"Print what to try next also when standard output is no terminal."`
	CPUProfile         string `name:"cpu-profile" hidden:"" placeholder:"FILE" help:"Write a CPU profile of the whole run."`
}

var compressions = map[string]engine.Compression{
	"off":       engine.CompressionOff,
	"shared":    engine.CompressionShared,
	"dedicated": engine.CompressionDedicated,
}

var policies = map[string]engine.BackpressurePolicy{
	"drop-newest": engine.DropNewest,
	"drop-oldest": engine.DropOldest,
	"close":       engine.ClosePolicy,
}

// check refuses values that the types let through.
func (f *serverFlags) check() error {
	switch {
	case f.MaxPayload < 0:
		return usageError(fmt.Errorf("--max-payload can't be unlimited"))
	case f.Loops < 0 || f.Loops > maxLoops:
		return usageError(fmt.Errorf("--loops %d: want 0 to %d", f.Loops, maxLoops))
	case f.MaxConnections < 1:
		return usageError(fmt.Errorf("--max-connections %d: want at least 1", f.MaxConnections))
	case f.DrainTimeout <= 0:
		return usageError(fmt.Errorf("--drain-timeout %v: want more than 0", f.DrainTimeout))
	}
	return nil
}

// behavior is what every route has in common. idle 0 is no idle timeout.
func (f *serverFlags) behavior(idle time.Duration) engine.Behavior {
	if idle <= 0 {
		idle = -1
	}
	return engine.Behavior{
		Compression:     compressions[f.Compression],
		MaxPayload:      int(f.MaxPayload),
		MaxBackpressure: int(f.MaxBackpressure),
		Policy:          policies[f.BackpressurePolicy],
		IdleTimeout:     idle,
	}
}

// originsText describes the origin rule in the log.
func (f *serverFlags) originsText() string {
	if len(f.Origins) == 0 {
		return "same host"
	}
	return strings.Join(f.Origins, ",")
}
