package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// firstPause and lastPause bound the pause before a worker that has died is
	// started again: it doubles with each that has not lived for wellAfter.
	firstPause = 100 * time.Millisecond
	lastPause  = 30 * time.Second
	wellAfter  = 10 * time.Second
	// loopAfter is how many of them in a row make a crash loop.
	loopAfter = 5
	// hangAfter is the default of Options.HangAfter.
	hangAfter = 30 * time.Second
	// hangReserve is how long a worker that hangs may take to say why, and is killed for good then.
	hangReserve = 5 * time.Second
	// startTimeout is how long a worker may take until it serves.
	startTimeout = 60 * time.Second
	// killReserve is how long behind Options.DrainTimeout workers are killed.
	killReserve = 8 * time.Second
)

// Options are a Supervisor's.
type Options struct {
	Workers      int
	ServerID     string
	DrainTimeout time.Duration
	// Public are the listening sockets of each worker, or one list for all.
	Public [][]net.Listener
	// Command makes the command of a worker: this program, told by its environment
	// (see Marker) that it is one.
	Command func() *exec.Cmd
	Logger  *slog.Logger
	// HangAfter is how long a worker may tell nothing, or that a loop of its hangs,
	// before it is killed; 0: 30 s.
	HangAfter time.Duration
}

// Supervisor is the parent of workers.
type Supervisor struct {
	opts     Options
	dir      string
	lock     *os.File // tells others that dir is in use
	slots    []*slot
	starts   chan func()   // run on the thread that workers die with
	ready    chan struct{} // closed when all have served, or one never will
	stopping chan struct{} // closed by Stop
	stop     sync.Once
	passers  []*passer
	results  [numResults]atomic.Uint64
	next     atomic.Uint32
}

// slot is the place of one worker.
type slot struct {
	s     *Supervisor
	index int

	mu       sync.Mutex
	cmd      *exec.Cmd // nil: none now
	link     link
	begun    time.Time
	ready    bool
	untold   []os.Signal // for when it is ready
	heard    time.Time   // last, that all was well
	state    State
	restarts uint64
	short    int    // lives in a row that were
	covered  func() // ends cover; nil: it has not begun

	code  int           // exit code of the last, once run has returned
	first chan struct{} // closed when it has served, or ended, for the first time
	once  sync.Once
}

// New prepares a supervisor: a private directory, which Close removes.
func New(opts Options) (*Supervisor, error) {
	if opts.Workers < 1 || opts.Workers > maxWorkers {
		return nil, fmt.Errorf("workers: %d workers: want 1 to %d", opts.Workers, maxWorkers)
	}
	if opts.HangAfter <= 0 {
		opts.HangAfter = hangAfter
	}
	dir, lock, err := privateDir()
	if err != nil {
		return nil, fmt.Errorf("workers: %w", err)
	}
	s := &Supervisor{opts: opts, dir: dir, lock: lock, starts: make(chan func()), ready: make(chan struct{}), stopping: make(chan struct{})}
	for i := 1; i <= opts.Workers; i++ {
		s.slots = append(s.slots, &slot{s: s, index: i, first: make(chan struct{})})
		s.passers = append(s.passers, newPasser(socketOf(dir, i), &s.results))
	}
	return s, nil
}

// Close removes what New has made. Call behind Run.
func (s *Supervisor) Close() {
	for _, p := range s.passers {
		p.close()
	}
	_ = os.RemoveAll(s.dir)
	_ = s.lock.Close()
}

// Run starts the workers and starts again those that die, until Stop is called and
// all have ended. It returns the worst of their exit codes. A worker that ends before
// it has served for the first time ends all.
func (s *Supervisor) Run() int {
	threads := make(chan struct{})
	go s.startOnOneThread(threads)
	defer func() {
		close(s.starts)
		<-threads
	}()
	var wg, first sync.WaitGroup
	for _, x := range s.slots {
		wg.Go(x.run)
		first.Go(func() { <-x.first })
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		first.Wait()
		close(s.ready)
	}()
	go func() {
		defer close(done)
		s.watch(quit)
	}()
	wg.Wait()
	close(quit)
	<-done
	code := 0
	for _, x := range s.slots {
		code = max(code, x.code)
	}
	return code
}

