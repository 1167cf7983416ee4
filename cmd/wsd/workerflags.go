package main

import (
	"fmt"
	"runtime"

	"github.com/fe4bcecb/wsd/cmd/wsd/workers"
)

// workerFlags are those of several processes on one port.
type workerFlags struct {
	ReusePort bool `help:"Let other processes listen on the same address (SO_REUSEPORT): the kernel shares connections out among them."`
	Workers   int  `default:"0" placeholder:"N" help:"Serve with N processes on one port, and start again one that ends; 0: with this one alone. More than one need Redis (--adapter)."`
}

// maxWorkers bounds --workers.
const maxWorkers = 64

// check refuses what can't be meant.
func (f *workerFlags) check() error {
	switch {
	case f.Workers < 0 || f.Workers > maxWorkers:
		return usageError(fmt.Errorf("--workers %d: want 0 to %d", f.Workers, maxWorkers))
	case f.Workers > 0 && !workers.Supported:
		return usageError(fmt.Errorf("--workers: not on this system, only on Linux; one process has --loops"))
	}
	return nil
}

// checkWorkers refuses workers that can't find each other, or could not do what other
// flags ask for.
func (c *serveCmd) checkWorkers() error {
	if c.Workers > 0 && c.TLSCert != "" {
		return usageError(fmt.Errorf("--workers %d with --tls-cert: workers do not encrypt, as they pass connections to each other; "+
			"have a load balancer in front end TLS, or leave --workers out: one process uses all CPUs by itself (--loops)", c.Workers))
	}
	if err := c.memoryFlags.checkShare(max(c.Workers, 1)); err != nil {
		return err
	}
	if c.Workers > 1 && !c.redisFlags.enabled() {
		return usageError(fmt.Errorf("--workers %d with --adapter memory: workers are servers that reach each other over Redis; "+
			"give --adapter and --redis-url, or leave --workers out: one process uses all CPUs by itself (--loops)", c.Workers))
	}
	return nil
}

// takeShare makes the flags of all workers those of one.
func (c *serveCmd) takeShare(w *workers.Worker) {
	c.ServerID = w.ID()
	c.MaxConnections = w.Part(c.MaxConnections)
	if c.Loops == 0 {
		c.Loops = max(1, runtime.GOMAXPROCS(0)/w.Count)
	}
	// The parent has the address and what guards it.
	c.AdminListen, c.AdminToken, c.AdminTokenFile = "127.0.0.1:0", "", ""
	c.Hints = false
}
