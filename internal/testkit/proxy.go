package testkit

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy stands between a client and a server of TCP, or of a Unix socket, and does
// what networks do: it is slow, goes silent in one direction or both, breaks. Its
// methods are safe from any goroutine.
type Proxy struct {
	Addr string // where it listens: host:port, or a path

	t        testing.TB
	listener net.Listener
	wg       sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{} // closed when what follows has changed
	up      lineState     // from client to server
	down    lineState     // from server to client
	target  string
	refuse  bool
	last    string // what is the last that a client gets through; "": nothing is
	closed  bool
	conns   map[net.Conn]struct{}
	waiting map[net.Conn][]byte // by client: what of it waits
}

// lineState is what happens to bytes in one direction.
type lineState struct {
	delay   time.Duration
	stalled bool
}

// StartProxy starts a proxy to target, host:port or a path, which ends with the test.
func StartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	return startProxy(t, "127.0.0.1:0", target)
}

// StartUnixProxy is StartProxy that listens on a socket.
func StartUnixProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	// A test's own directory may be longer than the path of a socket can be.
	dir, err := os.MkdirTemp("", "wsd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return startProxy(t, filepath.Join(dir, "proxy.sock"), target)
}

// network is that of an address: a path is a Unix socket's.
func network(addr string) string {
	if strings.HasPrefix(addr, "/") {
		return "unix"
	}
	return "tcp"
}

func startProxy(t testing.TB, addr, target string) *Proxy {
	t.Helper()
	l, err := net.Listen(network(addr), addr)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		Addr: l.Addr().String(), t: t, target: target, listener: l,
		changed: make(chan struct{}), conns: map[net.Conn]struct{}{}, waiting: map[net.Conn][]byte{},
	}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// set changes the state, and has those that wait look at it.
func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.changed)
	p.changed = make(chan struct{})
}

// Delay has each chunk of bytes wait, in either direction.
func (p *Proxy) Delay(up, down time.Duration) {
	p.set(func() { p.up.delay, p.down.delay = up, down })
}

// Stall stops the bytes from client to server, from server to client, or both;
// connections stay, and new ones are taken. Stall(false, false) lets all pass that
// has waited.
func (p *Proxy) Stall(up, down bool) {
	p.set(func() { p.up.stalled, p.down.stalled = up, down })
}

// Holds reports whether a text that a client has sent waits in a stall.
func (p *Proxy) Holds(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.waiting {
		if bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	return false
}

// Cut breaks all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, as from a host that was restarted
		}
		c.Close()
	}
}

// Refuse has new connections be closed at once, or not any more.
func (p *Proxy) Refuse(refuse bool) { p.set(func() { p.refuse = refuse }) }

// Target has new connections go to another server; those that stand, stay.
func (p *Proxy) Target(addr string) { p.set(func() { p.target = addr }) }

// LoseAnswer breaks the next connection whose client sends a text, once the server
// has that.
func (p *Proxy) LoseAnswer(to string) { p.set(func() { p.last = to }) }

// isLast reports whether bytes of a client are what LoseAnswer waits for.
func (p *Proxy) isLast(b []byte, line *lineState) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if line != &p.up || p.last == "" || !bytes.Contains(b, []byte(p.last)) {
		return false
	}
	p.last = ""
	return true
}

func (p *Proxy) close() {
	p.set(func() { p.closed = true })
	p.listener.Close()
	p.Cut()
	p.wg.Wait()
}

// add registers a connection, or closes it.
func (p *Proxy) add(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.refuse {
		c.Close()
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) remove(c net.Conn) {
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.add(client) {
			p.wg.Go(func() { p.serve(client) })
		}
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer p.remove(client)
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	server, err := net.DialTimeout(network(target), target, respTimeout)
	if err != nil || !p.add(server) {
		return
	}
	defer p.remove(server)
	var both sync.WaitGroup
	both.Go(func() { p.pump(server, client, &p.up) })
	both.Go(func() { p.pump(client, server, &p.down) })
	both.Wait()
}

// pump carries one direction until a side is closed.
func (p *Proxy) pump(to, from net.Conn, line *lineState) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if line == &p.up {
				p.note(from, b[:n])
			}
			passes := p.hold(line)
			p.note(from, nil)
			if !passes {
				return
			}
			last := p.isLast(b[:n], line)
			if last {
				from.Close() // before the answer can be there
			}
			if _, err := to.Write(b[:n]); err != nil || last {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// note has Holds look at what waits of a client.
func (p *Proxy) note(client net.Conn, b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b == nil {
		delete(p.waiting, client)
		return
	}
	p.waiting[client] = b
}

// hold waits for as long as the direction is slow or stalled; false: the proxy is
// closed.
func (p *Proxy) hold(line *lineState) bool {
	p.mu.Lock()
	delay := line.delay
	p.mu.Unlock()
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		<-timer.C
	}
	for {
		p.mu.Lock()
		stalled, closed, changed := line.stalled, p.closed, p.changed
		p.mu.Unlock()
		if closed || !stalled {
			return !closed
		}
		<-changed
	}
}
