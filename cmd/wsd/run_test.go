package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// countedListener counts how often it is closed.
type countedListener struct {
	net.Listener
	closed atomic.Int32
}

func (c *countedListener) Close() error {
	c.closed.Add(1)
	return c.Listener.Close()
}

// A start that fails gives back what it has opened, once, whichever stage it is.
func TestFailedStartEndsWhatItOpened(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct {
		name   string
		args   []string
		closed int32 // of the public listener, which is the run's once it has checked it
		code   int
	}{
		{"Redis", []string{"--adapter", "classic", "--redis-url", fmt.Sprintf("redis://127.0.0.1:%d", testkit.FreePort(t))}, 0, exitBroker},
		{"Socket.IO", []string{"--client-dir", "nowhere"}, 0, exitUsage},
		{"TLS", []string{"--tls-cert", "nowhere", "--tls-key", "nowhere"}, 1, exitUsage},
		{"the admin listener", []string{"--admin-listen", taken.Addr().String()}, 1, exitBind},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			public := &countedListener{Listener: l}
			defer l.Close()
			in := parsed(t, append([]string{"serve", "--loops", "1", "--admin-listen", "127.0.0.1:0"}, tt.args...)...)
			cfg := in.cli.Serve.config(&process{stdout: io.Discard, stderr: io.Discard, invocation: in})
			cfg.log, cfg.host.public = slog.New(slog.DiscardHandler), []net.Listener{public}
			err = run(t.Context(), cfg)
			if exitCode(err) != tt.code {
				t.Errorf("%v: exit code %d, want %d", err, exitCode(err), tt.code)
			}
			if n := public.closed.Load(); n != tt.closed {
				t.Errorf("the public listener was closed %d times, want %d", n, tt.closed)
			}
		})
	}
}

func TestEndsRunOnceAndBackwards(t *testing.T) {
	var all ends
	var ran []int
	for i := range 3 {
		all.add(func() { ran = append(ran, i) })
	}
	all.run()
	all.run()
	if want := []int{2, 1, 0}; !slices.Equal(ran, want) {
		t.Errorf("%v, want %v", ran, want)
	}
}
