package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fe4bcecb/wsd/codec/handshake"
	"github.com/fe4bcecb/wsd/codec/proxyproto"
)

const (
	// webBacklog is how many connections may wait for net/http to take them.
	webBacklog = 1024
	// webIdle is how long a kept-alive HTTP connection may be quiet.
	webIdle = 75 * time.Second
	// webBody is how long the body of a request may take, unless its handler says
	// something else.
	webBody = 10 * time.Second
)

// web is net/http's server for whatever is no WebSocket handshake. It listens
// on a channel into which loops put connections.
type web struct {
	server *http.Server
	conns  chan net.Conn
	closed chan struct{}

	// open counts the connections that net/http has or is about to get.
	open atomic.Int64

	mu   sync.Mutex
	over bool // closed; nothing is put into conns any more
}

// appKey and tlsKey are a request's App, and its connection's TLS state where
// net/http can't see it. A request with proxiedTLSKey came to a proxy by TLS, as its
// connection's PROXY header tells.
type (
	appKey        struct{}
	tlsKey        struct{}
	proxiedTLSKey struct{}
)

func newWeb(a *App) *web {
	w := &web{conns: make(chan net.Conn, webBacklog), closed: make(chan struct{})}
	w.server = &http.Server{
		Handler:           a,
		ReadHeaderTimeout: a.opts.HandshakeTimeout,
		IdleTimeout:       webIdle,
		MaxHeaderBytes:    a.opts.MaxHandshakeBytes,
		ErrorLog:          slog.NewLogLogger(a.opts.Logger.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if p, ok := c.(*prefixed); ok {
				if t, ok := p.Conn.(*tls.Conn); ok {
					state := t.ConnectionState()
					ctx = context.WithValue(ctx, tlsKey{}, &state)
				}
				if p.told.TLS {
					ctx = context.WithValue(ctx, proxiedTLSKey{}, true)
				}
			}
			return context.WithValue(ctx, appKey{}, a)
		},
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				a.addGuest(1)
			case http.StateHijacked, http.StateClosed:
				a.addGuest(-1)
				w.open.Add(-1)
			}
		},
	}
	return w
}

// Accept, Close and Addr make the server's listener.
func (w *web) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *web) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return nil
	}
	w.over = true
	close(w.closed)
	for {
		select {
		case c := <-w.conns:
			_ = c.Close()
		default:
			return nil
		}
	}
}

func (w *web) Addr() net.Addr { return &net.TCPAddr{} }

// give hands a connection to the server. It returns false when too many wait.
func (w *web) give(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return false
	}
	select {
	case w.conns <- c:
		return true
	default:
		return false
	}
}

// admit counts a connection that is to go to net/http, if there is room.
func (w *web) admit(limit int) bool {
	if w.open.Add(1) > int64(limit) {
		w.open.Add(-1)
		return false
	}
	return true
}

// serveHTTP gives a connection that has left its loop to net/http. It reports
// whether net/http has it; otherwise it is closed.
func (a *App) serveHTTP(c *Conn, data []byte) bool {
	nc, err := c.takeNetConn()
	p := &prefixed{Conn: nc, first: data, told: c.told(), headed: a.opts.ProxyHeader != nil}
	if err == nil && c.flags&onStream == 0 && a.connTakesKept(nc) {
		// The socket has a new number, and its old one goes to the next client.
		a.refuseConn(p)
		a.web.open.Add(-1)
		return false
	}
	if err == nil && a.web.give(p) {
		return true
	}
	if err == nil {
		_ = nc.Close()
	}
	a.web.open.Add(-1)
	return false
}

// takeNetConn turns the transport of a connection that has left its loop into a
// net.Conn, or closes it.
func (c *Conn) takeNetConn() (net.Conn, error) {
	if c.flags&onStream != 0 {
		return c.ext.stream.release(), nil
	}
	fd := int(c.fd)
	c.fd = -1
	return netConn(fd)
}

