package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// startTimeout bounds the time from fork to the first accepted connection.
const startTimeout = 15 * time.Second

// stopTimeout is what a server gets between SIGTERM and SIGKILL.
const stopTimeout = 2 * time.Second

// server is a process under load.
type server struct {
	host, port string
	pid        int
	cmd        *exec.Cmd // nil: not ours
	output     *tail
	exited     chan struct{} // closed once cmd has been waited for
}

// startServer starts p for case c, pinned, and waits until it accepts
// connections. A server that runs already is only described. redis is the URL of
// its cluster's Redis, if it is in one.
func startServer(ctx context.Context, cfg config, c loadCase, p peer, redis string) (*server, error) {
	if p.kind == kindRunning {
		return &server{host: p.host, port: p.port, pid: p.pid}, nil
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	return launch(ctx, cfg, c, p.name, p.command(c, port, redis), port)
}

// launch runs a shell command that serves on port.
func launch(ctx context.Context, cfg config, c loadCase, name, command, port string) (*server, error) {
	cpus := cfg.serverCPU
	if c.procs > 1 && c.adapter == "" && cpus != "" {
		cpus += "," + cfg.loadCPU
	}
	s := &server{host: "127.0.0.1", port: port, output: &tail{}, exited: make(chan struct{})}
	// exec keeps the pid: taskset, the shell and the server are one process.
	argv := pinned(cpus, "sh", "-c", "exec "+command)
	s.cmd = exec.Command(argv[0], argv[1:]...)
	s.cmd.Dir = cfg.root
	s.cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", c.procs))
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	s.cmd.WaitDelay = stopTimeout
	ownGroup(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.pid = s.cmd.Process.Pid
	go func() {
		_ = s.cmd.Wait() // the exit status of a stopped server says nothing
		close(s.exited)
	}()
	if err := s.waitReady(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s: %w\n%s", name, err, s.output)
	}
	return s, nil
}

// pinned is argv bound to a list of CPUs; an empty list binds nothing.
func pinned(cpus string, argv ...string) []string {
	if cpus == "" {
		return argv
	}
	return append([]string{"taskset", "-c", cpus}, argv...)
}

// waitReady dials until the server accepts or has ended.
func (s *server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(s.host, s.port))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.exited:
			return errors.New("server ended before it listened")
		case <-ctx.Done():
			return errors.New("server does not listen")
		case <-tick.C:
		}
	}
}

// stop ends the server and returns when it is gone. A server that is not ours
// is left alone.
func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	terminate(s.cmd)
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-s.exited:
	case <-timer.C:
	}
	kill(s.cmd)
	<-s.exited
}

// freePort returns a port nobody listens on at this moment.
func freePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return port, err
}

// tail keeps the last few kilobytes of a server's output for error messages.
// It is written by one goroutine and read after the process has ended.
type tail struct{ buf bytes.Buffer }

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.buf.Write(p)
	if over := t.buf.Len() - tailSize; over > 0 {
		t.buf.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(t.buf.String()) }
