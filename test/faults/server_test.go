package faults

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// Bounds of a server's start and end.
const (
	startTimeout = 30 * time.Second
	stopTimeout  = 30 * time.Second
)

// crash is what a server writes that has met what it did not expect.
var crash = regexp.MustCompile(`(?m)^(panic|fatal error|WARNING: DATA RACE|Uncaught|.*UnhandledPromiseRejection).*`)

// listens is what sioserver, or wsd, says when it does.
var listens = regexp.MustCompile(`(?:listening on |"msg":"listening","address":")([0-9.]+:[0-9]+)`)

// server is a running node.
type server struct {
	name    string
	address string // host:port, when it is ready
	cmd     *exec.Cmd
	done    chan struct{} // closed when it has ended
	killed  bool
	topics  bool // it is wsd, with topics; otherwise a Socket.IO server
	foreign bool // it is npm's: there are no stats

	mu    sync.Mutex
	log   bytes.Buffer // what it has written
	admin *socket      // of Socket.IO, for stats
}

// launch runs a program that listens where its flag --listen says. It ends with the
// test at the latest; one that ended before, or has panicked, fails it.
func launch(t *testing.T, name string, at site) *server {
	t.Helper()
	s := &server{name: name, address: at.address, foreign: at.foreign, done: make(chan struct{})}
	s.cmd = exec.Command(at.line[0], append(at.line[1:], "--listen", at.address)...)
	s.cmd.Stdout, s.cmd.Stderr = s, s
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() { s.end(t) })
	return s
}

// ready waits until the server listens, and learns where.
func (s *server) ready(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, func() bool {
		select {
		case <-s.done:
			t.Fatalf("%s ended: %s", s.name, s.written())
		default:
		}
		if m := listens.FindStringSubmatch(s.written()); m != nil {
			s.address = m[1]
		}
		c, err := net.DialTimeout("tcp", s.address, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, startTimeout)
}

// Write keeps what the server writes.
func (s *server) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(b)
}

// written is the end of what the server has written.
func (s *server) written() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.log.Bytes()
	return string(b[max(0, len(b)-4<<10):])
}

// end ends the server, and fails the test when it has ended before, or has
// crashed.
func (s *server) end(t *testing.T) {
	select {
	case <-s.done:
		if !s.killed {
			t.Errorf("%s ended: %v", s.name, s.cmd.ProcessState)
		}
	default:
		s.cmd.Process.Kill()
		<-s.done
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := crash.Find(s.log.Bytes()); m != nil {
		t.Errorf("%s wrote %q", s.name, m)
	}
	if t.Failed() && s.log.Len() > 0 {
		t.Logf("%s wrote:\n%s", s.name, s.log.Bytes()[max(0, s.log.Len()-4<<10):])
	}
}

// stop ends the server by a signal and waits for it. After SIGTERM its exit code
// must be 0.
func (s *server) stop(t *testing.T, signal syscall.Signal) {
	t.Helper()
	s.killed = true
	if err := s.cmd.Process.Signal(signal); err != nil {
		t.Errorf("%s: %v", s.name, err)
	}
	select {
	case <-s.done:
	case <-time.After(stopTimeout):
		t.Errorf("%s does not end", s.name)
		return
	}
	if code := s.cmd.ProcessState.ExitCode(); signal == syscall.SIGTERM && code != 0 {
		t.Errorf("%s ended with code %d: %s", s.name, code, s.written())
	}
}

// stats are what a node tells of itself.
type stats struct {
	Up         bool
	Reason     string
	Gaps       uint64 // times that messages of other nodes were missing
	Lost       uint64 // messages that are known not to have got out, or in
	Goroutines int    // 0: unknown
}

// stats asks the server.
func (s *server) stats() (stats, error) {
	switch {
	case s.foreign:
		return stats{Up: true}, nil
	case s.topics:
		return s.health()
	}
	s.mu.Lock()
	admin := s.admin
	s.mu.Unlock()
	if admin == nil || admin.ended() {
		var err error
		if admin, err = connect(s.address, nil, nil); err != nil {
			return stats{}, err
		}
		s.mu.Lock()
		s.admin = admin
		s.mu.Unlock()
	}
	answer, err := admin.call("far:stats")
	if err != nil {
		return stats{}, err
	}
	var st stats
	return st, json.Unmarshal(answer, &st)
}

// hangUp ends the connection that stats uses.
func (s *server) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.admin != nil {
		s.admin.close()
	}
}

// health is stats of wsd.
func (s *server) health() (stats, error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + s.address + "/health")
	if err != nil {
		return stats{}, err
	}
	defer res.Body.Close()
	var h struct {
		Broker struct {
			Up     bool
			Reason string
			Topics struct{ Gaps, Lost uint64 }
		}
	}
	err = json.NewDecoder(res.Body).Decode(&h)
	return stats{Up: h.Broker.Up, Reason: h.Broker.Reason, Gaps: h.Broker.Topics.Gaps, Lost: h.Broker.Topics.Lost}, err
}

// program is the path of one that TestMain has built.
func program(name string) string { return filepath.Join(binaries, name) }