// startOnOneThread runs the starts on a thread that lives as long as the supervisor:
// workers get the signal that their parent has died when the thread does which has
// started them.
func (s *Supervisor) startOnOneThread(done chan<- struct{}) {
	runtime.LockOSThread()
	defer close(done)
	for start := range s.starts {
		start()
	}
}

// Ready is closed when all workers serve; when one has ended before it did, Stopping
// is closed before.
func (s *Supervisor) Ready() <-chan struct{} { return s.ready }

// Stop has all workers drain and end: SIGTERM, and SIGKILL when that takes too long.
// New connections are theirs alone to accept from then on. Safe from any goroutine.
func (s *Supervisor) Stop() {
	s.stop.Do(func() {
		close(s.stopping)
		for _, list := range s.opts.Public {
			for _, l := range list {
				_ = l.Close()
			}
		}
		s.Signal(terminate)
	})
}

// Stopping is closed when Stop was called.
func (s *Supervisor) Stopping() <-chan struct{} { return s.stopping }

// Signal sends a signal to every worker.
func (s *Supervisor) Signal(sig os.Signal) {
	for _, x := range s.slots {
		x.signal(sig)
	}
}

// Tell sends a signal to every worker that serves, and to one that starts as soon as
// it does: before it expects the signal, it would end of it.
func (s *Supervisor) Tell(sig os.Signal) {
	for _, x := range s.slots {
		x.tell(sig)
	}
}

func (x *slot) tell(sig os.Signal) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.cmd == nil: // the next one will start with what there is then
	case x.ready:
		_ = x.cmd.Process.Signal(sig) // it may have ended
	case !slices.Contains(x.untold, sig):
		x.untold = append(x.untold, sig)
	}
}

func (x *slot) signal(sig os.Signal) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cmd != nil {
		_ = x.cmd.Process.Signal(sig) // it may have ended
	}
}

// run is the life of a slot.
func (x *slot) run() {
	defer x.once.Do(func() { close(x.first) })
	defer x.uncover()
	for {
		code, lived, served := x.live()
		if x.s.isStopping() {
			if served { // one that the stop has met while it started has lost nothing
				x.code = code
			}
			return
		}
		log := x.s.opts.Logger.With("worker", ID(x.s.opts.ServerID, x.index), "exit_code", code, "lived", lived.Round(time.Millisecond).String())
		if !x.hasServed() { // a mistake of the configuration, as a rule
			log.Error("a worker ended before it served: all end")
			x.code = code
			x.s.Stop()
			return
		}
		pause := x.count(lived, log)
		log.Warn("a worker has ended and is started again", "pause", pause.String())
		x.cover()
		select {
		case <-time.After(pause):
		case <-x.s.stopping:
			return // what becomes of the others counts
		}
	}
}

// count counts a life, and returns the pause behind it.
func (x *slot) count(lived time.Duration, log *slog.Logger) time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.restarts++
	x.short++
	if lived >= wellAfter {
		x.short = 1
	}
	pause := min(firstPause<<min(x.short-1, 16), lastPause)
	if x.short == loopAfter {
		log.Error("a worker ends again and again", "restarts", x.restarts, "pause", pause.String())
	}
	return pause
}

// hasServed reports whether a worker of the slot ever did.
func (x *slot) hasServed() bool {
	select {
	case <-x.first:
		return true
	default:
		return false
	}
}

func (s *Supervisor) isStopping() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

// live is one worker from its start to its end; served reports whether it ever did.
func (x *slot) live() (code int, lived time.Duration, served bool) {
	near, far, err := pair()
	if err != nil {
		x.s.opts.Logger.Error("a worker can't be started", "err", err)
		return 1, 0, false
	}
	cmd := x.s.opts.Command()
	cmd.Env = append(cmd.Env, Marker+"="+strconv.Itoa(linkFD))
	cmd.ExtraFiles = []*os.File{far}
	alone(cmd)
	begun := time.Now()
	result := make(chan error, 1)
	x.s.starts <- func() { result <- cmd.Start() }
	err = <-result
	_ = far.Close()
	if err != nil {
		_ = near.conn.Close()
		x.s.opts.Logger.Error("a worker can't be started", "err", err)
		return 1, 0, false
	}
	x.mu.Lock()
	x.cmd, x.link, x.begun, x.heard, x.ready, x.untold = cmd, near, begun, begun, false, nil
	x.mu.Unlock()
	if x.s.isStopping() { // Stop may have come before there was a process
		x.signal(terminate)
	}
	if err := x.greet(); err != nil {
		x.s.opts.Logger.Error("a worker can't be told what it is", "err", err)
		_ = cmd.Process.Kill()
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		x.hear(near)
	}()
	err = cmd.Wait()
	// What it has sent is read to its end.
	<-heard
	_ = near.conn.Close()
	x.mu.Lock()
	defer x.mu.Unlock()
	served = x.ready
	x.cmd, x.ready, x.state = nil, false, State{}
	return exitCode(cmd, err), time.Since(begun), served
}

