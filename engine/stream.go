package engine

import (
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fe4bcecb/wsd/codec/proxyproto"
)

const (
	// streamBuffer is what a goroutine transport buffers for a slow reader
	// before it refuses more, as a socket's send buffer does.
	streamBuffer = 64 << 10
	// streamRead is the size of its read buffer, once a read has filled the first
	// one: idle connections keep that.
	streamRead      = 16 << 10
	streamFirstRead = 1 << 10
	// streamFinish bounds how long its last bytes may take.
	streamFinish = 5 * time.Second
)

// stream is the goroutine transport: it makes any net.Conn (TLS, a pipe, a
// socket on a system without event loops) behave as a non-blocking socket of a
// loop. One goroutine reads and hands each chunk to the loop, another writes.
// Callbacks still run on the loop. It costs two goroutines and their buffers.
type stream struct {
	nc       net.Conn
	conn     *Conn
	loop     atomic.Pointer[Loop]
	unheaded bool // see secure

	mu       sync.Mutex
	changed  sync.Cond // out or finished
	out      []byte
	spare    []byte
	armed    bool
	failed   bool
	half     bool // no more output: half-close when out is written
	finished bool // likewise, but close
	released bool // net/http has the connection
}

// ServeConn serves a connection on a goroutine transport. It returns at once;
// the App closes nc, also when it returns an error: a mistake of registration,
// or ErrShutdown.
func (a *App) ServeConn(nc net.Conn) error {
	if err := a.start(); err != nil {
		_ = nc.Close()
		return err
	}
	a.serveStream(nc, nil, a.newcomer, proxyproto.Header{})
	return nil
}

// serveStream serves nc, of which first was read already; told is what a PROXY header
// said.
func (a *App) serveStream(nc net.Conn, first []byte, f flags, told proxyproto.Header) {
	s := &stream{nc: nc}
	if _, encrypted := nc.(*tls.Conn); encrypted && f&unheaded != 0 {
		s.unheaded = true // its header comes before TLS, and so before what the loop gets
		f &^= unheaded
	}
	s.changed.L = &s.mu
	s.conn = &Conn{fd: -1, flags: notOpen | onStream | f, ext: &extension{stream: s}}
	s.conn.setTold(told)
	l := a.lightestLoop()
	s.loop.Store(l)
	if !l.post(func() {
		if f&reinjected == 0 {
			l.stats.Accepted++
		}
		s.conn.since = l.micros()
		l.add(s.conn)
		l.due[s.conn.idx] = l.after(a.handshakeTicks)
		a.addGuest(1)
		go s.readAll(first)
		go s.writeAll()
		l.refuseWhenDraining(s.conn)
	}) {
		_ = nc.Close()
	}
}

// readAll hands the input to the loop, chunk by chunk: the next is read when
// the loop has handled the last, so a busy loop slows its clients down.
func (s *stream) readAll(first []byte) {
	if len(first) > 0 && !s.hand(first) {
		return
	}
	if !s.secure() {
		s.hand(nil)
		return
	}
	buf := make([]byte, streamFirstRead)
	for {
		n, err := s.nc.Read(buf)
		if n > 0 && !s.hand(buf[:n]) {
			return
		}
		if n == streamFirstRead && len(buf) == n {
			buf = make([]byte, streamRead)
		}
		if err != nil {
			s.hand(nil) // the end
			return
		}
	}
}

// handed is what became of a chunk that the loop was given.
type handed int

const (
	handedOn    handed = iota // handled
	handedBack                // the connection is moving: give it to its new loop
	handedToWeb               // handled, and net/http reads on
	handedOver                // nobody is left to read for
)

// hand has the loop receive data and waits until it did. It returns false when
// nothing more is to be read here.
func (s *stream) hand(data []byte) bool {
	for {
		l := s.loop.Load()
		result := make(chan handed, 1)
		if !l.post(func() { result <- s.receiveOn(l, data) }) {
			return false
		}
		select {
		case r := <-result:
			if r != handedBack {
				return r == handedOn
			}
		case <-l.done:
			return false
		}
	}
}

