package bench

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/fe4bcecb/wsd/codec/frame"
)

// farewell is the payload of the last ping on each connection: when its pong
// is back, everything the server had sent before has been seen.
const farewell = "that was all"

// receiver is a connection with the goroutine that reads it. The mode fills in
// the functions.
type receiver struct {
	*conn
	index int

	// Of the batch at hand, which is what one read brought:
	now     int64   // when it came, in nanoseconds since the run began
	batch   []int64 // latencies, while measuring
	settled int64   // messages that are no longer pending

	message func(r *receiver, payload []byte) // takes one data message
	flush   func(r *receiver) error           // ends a batch; may be nil

	faults Faults // of this connection; merged when its goroutine has ended
}

// run is one measurement under way.
type run struct {
	cfg     Config
	began   time.Time
	readers sync.WaitGroup
	stats   *stats

	measuring atomic.Bool   // messages count
	stopping  atomic.Bool   // nothing new is sent
	pending   atomic.Int64  // deliveries that are due
	changed   chan struct{} // a token says that pending, or another count, has news

	mu        sync.Mutex
	receivers []*receiver // guarded by mu while the run can be aborted
	aborted   bool        // guarded by mu
	faults    Faults      // guarded by mu
	clean     bool        // drained without an error
}

func newRun(cfg Config) *run {
	return &run{cfg: cfg, began: time.Now(), stats: newStats(), changed: make(chan struct{}, 1)}
}

// since is the time since the run began in nanoseconds.
func (r *run) since() int64 { return int64(time.Since(r.began)) }

