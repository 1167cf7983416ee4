package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"time"

	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
	"github.com/fe4bcecb/wsd/cmd/wsd/workers"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// parent is the process of `wsd serve --workers`.
type parent struct {
	*serveCmd
	process *process
	host    host
	log     *slog.Logger
	workers *workers.Supervisor
	metrics metrics.Set
	admin   *admin // nil: switched off
	code    chan int
}

// supervise runs workers until ctx ends, one asks for a drain of all, or one ends
// before it has served.
func (c *serveCmd) supervise(p *process, h host) error {
	others := make(chan os.Signal, 8) // from the beginning: SIGHUP would end the process
	signal.Notify(others, passedOn...)
	defer signal.Stop(others)
	select {
	case s := <-p.hangups: // before that
		others <- s
	default:
	}
	log, _ := newLogger(p.stderr, &c.logFlags)
	if err := c.preflight(p.ctx, log); err != nil {
		return err
	}
	warnOfVariables(p.invocation, log)
	if err := distinctWorkers(c.ServerID, c.Workers); err != nil {
		return err
	}
	public, err := c.workerSockets(p.ctx, h.public)
	if err != nil {
		return err
	}
	x := &parent{serveCmd: c, process: p, host: h, log: log, code: make(chan int, 1)}
	x.workers, err = workers.New(workers.Options{
		Workers: c.Workers, ServerID: c.ServerID, DrainTimeout: c.DrainTimeout,
		Public: public, Command: x.command, Logger: log,
	})
	if err != nil {
		closeSockets(public)
		return err
	}
	defer x.workers.Close()
	end, err := x.openAdmin()
	if err != nil {
		closeSockets(public)
		return err
	}
	defer end()
	go func() { x.code <- x.workers.Run() }()
	return x.follow(public[0][0].Addr(), others)
}

// distinctWorkers refuses a server id with which sessions of two workers could not be
// told apart.
func distinctWorkers(id string, count int) error {
	seen := map[string]bool{}
	for i := 1; i <= count; i++ {
		prefix := engineio.Prefix(workers.ID(id, i))
		if seen[prefix] {
			return usageError(fmt.Errorf("--server-id %s does not go with --workers %d: two would have session ids that begin alike; take another", id, count))
		}
		seen[prefix] = true
	}
	return nil
}

// workerSockets are the public listeners of each worker, or one list for all: that of
// systemd's. Each of its own (SO_REUSEPORT) is what the kernel shares connections out
// among evenly: of several processes that wait at one socket it wakes those first that
// it has woken before. The parent keeps all of them, so that what waits at the socket of
// a worker that dies is not lost.
func (c *serveCmd) workerSockets(ctx context.Context, inherited []net.Listener) ([][]net.Listener, error) {
	open := c.Anonymous || c.authFlags.configured()
	if len(inherited) > 0 {
		return [][]net.Listener{inherited}, checkInherited(inherited, open)
	}
	address := c.Listen
	if !c.ReusePort {
		// Sockets that share an address would share that of any other wsd, too.
		l, err := listen(ctx, address, open, false)
		if err != nil {
			return nil, err
		}
		address = l.Addr().String()
		_ = l.Close()
	}
	var all [][]net.Listener
	for range c.Workers {
		l, err := listen(ctx, address, open, true)
		if err != nil {
			closeSockets(all)
			return nil, err
		}
		address = l.Addr().String()
		all = append(all, []net.Listener{l})
	}
	return all, nil
}

func closeSockets(all [][]net.Listener) {
	for _, list := range all {
		closeAll(list)
	}
}

// command starts this program again with the same arguments.
func (x *parent) command() *exec.Cmd {
	program, err := os.Executable()
	if runtime.GOOS == "linux" {
		program = "/proc/self/exe" // also when another one has taken its place
	}
	cmd := &exec.Cmd{Path: program, Args: append([]string{os.Args[0]}, x.process.args...), Env: os.Environ(), Err: err,
		Stdout: x.process.stdout, Stderr: x.process.stderr}
	return cmd
}

// follow tells the workers what the process is told, until they have ended. others
// has signals for them.
func (x *parent) follow(addr net.Addr, others <-chan os.Signal) error {
	ready := x.workers.Ready()
	done := x.process.ctx.Done()
	feed := x.watchdog()
	defer feed.Stop()
	stopping := x.workers.Stopping()
	for {
		select {
		case <-ready:
			ready = nil
			select {
			case <-stopping: // one has ended before it served
			default:
				x.announce(addr)
			}
		case s := <-others:
			x.pass(s)
		case <-done:
			done = nil
			x.workers.Stop()
		case <-stopping:
			stopping = nil
			x.log.Info("draining all workers", "connections", x.workers.Totals().Connections, "timeout", x.DrainTimeout.String())
			x.tell(x.host.notifier.Stopping(x.DrainTimeout+2*stopReserve, fmt.Sprintf("draining %d connections", x.workers.Totals().Connections)))
		case <-feed.C:
			// A worker that ends again and again, or hangs, is looked after here:
			// systemd would end those that serve as well.
			if x.workers.Totals().Up > 0 {
				x.tell(x.host.notifier.Alive())
			}
		case code := <-x.code:
			if code != 0 {
				return exitError{code, errors.New("a worker has failed: see above")}
			}
			x.log.Info("all workers have drained")
			return nil
		}
	}
}

