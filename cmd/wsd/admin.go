package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fe4bcecb/wsd/cmd/wsd/api"
)

// Bounds of the admin listener's HTTP server.
const (
	adminHeaderTimeout = 5 * time.Second
	adminIdleTimeout   = 60 * time.Second
	adminMaxHeader     = 16 << 10
	adminBodyTimeout   = 10 * time.Second
	adminCloseTimeout  = time.Second
)

// admin is the listener for operators: metrics, profiles, the HTTP API, the
// dashboard. It stays up while the server drains.
type admin struct {
	mux        *http.ServeMux
	openRoutes func(*http.ServeMux) // registers what needs no token
	server     *http.Server
	addr       net.Addr
	host       string // of --admin-listen; "": a Unix socket
	done       chan struct{}
	// handler has the token in force in it.
	handler atomic.Pointer[http.Handler]
}

// ServeHTTP implements http.Handler.
func (a *admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		// One that fails has nothing to read.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(adminBodyTimeout))
	}
	(*a.handler.Load()).ServeHTTP(w, r)
}

// adminSocket is a listener with what guards it.
type adminSocket struct {
	net.Listener
	token []byte // empty: none
	host  string // of --admin-listen; "": a Unix socket
}

// listen opens --admin-listen, or takes the socket that the process was started
// with. It is nil when it is off.
func (f *adminFlags) listen(ctx context.Context, inherited net.Listener) (*adminSocket, error) {
	if f.AdminListen == "off" {
		if inherited != nil {
			_ = inherited.Close()
		}
		return nil, nil
	}
	token, err := f.token()
	if err != nil {
		return nil, err
	}
	address := f.AdminListen
	if inherited != nil {
		address = inherited.Addr().String()
		if inherited.Addr().Network() == "unix" {
			return &adminSocket{inherited, token, ""}, nil
		}
	}
	if err := checkAdminListen(ctx, address, token); err != nil {
		return nil, err
	}
	host := hostName(address)
	if host == "" {
		host = "::" // every interface
	}
	if inherited != nil {
		return &adminSocket{inherited, token, host}, nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, bindError("--admin-listen", address, err)
	}
	return &adminSocket{l, token, host}, nil
}

// openAdmin serves the admin listener, if there is to be one, until the run ends.
func (s *server) openAdmin(ctx context.Context) error {
	if s.daemonFlags == nil {
		return nil
	}
	l, err := s.adminFlags.listen(ctx, s.host.admin)
	if err != nil || l == nil {
		return err
	}
	mux := http.NewServeMux()
	s.admin = serveAdmin(l, mux, s.adminOpenRoutes, s.log)
	s.ends.add(s.admin.close)
	s.adminRoutes(mux)
	s.onReload(func(next *serveCmd) (func(), error) { return s.admin.reload(&next.adminFlags) }, "admin-token", "admin-token-file")
	return nil
}

// reload returns what puts the token of new flags in force, or why it can't be.
func (a *admin) reload(next *adminFlags) (commit func(), err error) {
	token, err := next.token()
	if err != nil {
		return nil, err
	}
	if len(token) == 0 && a.host != "" && !isLoopback(context.Background(), a.host) {
		return nil, usageError(errors.New("--admin-listen is reachable from other machines: it needs --admin-token-file"))
	}
	return func() { a.guard(token) }, nil
}

// guard puts what guards the listener in front of its routes, with a token, or none
// when that is empty. Safe from any goroutine.
func (a *admin) guard(token []byte) {
	guarded := adminHandler(token, a.host, a.mux, a.openRoutes)
	a.handler.Store(&guarded)
}

// serveAdmin serves a mux, and openRoutes, which need no token, on a listener. The
// routes are registered before or soon after.
func serveAdmin(l *adminSocket, mux *http.ServeMux, openRoutes func(*http.ServeMux), log *slog.Logger) *admin {
	a := &admin{mux: mux, openRoutes: openRoutes, addr: l.Addr(), host: l.host, done: make(chan struct{})}
	a.guard(l.token)
	a.server = &http.Server{
		Handler:           a,
		ReadHeaderTimeout: adminHeaderTimeout,
		IdleTimeout:       adminIdleTimeout,
		MaxHeaderBytes:    adminMaxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(a.done)
		if err := a.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the admin listener ended", "err", err)
		}
	}()
	return a
}

// adminAddr is where the admin listener is, nil without.
func (s *server) adminAddr() net.Addr {
	if s.admin == nil {
		return nil
	}
	return s.admin.addr
}

// adminText describes it in the log.
func (s *server) adminText() string {
	if addr := s.adminAddr(); addr != nil {
		return addr.String()
	}
	return "off"
}

// close ends it, behind requests under way.
func (a *admin) close() {
	ctx, cancel := context.WithTimeout(context.Background(), adminCloseTimeout)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		_ = a.server.Close()
	}
	<-a.done
}

// adminRoutes registers what the admin listener serves; each room adds its own.
func (s *server) adminRoutes(mux *http.ServeMux) {
	s.reloadMetrics()
	s.apiRoutes(mux)
	s.metricsRoutes(mux)
	s.pprofRoutes(mux)
}

// adminOpenRoutes registers what the admin listener serves without its token:
// nothing that the public port does not tell.
func (s *server) adminOpenRoutes(mux *http.ServeMux) {
	s.healthRoutes(mux.Handle)
	mux.HandleFunc("GET /{$}", serveDashboard)
}

// adminHandler puts the listener's guards in front of its routes: a page of another
// site must not act for the operator whose browser shows it (CSRF), nor read what
// is here under a name of its own that leads to this machine (DNS rebinding). host
// is that of --admin-listen, or "" where any name will do.
func adminHandler(token []byte, host string, mux *http.ServeMux, openRoutes func(*http.ServeMux)) http.Handler {
	open := http.NewServeMux()
	open.Handle("/", bearer(token, mux))
	openRoutes(open)
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		api.WriteError(w, http.StatusForbidden, api.CodeForbidden, "pages of other sites may not do this")
	}))
	guarded := protection.Handler(open)
	if len(token) > 0 || host == "" {
		return guarded // no such page has the token, or reaches a Unix socket
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := hostName(r.Host); !strings.EqualFold(name, host) && !isLoopbackName(name) {
			api.WriteError(w, http.StatusForbidden, api.CodeForbidden, "this listener answers under a loopback name only, such as 127.0.0.1 or localhost; with --admin-token-file it answers under any")
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

// hostName is a Host field without its port and brackets.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// isLoopbackName reports whether a name in a Host field can only mean this
// machine. Names are not looked up: who asks may have made them.
func isLoopbackName(name string) bool {
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback() || strings.EqualFold(name, "localhost")
}

// bearer lets only requests with the token through, in Authorization or in X-API-Key;
// an empty one is none.
func bearer(token []byte, next http.Handler) http.Handler {
	if len(token) == 0 {
		return next
	}
	want := sha256.Sum256(token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := r.Header.Get("X-API-Key")
		if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
			given = token
		}
		got := sha256.Sum256([]byte(strings.TrimSpace(given)))
		if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			api.WriteError(w, http.StatusUnauthorized, api.CodeUnauthorized, "want Authorization: Bearer and the token of --admin-token-file")
			return
		}
		next.ServeHTTP(w, r)
	})
}
