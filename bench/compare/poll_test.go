package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// pollServer is as much of a Socket.IO server as pollers need. What a session
// is sent after it has connected comes from packets, one payload a GET.
type pollServer struct {
	handshake string
	packets   []string
	ids       atomic.Int64
	pongs     atomic.Int64
	mu        sync.Mutex
	gets      map[string]int
}

func (s *pollServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sid := r.URL.Query().Get("sid")
	switch {
	case sid == "":
		fmt.Fprintf(w, s.handshake, s.ids.Add(1))
		return
	case r.Method == http.MethodPost:
		if body, _ := io.ReadAll(r.Body); string(body) == "3" {
			s.pongs.Add(1)
		}
		io.WriteString(w, "ok")
		return
	}
	s.mu.Lock()
	if s.gets == nil {
		s.gets = map[string]int{}
	}
	n := s.gets[sid]
	s.gets[sid]++
	s.mu.Unlock()
	switch {
	case n == 0:
		io.WriteString(w, `40{"sid":"x"}`)
	case n <= len(s.packets):
		io.WriteString(w, s.packets[n-1])
	default:
		<-r.Context().Done()
	}
}

func TestHoldPolling(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory of a process is read on Linux only")
	}
	const good = `0{"sid":"s%d","upgrades":[]}`
	tests := []struct {
		name      string
		handshake string
		packets   []string
		want      report // what is compared: Open, Failed, Closed
		err       string
	}{
		{"quiet", good, nil, report{Open: 3}, ""},
		{"pings", good, []string{"2", "6\x1e2", "6"}, report{Open: 3}, ""},
		{"disconnected", good, []string{"41"}, report{Open: 3, Closed: 3}, "unexpected packet"},
		{"refused", `{"code":%d}`, nil, report{Failed: 3}, "no handshake"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pings := strings.Count(strings.Join(tt.packets, ""), "2")
			hold := func(rest time.Duration) (*report, int) {
				server := &pollServer{handshake: tt.handshake, packets: tt.packets}
				srv := httptest.NewServer(server)
				defer srv.Close()
				r, err := holdPolling(t.Context(), srv.Listener.Addr().String(), os.Getpid(), 3, rest)
				if err != nil {
					t.Fatal(err)
				}
				return r, int(server.pongs.Load())
			}
			var r *report
			var pongs int
			// On a busy machine not all may come in so short a time: then there is more of it.
			for _, rest := range []time.Duration{200 * time.Millisecond, 2 * time.Second, 20 * time.Second} {
				if r, pongs = hold(rest); r.Closed == tt.want.Closed && pongs == 3*pings {
					break
				}
			}
			if r.Open != tt.want.Open || r.Failed != tt.want.Failed || r.Closed != tt.want.Closed || !strings.Contains(r.Err, tt.err) {
				t.Errorf("open %d, failed %d, closed %d: %s", r.Open, r.Failed, r.Closed, r.Err)
			}
			if pongs != 3*pings {
				t.Errorf("%d pongs to %d pings", pongs, 3*pings)
			}
		})
	}
}

func TestHoldPollingEnds(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory of a process is read on Linux only")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if c, err := ln.Accept(); err == nil {
			defer c.Close()
			cancel()
		}
	}()
	if _, err := holdPolling(ctx, ln.Addr().String(), os.Getpid(), 2, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	if _, err := holdPolling(t.Context(), ln.Addr().String(), -1, 2, time.Hour); err == nil {
		t.Error("measured the memory of no process")
	}
}
