package workers

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// answerer answers what a Front asks a worker.
type answerer func() string

func (a answerer) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain; version=0.0.4"}},
		Body: io.NopCloser(strings.NewReader(a()))}, nil
}

// A worker that dies between two scrapes that overlap is counted once, and its
// successor as well.
func TestScrapesOverlapADeath(t *testing.T) {
	s := &Supervisor{opts: Options{Workers: 1, ServerID: "t", Logger: slog.New(slog.DiscardHandler)}}
	x := &slot{s: s, index: 1, ready: true}
	s.slots = []*slot{x}
	live := func(pid int) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.cmd = &exec.Cmd{Process: &os.Process{Pid: pid}}
	}
	f := NewFront(s, prometheus.NewRegistry())
	defer f.Close()
	var counted atomic.Int64 // by the process there is now
	asked, answered := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	f.http.Transport = answerer(func() string {
		n := counted.Load()
		if held.CompareAndSwap(true, false) {
			close(asked)
			<-answered
		}
		return fmt.Sprintf("# TYPE x_total counter\nx_total %d\n", n)
	})
	scrape := func() string {
		all, err := f.gather()
		if err != nil {
			t.Error(err)
		}
		return rendered(t, all)
	}
	expect := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	live(100)
	counted.Store(5)
	expect(scrape(), "x_total 5\n")

	held.Store(true)
	first, second := make(chan string, 1), make(chan string, 1)
	go func() { first <- scrape() }()
	<-asked
	live(101)
	counted.Store(1)
	go func() { second <- scrape() }()
	select { // it waits for the first, or all is told by now
	case got := <-second:
		second <- got
	case <-time.After(time.Second):
	}
	close(answered)
	expect(<-first, "x_total 5\n")
	expect(<-second, "x_total 6\n")
	expect(scrape(), "x_total 6\n")
}
