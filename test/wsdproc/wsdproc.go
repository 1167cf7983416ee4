// Package wsdproc runs the wsd program for tests: the one that WSD_BIN names
// (from the repository's root, unless absolute), or one built for them.
package wsdproc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startTimeout bounds a start, and stopTimeout an end.
const (
	startTimeout = 20 * time.Second
	stopTimeout  = 20 * time.Second
)

// binary is the program; Main sets it.
var binary string

// Main builds the program, runs the tests, and returns their exit code. The
// caller's package stands two folders below the repository's root.
func Main(m *testing.M, run func(*testing.M) int) int {
	root := filepath.Join("..", "..")
	if binary = os.Getenv("WSD_BIN"); binary != "" {
		if !filepath.IsAbs(binary) {
			binary = filepath.Join(root, binary)
		}
		return run(m)
	}
	dir, err := os.MkdirTemp("", "wsd-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "wsdproc:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "wsd")
	build := exec.Command("go", "build", "-o", binary, "./cmd/wsd")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "wsdproc: go build: %v\n%s", err, out)
		return 1
	}
	return run(m)
}

// Run runs wsd with args until it ends, which must be soon, and returns what it has
// written and its exit code.
func Run(t testing.TB, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout+stopTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = environment()
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("wsd %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// environment is the tests', but for what is meant for them: wsd warns of variables that
// begin as its own do.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "WSD_LONG=") || strings.HasPrefix(v, "WSD_BIN=")
	})
}

// Process is a running wsd.
type Process struct {
	Addr  string // host:port
	Admin string // likewise, "off" without that listener
	PID   int

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	err  error         // of Wait, once done

	mu  sync.Mutex
	log []string
}

// Start runs wsd with args, and with a listening port of its own unless they name
// one, and waits until it accepts connections. The process ends with the test at the latest.
func Start(t testing.TB, args ...string) *Process { return StartLimited(t, 0, args...) }

// StartLimited is Start with at most fds open files; 0: as many as this process.
func StartLimited(t testing.TB, fds int, args ...string) *Process {
	t.Helper()
	before := ""
	if fds > 0 {
		before = fmt.Sprintf("ulimit -n %d", fds)
	}
	return start(t, before, args)
}

// StartGrouped is Start in the cgroup whose folder dir is.
func StartGrouped(t testing.TB, dir string, args ...string) *Process {
	t.Helper()
	return start(t, fmt.Sprintf("echo $$ >'%s/cgroup.procs'", dir), args)
}

// start is Start behind a command of the shell, "" for none.
func start(t testing.TB, before string, args []string) *Process {
	t.Helper()
	if !slices.Contains(args, "--listen") {
		args = append(args, "--listen", "127.0.0.1:0")
	}
	if args[0] == "serve" {
		// In front, so that the test's own comes later and counts.
		args = append([]string{"serve", "--admin-listen", "127.0.0.1:0"}, args[1:]...)
	}
	cmd := exec.Command(binary, args...)
	if before != "" {
		script := before + ` && exec "$0" "$@"`
		cmd = exec.Command("sh", append([]string{"-c", script, binary}, args...)...)
	}
	cmd.Env = environment()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{cmd: cmd, PID: cmd.Process.Pid, done: make(chan struct{})}
	listening := make(chan entry, 1)
	go p.follow(bufio.NewScanner(stderr), listening)
	t.Cleanup(func() { p.kill(t) })
	select {
	case e := <-listening:
		p.Addr, p.Admin = e.Address, e.Admin
	case <-p.done:
		t.Fatalf("wsd %s ended: %v\n%s", strings.Join(args, " "), p.err, p.Log())
	case <-time.After(startTimeout):
		t.Fatalf("wsd %s does not listen\n%s", strings.Join(args, " "), p.Log())
	}
	return p
}

// entry is what is read of a line of the log.
type entry struct{ Msg, Address, Admin string }

// follow keeps the log and finds the address in it.
func (p *Process) follow(lines *bufio.Scanner, listening chan<- entry) {
	for lines.Scan() {
		p.mu.Lock()
		p.log = append(p.log, lines.Text())
		p.mu.Unlock()
		var e entry
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Msg == "listening" {
			listening <- e
		}
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

// Log is what the process has written to standard error.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "\n")
}

// Signal sends s.
func (p *Process) Signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// Wait returns the exit code.
func (p *Process) Wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		t.Fatalf("wsd does not end\n%s", p.Log())
	}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// Alive fails the test when the process has ended.
func (p *Process) Alive(t testing.TB) {
	t.Helper()
	select {
	case <-p.done:
		t.Fatalf("wsd ended: %v\n%s", p.err, p.Log())
	default:
	}
}

func (p *Process) kill(t testing.TB) {
	p.cmd.Process.Kill()
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		t.Error("wsd survives SIGKILL")
	}
}