// receiveOn gives data, or the end when it is nil, to the connection if it
// still belongs to l.
func (s *stream) receiveOn(l *Loop, data []byte) handed {
	c := s.conn
	if s.loop.Load() != l || c.state == stateLeaving {
		return handedBack
	}
	switch {
	case c.state == stateClosed:
	case data == nil:
		c.broken()
	default:
		c.receive(data)
	}
	switch {
	case c.state == stateClosed:
		return handedOver
	case c.state == stateLeaving && c.ext.departure.loop == nil:
		return handedToWeb
	}
	return handedOn
}

// write takes as much of b as the buffer has room for, or -1.
func (s *stream) write(b []byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed || s.finished {
		return -1
	}
	n := min(len(b), streamBuffer-len(s.out))
	if n > 0 {
		s.out = append(s.out, b[:n]...)
		s.changed.Signal()
	}
	return n
}

// arm asks for onWritable when the buffer has room.
func (s *stream) arm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = true
	s.changed.Signal()
}

// halfClose tells the peer, behind what was written, that nothing more comes.
func (s *stream) halfClose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.half = true
	s.changed.Signal()
}

// finish closes the connection when what was written is out.
func (s *stream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.finished {
		s.finished = true
		_ = s.nc.SetDeadline(time.Now().Add(streamFinish))
		s.changed.Signal()
	}
}

// release ends the transport and leaves the connection open.
func (s *stream) release() net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.released = true
	s.changed.Signal()
	return s.nc
}

// writeAll writes what is buffered, and closes in the end.
func (s *stream) writeAll() {
	defer s.loop.Load().app.addGuest(-1)
	for {
		b, next := s.next()
		if len(b) > 0 {
			if _, err := s.nc.Write(b); err != nil {
				s.fail()
				_ = s.nc.Close()
				return
			}
		}
		switch next {
		case streamTell:
			s.loop.Load().post(s.conn.onWritable)
		case streamHalfClose:
			s.closeWrite()
		case streamClose:
			_ = s.nc.Close()
			return
		case streamRelease:
			return
		}
	}
}

// streamStep is what the writer does when it has written.
type streamStep int

const (
	streamGoOn      streamStep = iota
	streamTell                 // the loop waits for room
	streamHalfClose            // nothing more comes
	streamClose                // likewise, and nobody listens
	streamRelease              // net/http goes on
)

// next waits for output and what to do behind it.
func (s *stream) next() (b []byte, step streamStep) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.released:
			return nil, streamRelease
		case s.armed:
			step = streamTell
			fallthrough
		case len(s.out) > 0:
			b = s.out
			s.out, s.spare, s.armed = s.spare[:0], b, false
			return b, step
		case s.finished:
			return nil, streamClose
		case s.half:
			s.half = false
			return nil, streamHalfClose
		}
		s.changed.Wait()
	}
}

// closeWrite half-closes where the transport can, and closes elsewhere.
func (s *stream) closeWrite() {
	if hc, ok := s.nc.(interface{ CloseWrite() error }); ok && hc.CloseWrite() == nil {
		return
	}
	_ = s.nc.Close()
}

// abort closes the connection at once, whatever is being written.
func (s *stream) abort() {
	s.finish()
	_ = s.nc.SetDeadline(time.Now())
}

func (s *stream) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = true
}

func (s *stream) addrs() (local, peer netip.AddrPort) {
	return netAddr(s.nc.LocalAddr()), netAddr(s.nc.RemoteAddr())
}

func netAddr(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// prefixed is a net.Conn of which some bytes were read already, a PROXY header perhaps.
type prefixed struct {
	net.Conn
	first  []byte
	told   proxyproto.Header
	headed bool // Detach has to pass that on
}

// RemoteAddr is what requests have as their address.
func (p *prefixed) RemoteAddr() net.Addr {
	if p.told.Source.IsValid() {
		return net.TCPAddrFromAddrPort(p.told.Source)
	}
	return p.Conn.RemoteAddr()
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		if len(p.first) == 0 {
			p.first = nil
		}
		return n, nil
	}
	return p.Conn.Read(b)
}

// Unwrap is the connection underneath.
func (p *prefixed) Unwrap() net.Conn { return p.Conn }