// pass passes a signal on; with SIGHUP workers read their configuration again, and so
// does the parent.
func (x *parent) pass(s os.Signal) {
	if s == hangup && !x.stopping() {
		x.tell(x.host.notifier.Reloading())
		defer func() { x.tell(x.host.notifier.Ready(x.status())) }()
		if err := x.reload(); err != nil {
			x.log.Error("the admin token was not read again: the one in force still is", "err", err)
		}
	}
	x.workers.Tell(s)
}

// reload takes the token of the admin listener from the configuration as it is now.
func (x *parent) reload() error {
	if x.admin == nil {
		return nil
	}
	in, err := invoke(x.process.args, x.process.stdout, x.process.stderr)
	if err != nil {
		return err
	}
	next := &in.cli.Serve
	if err := next.preflight(x.process.ctx, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	commit, err := x.admin.reload(&next.adminFlags)
	if err != nil {
		return err
	}
	commit()
	return nil
}

// stopping reports whether the workers were told to end.
func (x *parent) stopping() bool {
	select {
	case <-x.workers.Stopping():
		return true
	default:
		return false
	}
}

func (x *parent) tell(err error) {
	if err != nil {
		x.log.Warn("systemd was not told how wsd is", "err", err)
	}
}

// watchdog ticks when systemd's is to be fed.
func (x *parent) watchdog() *time.Ticker {
	every := x.host.notifier.Watchdog() / 2
	if every <= 0 {
		t := time.NewTicker(time.Hour)
		t.Stop()
		return t
	}
	return time.NewTicker(every)
}

func (x *parent) status() string {
	t := x.workers.Totals()
	return fmt.Sprintf("%d of %d workers serve, at most %d connections", t.Up, t.Workers, x.MaxConnections)
}

// announce says that all workers serve.
func (x *parent) announce(addr net.Addr) {
	x.tell(x.host.notifier.Ready(x.status()))
	shown, at := "off", ""
	if x.admin != nil {
		at = x.admin.addr.String()
		shown = at
	}
	x.log.Info("listening", "address", addr.String(), "admin", shown, "command", "serve", "version", version,
		"pid", os.Getpid(), "workers", x.Workers, "server_id", x.ServerID, "max_connections", x.MaxConnections)
	if x.Hints || isTerminal(x.process.stdout) {
		_, _ = io.WriteString(x.process.stdout, serveHints(addr.String(), at)) // nobody may look
	}
}

// openAdmin serves the admin listener for all workers.
func (x *parent) openAdmin() (end func(), err error) {
	l, err := x.adminFlags.listen(x.process.ctx, x.host.admin)
	if err != nil || l == nil {
		return func() {}, err
	}
	x.registerMetrics()
	front := workers.NewFront(x.workers, x.metrics.Registry())
	mux := http.NewServeMux()
	front.Register(mux)
	x.admin = serveAdmin(l, mux, front.RegisterOpen, x.log)
	return func() {
		x.admin.close()
		front.Close()
	}, nil
}

// registerMetrics registers what only the parent knows.
func (x *parent) registerMetrics() {
	x.metrics.GaugeVec("wsd_worker_up", "1 for a worker that serves.", []string{"worker"}, func(emit metrics.Emit) {
		for _, i := range x.workers.Infos() {
			up := 0.0
			if i.Up {
				up = 1
			}
			emit(up, i.ID)
		}
	})
	x.metrics.GaugeVec("wsd_worker_connections", "Connected clients of a worker: the shares of websocket_connections.", []string{"worker"}, func(emit metrics.Emit) {
		for _, i := range x.workers.Infos() {
			emit(float64(i.Connections), i.ID)
		}
	})
	x.metrics.CounterVec("wsd_worker_restarts_total", "Workers that were started again.", []string{"worker"}, func(emit metrics.Emit) {
		for _, i := range x.workers.Infos() {
			emit(float64(i.Restarts), i.ID)
		}
	})
	handoverMetric(&x.metrics, x.workers.Handovers)
}

// handoverMetric registers what became of connections that were passed to workers:
// parent and workers count each their own.
func handoverMetric(set *metrics.Set, count func(workers.Result) uint64) {
	set.CounterVec("wsd_worker_handovers_total", "Connections that were to be passed to the worker that has their session, or from a worker that has ended.",
		[]string{"result"}, func(emit metrics.Emit) {
			for _, r := range workers.Results {
				emit(float64(count(r)), r.String())
			}
		})
}
