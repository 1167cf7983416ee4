package workers

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// passQueue bounds the connections that wait to be passed to one worker.
	passQueue = 512
	// passTimeout bounds how long a worker may take to take one.
	passTimeout = 2 * time.Second
	// passPause is how long a worker that took none is not asked again.
	passPause = time.Second
	// acceptPause is how long nothing is accepted behind an error.
	acceptPause = 100 * time.Millisecond
)

// Result is what became of a connection that was to be passed on.
type Result int

// The results.
const (
	Passed  Result = iota // the other worker has it
	Refused               // it would not take it
	Lost                  // there is no such worker now
	Late                  // it did not answer in time: the connection was closed
	Busy                  // too many wait already: the client got status 503
	numResults
)

func (r Result) String() string {
	return [...]string{"ok", "refused", "lost", "timeout", "busy"}[r]
}

// Results are all of them.
var Results = []Result{Passed, Refused, Lost, Late, Busy}

// passport is in front of the bytes that were read of a connection: a message has to
// have one at least.
const passport = '>'

// socketOf is where a worker takes connections.
func socketOf(dir string, index int) string {
	return filepath.Join(dir, strconv.Itoa(index)+".pass")
}

// passed is a connection on its way.
type passed struct {
	nc   net.Conn
	data []byte
	back func(net.Conn, []byte) // gets it when it could not be passed
}

// passer passes connections on to one worker, one after the other.
type passer struct {
	path    string
	queue   chan passed
	down    atomic.Int64 // until when it is not to be asked, Unix nanoseconds
	results *[numResults]atomic.Uint64
	stop    chan struct{}
	done    chan struct{}

	conn *net.UnixConn // of run; nil: none
}

func newPasser(path string, results *[numResults]atomic.Uint64) *passer {
	p := &passer{path: path, queue: make(chan passed, passQueue), results: results,
		stop: make(chan struct{}), done: make(chan struct{})}
	go p.run()
	return p
}

// usable reports whether the worker is worth asking.
func (p *passer) usable() bool { return time.Now().UnixNano() >= p.down.Load() }

// pass does not block. back is called on another goroutine.
func (p *passer) pass(x passed) {
	select {
	case p.queue <- x:
	default:
		p.results[Busy].Add(1)
		go turnAway(x.nc)
	}
}

// turnAway has a client come back later.
func turnAway(nc net.Conn) {
	_ = nc.SetDeadline(time.Now().Add(linkTimeout))
	// It may be gone.
	_, _ = io.WriteString(nc, "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	_ = nc.Close()
}

// close ends it. What waits is closed.
func (p *passer) close() {
	close(p.stop)
	<-p.done
}

func (p *passer) run() {
	defer close(p.done)
	defer p.hangUp()
	for {
		select {
		case <-p.stop:
			for {
				select {
				case x := <-p.queue:
					_ = x.nc.Close()
				default:
					return
				}
			}
		case x := <-p.queue:
			p.handle(x)
		}
	}
}

func (p *passer) handle(x passed) {
	if !passable(x) {
		// Nobody would take it, and here its session is not.
		p.results[Refused].Add(1)
		go turnAway(x.nc)
		return
	}
	r := p.try(x)
	p.results[r].Add(1)
	switch r {
	case Passed:
		// The worker has a descriptor of its own.
	case Late:
		// Both might answer: neither does.
		p.pause()
		_ = x.nc.Close()
	default:
		p.pause()
		x.back(x.nc, x.data)
	}
}

func (p *passer) pause() { p.down.Store(time.Now().Add(passPause).UnixNano()) }

// try passes one connection on. What is passed is closed here.
func (p *passer) try(x passed) Result {
	r := Lost
	if err := withFD(x.nc, func(fd int) error { r = p.deliver(x.data, fd); return nil }); err != nil {
		return Lost // the client is gone
	}
	if r == Passed {
		_ = x.nc.Close()
	}
	return r
}

// passable reports whether a connection is its descriptor and what was read of it, and
// that goes into a message.
func passable(x passed) bool {
	switch x.nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return len(x.data) < maxLetter
	}
	return false
}

