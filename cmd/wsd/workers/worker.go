package workers

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"
)

// Marker is the environment variable that a worker is started with: the number of
// the descriptor of its link. It is believed only when that is a link to the process's
// parent.
const Marker = "_WSD_WORKER"

const (
	// linkFD is what Marker says: the first of exec.Cmd.ExtraFiles.
	linkFD = 3
	// reportEvery is how often a worker tells its state.
	reportEvery = 500 * time.Millisecond
	// maxWorkers bounds what a parent may have.
	maxWorkers = 256
)

// Worker is the end of a link at which a worker sits.
type Worker struct {
	Share
	Public []net.Listener
	Admin  net.Listener // on a Unix socket that only the parent's user reaches

	link     link
	totals   atomic.Pointer[Totals]
	passers  map[string]*passer // by what the session ids of the others begin with
	taker    *taker
	results  [numResults]atomic.Uint64
	taken    atomic.Uint64
	reported chan struct{} // closed when the reports have ended
}

// Inherit is what this process is to its parent: nil for a process that is no worker.
// The error says that it was meant to be one and can't. It takes Marker out of the
// environment.
func Inherit() (*Worker, error) {
	mark := os.Getenv(Marker)
	_ = os.Unsetenv(Marker)
	if mark == "" {
		return nil, nil
	}
	if mark != strconv.Itoa(linkFD) {
		return nil, errNotChild
	}
	l, err := adopted(linkFD)
	if err != nil {
		return nil, fmt.Errorf("%s is set: %w", Marker, err)
	}
	w := &Worker{link: l}
	if err := w.begin(); err != nil {
		w.Close()
		return nil, fmt.Errorf("workers: %w", err)
	}
	return w, nil
}

// begin takes what the parent sends first.
func (w *Worker) begin() error {
	_ = w.link.conn.SetReadDeadline(time.Now().Add(10 * linkTimeout))
	m, files, err := w.link.receive()
	if err != nil {
		return err
	}
	defer closeFiles(files)
	_ = w.link.conn.SetReadDeadline(time.Time{})
	if m.Share == nil || m.Share.Index < 1 || m.Share.Index > m.Share.Count || m.Share.Count > maxWorkers || len(files) == 0 {
		return fmt.Errorf("a first message that says nothing")
	}
	w.Share = *m.Share
	for _, f := range files {
		l, err := net.FileListener(f)
		if err != nil {
			return err
		}
		if u, ok := l.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false) // the parent's
		}
		w.Public = append(w.Public, l)
	}
	path := adminSocket(w.Dir, w.Index)
	_ = os.Remove(path) // a worker's that died
	w.Admin, err = net.Listen("unix", path)
	return err
}

// adminSocket is where a worker's admin listener is.
func adminSocket(dir string, index int) string {
	return filepath.Join(dir, strconv.Itoa(index)+".admin")
}

// Join makes the worker one of several: others pass connections to it, which adopt
// takes, and it passes them to others. prefix tells what the session ids of a server
// begin with. Call before the server listens.
func (w *Worker) Join(prefix func(serverID string) string, adopt func(net.Conn, []byte) error, log *slog.Logger) error {
	w.passers = map[string]*passer{}
	for i := 1; i <= w.Count; i++ {
		if i != w.Index {
			w.passers[prefix(ID(w.ServerID, i))] = newPasser(socketOf(w.Dir, i), &w.results)
		}
	}
	path := socketOf(w.Dir, w.Index)
	_ = os.Remove(path)
	var err error
	w.taker, err = newTaker(path, func(nc net.Conn, data []byte) bool {
		w.taken.Add(1)
		return adopt(nc, data) == nil
	}, log)
	if err != nil {
		return fmt.Errorf("workers: %w", err)
	}
	return nil
}

// Elsewhere finds the worker that has a session: see engineio.Options.Elsewhere. Its
// result does not block. back gets a connection that could not be passed on, from
// another goroutine; a second attempt within a second finds nobody.
func (w *Worker) Elsewhere(prefix string, back func(net.Conn, []byte)) func(net.Conn, []byte) {
	p := w.passers[prefix]
	if p == nil || !p.usable() {
		return nil
	}
	return func(nc net.Conn, data []byte) { p.pass(passed{nc, data, back}) }
}

// Handovers are the connections passed to other workers, by what became of them.
func (w *Worker) Handovers(r Result) uint64 { return w.results[r].Load() }

// Taken are the connections that other processes have passed to this worker.
func (w *Worker) Taken() uint64 { return w.taken.Load() }

// Totals are the sums over all workers, as the parent has told last; ok is false
// before it has.
func (w *Worker) Totals() (t Totals, ok bool) {
	if p := w.totals.Load(); p != nil {
		return *p, true
	}
	return Totals{}, false
}

// Report tells the parent now, and then again and again, what state returns: the
// first time says that the worker serves. gone is called when the parent has ended.
// It returns what ends that.
func (w *Worker) Report(state func() State, gone func()) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	w.reported = make(chan struct{})
	go w.listen(ctx, gone)
	go func() {
		defer close(w.reported)
		tick := time.NewTicker(reportEvery)
		defer tick.Stop()
		for {
			s := state()
			// A parent that is busy hears the next one; one that is gone, listen notices.
			_ = w.link.send(letter{State: &s})
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-w.reported
	}
}

// listen reads what the parent tells.
func (w *Worker) listen(ctx context.Context, gone func()) {
	for {
		m, files, err := w.link.receive()
		if err != nil {
			if ctx.Err() == nil {
				gone()
			}
			return
		}
		closeFiles(files)
		if m.Totals != nil {
			w.totals.Store(m.Totals)
		}
	}
}

// Close ends what Join began, and the link.
func (w *Worker) Close() {
	for _, p := range w.passers {
		p.close()
	}
	if w.taker != nil {
		w.taker.close()
	}
	for _, l := range w.Public {
		_ = l.Close()
	}
	if w.Admin != nil {
		_ = w.Admin.Close()
	}
	_ = w.link.conn.Close()
}
