package socketio

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// startTimeout bounds the start of a server, and stopTimeout its end.
const (
	startTimeout = 20 * time.Second
	stopTimeout  = 20 * time.Second
)

// maker is who made a server.
type maker string

const (
	node maker = "node" // npm's socket.io
	wsd  maker = "wsd"
)

// both runs f for Node's server first and for wsd's then, side by side.
func both(t *testing.T, f func(t *testing.T, by maker)) {
	for _, by := range []maker{node, wsd} {
		t.Run(string(by), func(t *testing.T) {
			t.Parallel()
			f(t, by)
		})
	}
}

// server is a running server.
type server struct {
	port  int
	cmd   *exec.Cmd
	ready chan struct{} // closed when it has printed ready
	done  chan struct{} // closed when it has ended

	mu  sync.Mutex
	log bytes.Buffer // its standard error
}

func (s *server) url() string { return fmt.Sprintf("http://127.0.0.1:%d", s.port) }

// sioserver starts test/sioserver, or what Node has in its place.
func sioserver(t *testing.T, by maker, args ...string) *server {
	t.Helper()
	return start(t, testkit.FreePort(t), by, "sioserver", "reference.mjs", args...)
}

// extra starts the server of package extra, or what Node has in its place.
func extra(t *testing.T, by maker, args ...string) *server {
	t.Helper()
	return start(t, testkit.FreePort(t), by, "extra", "extra.mjs", args...)
}

// start runs a server at a port and waits until it is ready.
func start(t *testing.T, port int, by maker, program, script string, args ...string) *server {
	t.Helper()
	argv := []string{filepath.Join(binaries, program)}
	if by == node {
		argv = []string{lookPath(t, "node"), filepath.Join("js", script)}
	}
	s := launch(t, port, append(argv, args...)...)
	select {
	case <-s.ready:
	case <-s.done:
		t.Fatalf("%s ended", argv)
	case <-time.After(startTimeout):
		t.Fatalf("%s is not ready", argv)
	}
	return s
}

// chat starts the chat server of docs/examples.
func chat(t *testing.T) *server {
	t.Helper()
	s := launch(t, testkit.FreePort(t), filepath.Join(binaries, "chat"), "--client", "node_modules/socket.io-client/dist")
	testkit.Eventually(t, func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		if err == nil {
			c.Close()
		}
		return err == nil
	}, startTimeout)
	return s
}

// launch runs a server at a port. It ends with the test at the latest; one that
// fails before or has panicked fails the test.
func launch(t *testing.T, port int, argv ...string) *server {
	t.Helper()
	argv = append(argv, "--listen", fmt.Sprintf("127.0.0.1:%d", port))
	s := &server{port: port, cmd: exec.Command(argv[0], argv[1:]...), ready: make(chan struct{}), done: make(chan struct{})}
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
	return s
}

// Write keeps what the server writes to standard error.
func (s *server) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(b)
}

// end ends the server, and fails the test when it has ended before.
func (s *server) end(t *testing.T) {
	select {
	case <-s.done:
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("the server ended with code %d", code)
		}
	default:
		s.cmd.Process.Kill()
		<-s.done
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.Failed() || bytes.Contains(s.log.Bytes(), []byte("panic")) {
		t.Logf("the server wrote:\n%s", tail(s.log.Bytes(), 4<<10))
	}
	if bytes.Contains(s.log.Bytes(), []byte("panic")) {
		t.Error("the server panicked")
	}
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// stop tells the server to end and waits for it.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.done:
	case <-time.After(stopTimeout):
		t.Fatal("the server does not end")
	}
}

func lookPath(t *testing.T, names ...string) string {
	t.Helper()
	var err error
	for _, name := range names {
		var path string
		if path, err = exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("%v: make test installs it", err)
	return ""
}

// modules are the npm packages; make deps installs them.
func modules(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("node_modules"); err != nil {
		t.Fatalf("%v: make deps installs it", err)
	}
}