// notify wakes whoever waits for a count.
func (r *run) notify() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// await waits until cond is true. It returns false when limit has passed
// without, and an error when ctx ends.
func (r *run) await(ctx context.Context, limit time.Duration, cond func() bool) (bool, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for !cond() {
		select {
		case <-r.changed:
		case <-timer.C:
			return cond(), nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return true, nil
}

// start begins to read a connection.
func (r *run) start(rc *receiver) {
	r.mu.Lock()
	r.receivers = append(r.receivers, rc)
	if r.aborted {
		rc.nc.Close()
	}
	r.mu.Unlock()
	r.readers.Go(func() {
		if err := r.read(rc); err != nil {
			rc.faults.closed(err)
		}
		r.mu.Lock()
		r.faults.add(rc.faults)
		r.mu.Unlock()
		r.notify()
	})
}

// errFarewell ends a reader whose connection has nothing more to come.
var errFarewell = errors.New("farewell")

// read handles what comes until the farewell. Its error says how the
// connection ended otherwise.
func (r *run) read(rc *receiver) error {
	handle := func(op frame.OpCode, payload []byte) error {
		if rc.now == 0 {
			rc.now = r.since()
		}
		switch {
		case op == ws.OpPong:
			if string(payload) == farewell {
				return errFarewell
			}
		case op != rc.op:
			rc.faults.Corrupt++
		default:
			rc.message(rc, payload)
		}
		return nil
	}
	for {
		rc.now, rc.settled, rc.batch = 0, 0, rc.batch[:0]
		wire := rc.wire
		err := rc.receive(handle)
		if len(rc.batch) > 0 {
			r.stats.add(rc.index, rc.batch, rc.wire-wire)
		}
		if err == nil && rc.flush != nil {
			err = rc.flush(rc)
		}
		// After flush, which may have sent more: pending reaches 0 once only.
		if rc.settled > 0 && r.pending.Add(-rc.settled) <= 0 {
			r.notify()
		}
		if errors.Is(err, errFarewell) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// delivered settles one message that left at the given time.
func (r *run) delivered(rc *receiver, departed int64) {
	rc.settled++
	if r.measuring.Load() {
		rc.batch = append(rc.batch, rc.now-departed)
	}
}

// measure waits for the warm-up, then for the measured time, and returns what
// the window was like. It returns early when failed has something.
func (r *run) measure(ctx context.Context, failed <-chan error) (window, error) {
	var w window
	if err := pause(ctx, r.cfg.Warmup, failed); err != nil {
		return w, err
	}
	var err error
	if w.before, err = r.usage(); err != nil {
		return w, err
	}
	started := time.Now()
	r.measuring.Store(true)
	err = pause(ctx, r.cfg.Duration, failed)
	r.measuring.Store(false)
	w.elapsed = time.Since(started)
	if err != nil {
		return w, err
	}
	w.after, err = r.usage()
	return w, err
}

// window is the measured part of a run.
type window struct {
	elapsed       time.Duration
	before, after usage
}

func (r *run) usage() (usage, error) {
	if r.cfg.PID == 0 {
		return usage{}, nil
	}
	return readUsage(r.cfg.PID)
}

// pause waits for d, unless ctx ends or failed has something.
func pause(ctx context.Context, d time.Duration, failed <-chan error) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case err := <-failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A server that has sent nothing over so many ticks has nothing more to send.
// Ticks are counted, not time: when the machine stops this process for a
// while, that is one tick.
const (
	patienceTicks = 20
	patienceTick  = 50 * time.Millisecond
)

// settle waits until nothing is pending, or nothing more comes.
func (r *run) settle(ctx context.Context) error {
	tick := time.NewTicker(patienceTick)
	defer tick.Stop()
	last := r.pending.Load()
	for quiet := 0; quiet < patienceTicks && r.pending.Load() > 0; {
		select {
		case <-r.changed:
		case <-tick.C:
			now := r.pending.Load()
			quiet = pick(now == last, quiet+1, 0)
			last = now
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// drain waits for what is due after the last send, and then for the farewell
// of every connection, for that at most Timeout.
func (r *run) drain(ctx context.Context) error {
	r.stopping.Store(true)
	if err := r.settle(ctx); err != nil {
		return err
	}
	deadline := time.Now().Add(r.cfg.Timeout)
	for _, rc := range r.receivers {
		_ = rc.nc.SetReadDeadline(deadline)
		_ = rc.control(ws.OpPing, []byte(farewell)) // its reader reports a broken connection
	}
	r.readers.Wait()
	r.clean = ctx.Err() == nil
	return ctx.Err()
}

// abort closes every connection, so that nothing waits for the server.
func (r *run) abort() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.aborted = true
	for _, rc := range r.receivers {
		rc.nc.Close()
	}
}

// end closes what is left and waits for the readers. Faults that arise from
// it do not count.
func (r *run) end() Faults {
	r.mu.Lock()
	faults := r.faults
	r.mu.Unlock()
	if r.clean {
		normal := frame.AppendClose(nil, ws.StatusNormalClosure, "")
		for _, rc := range r.receivers {
			_ = rc.control(ws.OpClose, normal)
		}
	}
	r.abort()
	r.readers.Wait()
	return faults
}

// Run makes the connections, measures as cfg says, and closes them. It returns
// when nothing of it is left. The error wraps [ErrFaults] when the server lost
// or changed anything; the Result is then complete, with the counts in Faults.
func Run(ctx context.Context, cfg Config) (Result, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return Result{}, err
	}
	r := newRun(cfg)
	stop := context.AfterFunc(ctx, r.abort)
	defer stop()
	res := Result{Config: cfg}
	switch cfg.Mode {
	case Paced:
		err = r.paced(ctx, &res)
	case Fanout:
		err = r.fanout(ctx, &res)
	case Idle:
		err = r.idle(ctx, &res)
	default:
		err = r.echo(ctx, &res)
	}
	res.Faults = r.end()
	if ctx.Err() != nil {
		return res, ctx.Err() // whatever else went wrong came from it
	}
	if err != nil {
		return res, err
	}
	return res, res.Faults.err()
}

// connect dials n connections to rawURL.
func (r *run) connect(ctx context.Context, rawURL string, n int) ([]*conn, error) {
	to, err := parseTarget(rawURL)
	if err != nil {
		return nil, err
	}
	return dialAll(ctx, r.cfg, to, n)
}
