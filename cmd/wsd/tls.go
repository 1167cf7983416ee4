package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
)

// certificateLook is how often the files of the certificate are looked at.
const certificateLook = 30 * time.Second

// certificate is what TLS connections are served with: new ones get what was read
// last, and those that are open are left alone.
type certificate struct {
	current atomic.Pointer[tls.Certificate]

	mu    sync.Mutex
	flags tlsFlags
	seen  [2]fileState // of the files when they were read last, also in vain

	reloads, failures atomic.Uint64
}

// fileState tells whether a file has changed.
type fileState struct {
	modified time.Time
	size     int64
}

func stateOf(name string) fileState {
	info, err := os.Stat(name)
	if err != nil {
		return fileState{}
	}
	return fileState{info.ModTime(), info.Size()}
}

// readCertificate reads the files and checks that they belong together and are
// valid today.
func readCertificate(f tlsFlags) (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(f.TLSCert, f.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert, --tls-key: %w", err)
	}
	if time.Now().After(c.Leaf.NotAfter) {
		return nil, fmt.Errorf("--tls-cert %s: it has expired on %s", f.TLSCert, c.Leaf.NotAfter.Format(time.DateOnly))
	}
	return &c, nil
}

// openTLS puts TLS over the public listeners, if it is to. end stops looking after
// the files.
func (s *server) openTLS(listeners []net.Listener) (over []net.Listener, end func(), err error) {
	if s.daemonFlags == nil || s.TLSCert == "" {
		return listeners, func() {}, nil
	}
	c := &certificate{}
	if err := c.take(s.tlsFlags); err != nil {
		return nil, nil, usageError(err)
	}
	s.certificate = c
	s.onReload(func(new *serveCmd) (func(), error) {
		if new.TLSCert == "" {
			return nil, errors.New("--tls-cert: TLS can't be switched off while wsd runs")
		}
		next, err := readCertificate(new.tlsFlags)
		if err != nil {
			c.failures.Add(1)
			return nil, err
		}
		return func() { c.put(new.tlsFlags, next) }, nil
	}, "tls-cert", "tls-key")
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
	}
	for _, l := range listeners {
		over = append(over, tls.NewListener(l, config))
	}
	return over, s.watchCertificate(c), nil
}

// take reads what f names and serves it from now on.
func (c *certificate) take(f tlsFlags) error {
	next, err := readCertificate(f)
	if err != nil {
		return err
	}
	c.put(f, next)
	return nil
}

func (c *certificate) put(f tlsFlags, next *tls.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flags, c.seen = f, [2]fileState{stateOf(f.TLSCert), stateOf(f.TLSKey)}
	if c.current.Swap(next) != nil {
		c.reloads.Add(1)
	}
}

// look reads the files again if they have changed. It reports whether there is
// another certificate; an error leaves the old one.
func (c *certificate) look() (changed bool, err error) {
	c.mu.Lock()
	f, before := c.flags, c.seen
	now := [2]fileState{stateOf(f.TLSCert), stateOf(f.TLSKey)}
	c.seen = now
	c.mu.Unlock()
	if now == before {
		return false, nil
	}
	if err := c.take(f); err != nil {
		c.failures.Add(1)
		return false, err
	}
	return true, nil
}

// watchCertificate looks at the files every now and then, until end is called.
func (s *server) watchCertificate(c *certificate) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(certificateLook)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			switch changed, err := c.look(); {
			case err != nil:
				s.log.Error("the TLS certificate has changed and can't be used: the old one still is", "err", err)
			case changed:
				s.log.Info("the TLS certificate was read again", "expires", c.current.Load().Leaf.NotAfter.Format(time.RFC3339))
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// tlsMetrics registers what tells of TLS.
func (s *server) tlsMetrics(now *snapshot) {
	s.metrics.GaugeVec("wsd_tls_cert_expiry_timestamp_seconds", "When the TLS certificate in use expires.", nil, func(emit metrics.Emit) {
		if c := s.certificate; c != nil {
			emit(float64(c.current.Load().Leaf.NotAfter.Unix()))
		}
	})
	s.metrics.CounterVec("wsd_tls_cert_reloads_total", "Times that the TLS certificate was read again.", []string{"result"}, func(emit metrics.Emit) {
		if c := s.certificate; c != nil {
			emit(float64(c.reloads.Load()), "ok")
			emit(float64(c.failures.Load()), "error")
		}
	})
	s.metrics.Counter("wsd_tls_handshake_errors_total", "TLS handshakes that failed or took too long.",
		of(func() uint64 { return now.app.TLSFailed }))
}