// exitCode is a process's; one that a signal has ended has failed.
func exitCode(cmd *exec.Cmd, err error) int {
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode()
	}
	return 1
}

// greet tells a worker what it is.
func (x *slot) greet() error {
	o := &x.s.opts
	share := Share{Index: x.index, Count: o.Workers, ServerID: o.ServerID, Dir: x.s.dir}
	var fds []int
	// The descriptors stay valid until the message is sent.
	var with func(rest []net.Listener) error
	with = func(rest []net.Listener) error {
		if len(rest) == 0 {
			return x.link.send(letter{Share: &share}, fds...)
		}
		return withFD(rest[0], func(fd int) error {
			fds = append(fds, fd)
			return with(rest[1:])
		})
	}
	return with(x.listeners())
}

// listeners are the sockets that the slot's worker serves.
func (x *slot) listeners() []net.Listener {
	if len(x.s.opts.Public) == 1 {
		return x.s.opts.Public[0]
	}
	return x.s.opts.Public[x.index-1]
}

// hear reads what a worker tells until it has ended.
func (x *slot) hear(l link) {
	for {
		m, files, err := l.receive()
		if err != nil {
			return
		}
		closeFiles(files)
		if m.State == nil {
			continue
		}
		x.mu.Lock()
		first := !x.ready
		x.ready, x.state = true, *m.State
		for _, sig := range x.untold {
			_ = x.cmd.Process.Signal(sig)
		}
		x.untold = nil
		if m.State.HungLoops == 0 {
			x.heard = time.Now()
		}
		if time.Since(x.begun) >= wellAfter {
			x.short = 0
		}
		x.mu.Unlock()
		switch {
		case m.State.Draining && !x.s.isStopping():
			x.cover() // others serve who comes from now on; the next life uncovers
		case first:
			x.uncover()
		}
		if first {
			x.once.Do(func() { close(x.first) })
		}
	}
}

// watch tells the workers the totals, kills those that hang, and when the time of a
// drain is over all, until quit is closed.
func (s *Supervisor) watch(quit <-chan struct{}) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	stopping := s.stopping
	var late <-chan time.Time
	for {
		select {
		case <-quit:
			return
		case <-stopping:
			stopping = nil
			late = time.After(s.opts.DrainTimeout + killReserve)
		case <-late:
			s.opts.Logger.Error("workers do not end: they are killed")
			s.Signal(os.Kill)
			late = time.After(time.Second)
		case <-tick.C:
			totals := s.Totals()
			for _, x := range s.slots {
				x.look(&totals)
			}
		}
	}
}

// look tells a worker the totals, and kills it when it hangs.
func (x *slot) look(t *Totals) {
	x.mu.Lock()
	cmd, l, quiet, ready, age := x.cmd, x.link, time.Since(x.heard), x.ready, time.Since(x.begun)
	x.mu.Unlock()
	switch {
	case cmd == nil:
	case ready && quiet > x.s.opts.HangAfter, !ready && age > startTimeout:
		x.s.opts.Logger.Error("a worker hangs: it is killed", "worker", ID(x.s.opts.ServerID, x.index), "silent", quiet.Round(time.Second).String())
		_ = cmd.Process.Signal(dump) // it tells where its goroutines are
		if quiet > x.s.opts.HangAfter+hangReserve || age > startTimeout+hangReserve && !ready {
			_ = cmd.Process.Kill()
		}
	case ready:
		// One that does not read is quiet, too.
		_ = l.send(letter{Totals: t})
	}
}

