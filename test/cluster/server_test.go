package cluster

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// startTimeout bounds the start of a server, and stopTimeout its end.
const (
	startTimeout = 30 * time.Second
	stopTimeout  = 20 * time.Second
)

// crash is what a server writes that has met what it did not expect.
var crash = regexp.MustCompile(`(?m)^(panic|fatal error|WARNING: DATA RACE|Uncaught|.*UnhandledPromiseRejection|\w*Error: )`)

// server is a running node of a cluster.
type server struct {
	Name  string `json:"name"`
	Maker maker  `json:"maker"`
	URL   string `json:"url"`

	port  int
	cmd   *exec.Cmd
	ready chan struct{} // closed when it has printed ready
	done  chan struct{} // closed when it has ended
	// stopped says that a test has ended it.
	stopped bool

	mu  sync.Mutex
	log bytes.Buffer // its standard error
}

// maker is who made a server.
type maker string

const (
	node maker = "node" // npm's socket.io
	wsd  maker = "wsd"
)

// start starts servers side by side and waits until they are ready. They end
// with the test at the latest; one that ended before, or has panicked, fails it.
func start(t *testing.T, servers ...*server) {
	t.Helper()
	for _, s := range servers {
		s.launch(t)
	}
	for _, s := range servers {
		select {
		case <-s.ready:
		case <-s.done:
			t.Fatalf("%s ended: %s", s.Name, s.written())
		case <-time.After(startTimeout):
			t.Fatalf("%s is not ready: %s", s.Name, s.written())
		}
	}
}

// newServer is a server that start can start, at a port of its own.
func newServer(t *testing.T, by maker, name string, args ...string) *server {
	t.Helper()
	argv := []string{sioserver}
	if by == node {
		argv = []string{lookPath(t, "node"), "js/node.mjs"}
	}
	port := testkit.FreePort(t)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	argv = append(append(argv, args...), "--listen", address)
	return &server{Name: name, Maker: by, URL: "http://" + address, port: port, cmd: exec.Command(argv[0], argv[1:]...)}
}

func (s *server) launch(t *testing.T) {
	t.Helper()
	s.ready, s.done = make(chan struct{}), make(chan struct{})
	s.cmd.Stderr = s
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if lines.Text() == "ready" {
				close(s.ready)
			}
		}
		s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() { s.end(t) })
}

// again is a server like s at the same port, which has ended.
func (s *server) again(t *testing.T) *server {
	t.Helper()
	<-s.done
	return &server{Name: s.Name, Maker: s.Maker, URL: s.URL, port: s.port, cmd: exec.Command(s.cmd.Args[0], s.cmd.Args[1:]...)}
}

// Write keeps what the server writes to standard error.
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

// alive fails the test when the server has ended.
func (s *server) alive(t *testing.T) {
	t.Helper()
	select {
	case <-s.done:
		t.Fatalf("%s has ended: %v\n%s", s.Name, s.cmd.ProcessState, s.written())
	default:
	}
}

// end ends the server, and fails the test when it has ended before.
func (s *server) end(t *testing.T) {
	select {
	case <-s.done:
		if !s.stopped {
			t.Errorf("%s ended: %v", s.Name, s.cmd.ProcessState)
		}
	default:
		s.cmd.Process.Kill()
		<-s.done
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := crash.Find(s.log.Bytes()); m != nil {
		t.Errorf("%s wrote %q", s.Name, m)
	}
	if t.Failed() && s.log.Len() > 0 {
		t.Logf("%s wrote:\n%s", s.Name, s.log.Bytes()[max(0, s.log.Len()-4<<10):])
	}
}

// stop ends the server by a signal and waits for it. After SIGTERM its exit code
// must be 0.
func (s *server) stop(t *testing.T, signal syscall.Signal) {
	t.Helper()
	s.stopped = true
	if err := s.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.done:
	case <-time.After(stopTimeout):
		t.Fatalf("%s does not end", s.Name)
	}
	if code := s.cmd.ProcessState.ExitCode(); signal == syscall.SIGTERM && code != 0 {
		t.Errorf("%s ended with code %d: %s", s.Name, code, s.written())
	}
}

func lookPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: make test installs it", err)
	}
	return path
}
