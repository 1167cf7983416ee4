package conformance

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.CheckLeaks(m)) }

// wsdServers are wsd on its transports: the loops, the goroutine transport for
// any net.Conn, and an upgrade out of a net/http server.
func wsdServers(t *testing.T) []server {
	all := []server{
		{name: "wsd", addr: serveWsd(t, listen(t))},
		{name: "wsd on any listener", addr: serveWsd(t, opaque{listen(t)})},
		{name: "wsd behind net-http", addr: serveHTTP(t, upgrading(newWsd(t)))},
	}
	if long {
		l := tls.NewListener(listen(t), &tls.Config{Certificates: certificates()})
		all = append(all, server{name: "wsd over TLS", addr: serveWsd(t, l), tls: true})
	}
	return all
}

// certificates are those that the standard library has for tests.
func certificates() []tls.Certificate {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS.Certificates
}

// newWsd echoes on every profile's path until the test ends.
func newWsd(t *testing.T) *engine.App {
	app := engine.New(engine.Options{
		Loops:  2,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	for _, p := range profiles {
		app.WS(p.path, engine.Behavior{
			Compression:     p.compression(),
			MaxPayload:      p.limit,
			MaxBackpressure: -1,
			Message:         func(ws *engine.Conn, msg []byte, op engine.OpCode) { ws.Send(msg, op) },
		})
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := app.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return app
}

func (p profile) compression() engine.Compression {
	switch {
	case p.dedicated:
		return engine.CompressionDedicated
	case p.deflate:
		return engine.CompressionShared
	}
	return engine.CompressionOff
}

func serveWsd(t *testing.T, l net.Listener) string {
	served := make(chan error, 1)
	t.Cleanup(func() { // runs after Shutdown
		if err := <-served; !errors.Is(err, engine.ErrShutdown) {
			t.Errorf("Serve: %v", err)
		}
		l.Close()
	})
	app := newWsd(t)
	go func() { served <- app.Serve(l) }()
	return l.Addr().String()
}

// opaque hides what its connections are, as TLS does.
type opaque struct{ net.Listener }

func (o opaque) Accept() (net.Conn, error) {
	c, err := o.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

// upgrading hands each request to app, as a program with a server of its own does.
func upgrading(app *engine.App) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := app.Upgrade(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
}