// deliver sends a descriptor and waits for the answer. A connection to a worker that
// has died in the meantime is made anew, once.
func (p *passer) deliver(data []byte, fd int) Result {
	letter := append([]byte{passport}, data...)
	for fresh := false; ; fresh = true {
		if p.conn == nil {
			nc, err := net.DialTimeout("unixpacket", p.path, passTimeout)
			if err != nil {
				return Lost
			}
			p.conn = nc.(*net.UnixConn)
			_ = p.conn.SetWriteBuffer(4 * maxLetter)
			fresh = true
		}
		_ = p.conn.SetDeadline(time.Now().Add(passTimeout))
		if err := sendLetter(p.conn, letter, []int{fd}); err != nil {
			p.hangUp()
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded):
				return Lost // it did not get it
			case fresh:
				return Lost
			}
			continue
		}
		var answer [1]byte
		n, err := p.conn.Read(answer[:])
		switch {
		case err == nil && n == 1 && answer[0] == taken:
			return Passed
		case err == nil && n == 1:
			return Refused
		case errors.Is(err, os.ErrDeadlineExceeded):
			p.hangUp()
			return Late
		}
		p.hangUp()
		if fresh {
			return Lost
		}
	}
}

func (p *passer) hangUp() {
	if p.conn != nil {
		_ = p.conn.Close()
		p.conn = nil
	}
}

// The answers to a connection.
const (
	taken    = '+'
	notTaken = '-'
)

// taker takes connections that other processes pass on.
type taker struct {
	listener *net.UnixListener
	take     func(nc net.Conn, data []byte) bool
	log      *slog.Logger

	stop chan struct{}

	mu    sync.Mutex
	conns map[*net.UnixConn]bool // nil: closed
	wg    sync.WaitGroup
}

// newTaker listens on path. take adopts a connection, or returns false.
func newTaker(path string, take func(net.Conn, []byte) bool, log *slog.Logger) (*taker, error) {
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	t := &taker{listener: l, take: take, log: log, stop: make(chan struct{}), conns: map[*net.UnixConn]bool{}}
	t.wg.Add(1)
	go t.accept()
	return t, nil
}

func (t *taker) accept() {
	defer t.wg.Done()
	for failures := 0; ; {
		conn, err := t.listener.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // no descriptors left, as a rule
			if failures++; failures == 1 {
				t.log.Error("connections of other workers can't be taken now", "err", err)
			}
			select {
			case <-time.After(acceptPause):
				continue
			case <-t.stop:
				return
			}
		}
		failures = 0
		t.mu.Lock()
		if t.conns == nil {
			t.mu.Unlock()
			_ = conn.Close()
			return
		}
		t.conns[conn] = true
		t.wg.Add(1)
		t.mu.Unlock()
		go t.serve(conn)
	}
}

// serve takes what one process passes on.
func (t *taker) serve(conn *net.UnixConn) {
	defer t.wg.Done()
	defer func() {
		t.mu.Lock()
		delete(t.conns, conn)
		t.mu.Unlock()
		_ = conn.Close()
	}()
	_ = conn.SetReadBuffer(4 * maxLetter)
	buf := make([]byte, maxLetter)
	for {
		n, files, err := receiveLetter(conn, buf)
		if errors.Is(err, errTruncated) {
			if _, err := conn.Write([]byte{notTaken}); err == nil {
				continue
			}
		}
		if err != nil {
			return
		}
		nc, data, err := open(buf[:n], files)
		answer := byte(taken)
		if err != nil {
			answer = notTaken
			t.log.Warn("a connection of another worker could not be taken", "err", err)
		}
		if _, err := conn.Write([]byte{answer}); err != nil {
			if nc != nil {
				_ = nc.Close() // the other end does not know that it was taken
			}
			return
		}
		if nc != nil {
			t.take(nc, data)
		}
	}
}

// open makes a connection of a message. It closes the files.
func open(b []byte, files []*os.File) (net.Conn, []byte, error) {
	defer closeFiles(files)
	if len(files) != 1 || len(b) == 0 || b[0] != passport {
		return nil, nil, errors.New("want one descriptor, and what was read of it")
	}
	nc, err := net.FileConn(files[0])
	if err != nil {
		return nil, nil, err
	}
	return nc, append([]byte(nil), b[1:]...), nil
}

// close ends it, and waits for what is being taken.
func (t *taker) close() {
	close(t.stop)
	_ = t.listener.Close()
	t.mu.Lock()
	for conn := range t.conns {
		_ = conn.Close()
	}
	t.conns = nil
	t.mu.Unlock()
	t.wg.Wait()
}