// Totals are the sums over all workers.
func (s *Supervisor) Totals() Totals {
	t := Totals{Workers: len(s.slots)}
	for _, x := range s.slots {
		x.mu.Lock()
		if x.ready {
			t.Up++
			t.Connections += x.state.Connections
			t.Limit += x.state.Limit
			t.Accepting = t.Accepting || x.state.Accepting
		}
		x.mu.Unlock()
	}
	return t
}

// Info describes one worker.
type Info struct {
	Index    int    `json:"worker"`
	ID       string `json:"server_id"`
	PID      int    `json:"pid,omitempty"`
	Up       bool   `json:"up"`
	Restarts uint64 `json:"restarts"`
	Crashing bool   `json:"crashing,omitempty"` // again and again
	State
}

// List is the answer to GET /v1/workers.
type List struct {
	Server  string `json:"server"`
	Workers []Info `json:"workers"`
}

// Infos describe the workers.
func (s *Supervisor) Infos() []Info {
	var all []Info
	for _, x := range s.slots {
		x.mu.Lock()
		i := Info{Index: x.index, ID: ID(s.opts.ServerID, x.index), Up: x.ready, Restarts: x.restarts,
			Crashing: x.short >= loopAfter, State: x.state}
		if x.cmd != nil {
			i.PID = x.cmd.Process.Pid
		}
		x.mu.Unlock()
		all = append(all, i)
	}
	return all
}

// AdminSocket is where the admin listener of a worker is.
func (s *Supervisor) AdminSocket(index int) string { return adminSocket(s.dir, index) }

// Handovers are the connections that the parent has passed to workers.
func (s *Supervisor) Handovers(r Result) uint64 { return s.results[r].Load() }

// cover accepts for the slot until it has a worker that serves and does not drain:
// connections that wait at its sockets go to the others.
func (x *slot) cover() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.covered != nil || len(x.s.opts.Public) == 1 { // there the others accept at the same sockets
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, l := range x.listeners() {
		wg.Go(func() { x.s.acceptFor(ctx, x, l) })
	}
	x.covered = func() {
		cancel()
		wg.Wait()
	}
}

// uncover ends that.
func (x *slot) uncover() {
	x.mu.Lock()
	end := x.covered
	x.covered = nil
	x.mu.Unlock()
	if end != nil {
		end()
	}
}

// deadliner is a listener whose Accept can be ended.
type deadliner interface {
	net.Listener
	SetDeadline(time.Time) error
}

// acceptFor accepts at the socket of a slot without a worker until ctx ends.
func (s *Supervisor) acceptFor(ctx context.Context, x *slot, listener net.Listener) {
	l, ok := listener.(deadliner)
	if !ok {
		return
	}
	ended := make(chan struct{})
	end := context.AfterFunc(ctx, func() {
		_ = l.SetDeadline(time.Unix(1, 0))
		close(ended)
	})
	defer func() {
		if !end() {
			<-ended
		}
		_ = l.SetDeadline(time.Time{})
	}()
	look := time.NewTicker(acceptPause)
	defer look.Stop()
	for failures := 0; ctx.Err() == nil; {
		if s.othersServe(x) {
			nc, err := l.Accept()
			if err == nil {
				failures = 0
				s.give(nc, x, len(s.slots))
				continue
			}
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// No descriptors left, as a rule.
			if failures++; failures == 1 && ctx.Err() == nil {
				s.opts.Logger.Warn("connections for a worker that is gone can't be accepted now", "err", err)
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
		}
	}
}

// othersServe reports whether another worker serves who comes.
func (s *Supervisor) othersServe(not *slot) bool {
	return slices.ContainsFunc(s.slots, func(x *slot) bool { return x != not && x.serves() })
}

// serves reports whether the slot's worker serves who comes.
func (x *slot) serves() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.ready && !x.state.Draining
}

// give passes a connection to a worker that serves, trying so many.
func (s *Supervisor) give(nc net.Conn, not *slot, attempts int) {
	for range s.slots {
		i := int(s.next.Add(1)) % len(s.slots)
		x := s.slots[i]
		if x == not || !x.serves() || !s.passers[i].usable() {
			continue
		}
		s.passers[i].pass(passed{nc, nil, func(nc net.Conn, _ []byte) {
			if attempts > 1 {
				s.give(nc, not, attempts-1)
				return
			}
			turnAway(nc)
		}})
		return
	}
	go turnAway(nc)
}