// ServeHTTP serves what is no WebSocket handshake, with the handlers that
// Handle registered, and completes handshakes that come this way. An App may be
// the handler of any http.Server.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == "PRI" { // RFC 9113 3.4: the preface of HTTP/2
		http.Error(w, "HTTP/1.1 only", http.StatusHTTPVersionNotSupported)
		return
	}
	if err := a.start(); err != nil { // under a server that is not the App's own
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return
	}
	if r.ContentLength != 0 && r.Context().Value(http.ServerContextKey) == any(a.web.server) {
		// The server takes it back behind the request. One that fails has nothing to read.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(webBody))
	}
	e := a.routes.match(r.URL.EscapedPath())
	if e != nil && !e.route.Manual && isUpgrade(r) {
		if err := a.Upgrade(w, r); err != nil {
			http.Error(w, http.StatusText(http.StatusBadRequest), http.StatusBadRequest)
		}
		return
	}
	if r.Context().Value(appKey{}) != any(a) {
		r = r.WithContext(context.WithValue(r.Context(), appKey{}, a))
	}
	if state, ok := r.Context().Value(tlsKey{}).(*tls.ConnectionState); ok && r.TLS == nil {
		r.TLS = state
	}
	if _, pattern := a.mux.Handler(r); pattern != "" {
		a.mux.ServeHTTP(w, r)
		return
	}
	if e != nil && !e.route.Manual {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Sec-WebSocket-Version", "13")
		http.Error(w, "this path is a WebSocket", http.StatusUpgradeRequired)
		return
	}
	a.mux.ServeHTTP(w, r) // 404, or 405 with what is allowed
}

func isUpgrade(r *http.Request) bool {
	for _, v := range r.Header.Values("Upgrade") {
		for item, rest := handshake.NextItem([]byte(v)); len(item) > 0; item, rest = handshake.NextItem(rest) {
			if bytes.EqualFold(item, []byte("websocket")) {
				return true
			}
		}
	}
	return false
}

// Upgrade takes a WebSocket handshake from an http.Handler back onto a loop of
// the App that serves the request, where the route of its path answers it. See
// App.Upgrade.
func Upgrade(w http.ResponseWriter, r *http.Request) error {
	a, ok := r.Context().Value(appKey{}).(*App)
	if !ok {
		return ErrNoApp
	}
	return a.Upgrade(w, r)
}

// Upgrade takes a WebSocket handshake from a handler of any http.Server onto a
// loop, where the route of the request's path answers it, errors included. A
// route meant only for this has Behavior.Manual. When it returns an error
// (ErrNotUpgrade, ErrNoRoute, or why the connection can't be had) nothing was
// written, and the handler still has to answer.
func (a *App) Upgrade(w http.ResponseWriter, r *http.Request) error {
	if !isUpgrade(r) {
		return ErrNotUpgrade
	}
	if a.routes.match(r.URL.EscapedPath()) == nil {
		return ErrNoRoute
	}
	if err := a.start(); err != nil {
		return err
	}
	nc, p, data, err := detach(w, r)
	if err != nil {
		return err
	}
	told := proxyproto.Header{}
	if p != nil {
		told = p.told
	}
	a.inject(nc, data, reinjected, told)
	return nil
}

// TLS reports whether the client of a request speaks TLS: with this server or, as the
// connection's PROXY header tells, with the proxy. http.Request.TLS knows of this server
// only.
func TLS(r *http.Request) bool {
	return r.TLS != nil || r.Context().Value(proxiedTLSKey{}) != nil
}

// requestHead writes a parsed request's head again, for the loop to answer.
func requestHead(r *http.Request) []byte {
	var b bytes.Buffer
	b.WriteString(r.Method + " " + r.URL.RequestURI() + " " + r.Proto + "\r\nHost: " + r.Host + "\r\n")
	// Errors can't come from a buffer.
	_ = r.Header.Write(&b)
	if len(r.TransferEncoding) > 0 {
		b.WriteString("Transfer-Encoding: chunked\r\n")
	} else if r.ContentLength > 0 && r.Header.Get("Content-Length") == "" {
		b.WriteString("Content-Length: " + strconv.FormatInt(r.ContentLength, 10) + "\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// inject gives a connection to a loop, with the bytes read so far, and what its PROXY
// header told.
func (a *App) inject(nc net.Conn, data []byte, f flags, told proxyproto.Header) {
	fd, err := descriptor(nc)
	if err != nil {
		a.serveStream(nc, data, f, told)
		return
	}
	_ = nc.Close()
	if a.takesKept(fd) {
		a.refuseSocket(fd)
		return
	}
	l := a.lightestLoop()
	if !l.post(func() {
		c := &Conn{fd: int32(fd), flags: notOpen | f, since: l.micros()}
		c.setTold(told)
		if err := l.attach(c); err != nil {
			closeSocket(fd)
			return
		}
		l.due[c.idx] = l.after(a.handshakeTicks)
		if !l.refuseWhenDraining(c) && len(data) > 0 {
			c.receive(data)
		}
	}) {
		closeSocket(fd)
	}
}

// serve runs the server until it is shut down.
func (w *web) serve(log *slog.Logger) {
	if err := w.server.Serve(w); err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Error("HTTP server ended", "err", err)
	}
}
