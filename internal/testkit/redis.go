package testkit

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// redisUp is how long a server may take to answer after its start.
const redisUp = 15 * time.Second

// Redis is a server of a test's own: it listens on the loopback interface only,
// and ends with the test. Its methods fail the test that it belongs to.
type Redis struct {
	Addr string // host:port, for TLS too
	Port int
	Dir  string // its working directory: AOF and configuration are there

	t       testing.TB
	program string
	args    []string
	user    string // for Do, and URL
	pass    string
	tls     *tls.Config
	ca      string // the file of the certificate's authority, for URL

	mu   sync.Mutex
	cmd  *exec.Cmd
	gone chan struct{} // closed when cmd has ended
	conn *respConn
}

// StartRedis starts a redis-server that keeps nothing on disk. args are more
// arguments, as the program has them: they win over the default ones.
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	r := newRedis(t, "redis-server", FreePort(t))
	r.args = append([]string{
		"--port", strconv.Itoa(r.Port), "--bind", "127.0.0.1", "--dir", r.Dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning",
	}, args...)
	r.Start()
	return r
}

func newRedis(t testing.TB, program string, port int) *Redis {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("no %s here: `make deps` says how to get it", program)
	}
	r := &Redis{
		t: t, program: path, Port: port, Dir: t.TempDir(),
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
	}
	t.Cleanup(r.Kill)
	return r
}

// Start starts the server again after Kill or Shutdown, on the same port, with
// what its directory keeps. It returns when the server answers.
func (r *Redis) Start() {
	r.t.Helper()
	cmd := exec.Command(r.program, r.args...)
	log, err := os.OpenFile(filepath.Join(r.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = r.Dir
	dieWithParent(cmd)
	started, gone := make(chan error), make(chan struct{})
	go func() {
		defer close(gone)
		runtime.LockOSThread() // the child ends with the thread that started it
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		r.t.Fatalf("%s: %v", r.program, err)
	}
	r.mu.Lock()
	r.cmd, r.gone = cmd, gone
	r.mu.Unlock()
	if !poll(redisUp, func() bool {
		select {
		case <-gone:
			return true
		default:
			return r.answers()
		}
	}) || !r.answers() {
		text, _ := os.ReadFile(filepath.Join(r.Dir, "log"))
		r.t.Fatalf("%s %q does not answer: %s", r.program, r.args, text)
	}
}

// answers reports whether the server takes commands.
func (r *Redis) answers() bool {
	_, err := r.Try("PING")
	var refused RedisError
	return err == nil || errors.As(err, &refused) && !strings.HasPrefix(string(refused), "LOADING")
}

// URL is where the server is, with user and password if they were set.
func (r *Redis) URL() string {
	auth := ""
	if r.pass != "" {
		auth = r.user + ":" + r.pass + "@"
	}
	if r.tls != nil {
		return "rediss://" + auth + r.Addr + "?ca=" + r.ca
	}
	return "redis://" + auth + r.Addr
}

// As has Do, and URL, give a user ("" is the default one) and a password.
func (r *Redis) As(user, password string) *Redis {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.user, r.pass = user, password
	r.hangUp()
	return r
}

// Do runs a command on a connection of the test's own and returns the answer:
// nil, string, int64, or a slice of those. An error fails the test.
func (r *Redis) Do(args ...string) any {
	r.t.Helper()
	v, err := r.Try(args...)
	if err != nil {
		r.t.Fatalf("redis %q: %v", args, err)
	}
	return v
}

// Try is Do that returns the error; RedisError if it is the server's.
func (r *Redis) Try(args ...string) (any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn == nil {
		c, err := dialRESP("tcp", r.Addr, r.tls)
		if err != nil {
			return nil, err
		}
		if r.pass != "" {
			login := []string{"AUTH", r.user, r.pass}
			if r.user == "" {
				login = []string{"AUTH", r.pass}
			}
			if _, err := c.do(login...); err != nil {
				c.close()
				return nil, err
			}
		}
		r.conn = c
	}
	v, err := r.conn.do(args...)
	var refused RedisError
	if err != nil && !errors.As(err, &refused) {
		r.hangUp()
	}
	return v, err
}

func (r *Redis) hangUp() {
	if r.conn != nil {
		r.conn.close()
		r.conn = nil
	}
}

// Info returns a field of INFO, "" if there is none.
func (r *Redis) Info(field string) string {
	r.t.Helper()
	text, _ := r.Do("INFO", "everything").(string)
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Kill ends the server as kill -9 does, and waits until it is gone. It may be
// called twice.
func (r *Redis) Kill() {
	r.signal(syscall.SIGKILL)
	r.wait()
}

// Shutdown ends the server in order: it writes what it keeps.
func (r *Redis) Shutdown() {
	r.signal(syscall.SIGTERM)
	r.wait()
}

func (r *Redis) wait() {
	r.mu.Lock()
	gone := r.gone
	r.hangUp()
	r.mu.Unlock()
	if gone == nil {
		return
	}
	select {
	case <-gone:
	case <-time.After(redisUp):
		r.t.Errorf("%s (pid %d) does not end", r.program, r.cmd.Process.Pid)
	}
}

// Restart is Kill and Start.
func (r *Redis) Restart() {
	r.t.Helper()
	r.Kill()
	r.Start()
}

// Stop freezes the server (SIGSTOP): connections stay, nothing is answered. The
// test must not use Do until Cont.
func (r *Redis) Stop() { r.signal(sigStop) }

// Cont ends what Stop began.
func (r *Redis) Cont() { r.signal(sigCont) }

func (r *Redis) signal(s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd == nil {
		return
	}
	select {
	case <-r.gone:
		return
	default:
	}
	if err := r.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		r.t.Errorf("%s: %v: %v", r.program, s, err)
	}
}

// StartRedisUnix starts a server that listens on a socket too, and returns the
// socket's path.
func StartRedisUnix(t testing.TB, args ...string) (*Redis, string) {
	t.Helper()
	// A test's own directory may be longer than the path of a socket can be.
	dir, err := os.MkdirTemp("", "wsd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "redis.sock")
	return StartRedis(t, append([]string{"--unixsocket", path}, args...)...), path
}

// StartRedisTLS starts a server that takes TLS only, with a certificate for
// 127.0.0.1 and localhost. URL names the file of its authority.
func StartRedisTLS(t testing.TB, args ...string) *Redis {
	t.Helper()
	certs := NewCerts(t)
	r := newRedis(t, "redis-server", FreePort(t))
	r.tls, r.ca = certs.Client(), certs.CA
	r.args = append([]string{
		"--port", "0", "--tls-port", strconv.Itoa(r.Port), "--bind", "127.0.0.1", "--dir", r.Dir,
		"--tls-cert-file", certs.Cert, "--tls-key-file", certs.Key, "--tls-ca-cert-file", certs.CA,
		"--tls-auth-clients", "no",
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning",
	}, args...)
	r.Start()
	return r
}

// ErrorHas fails the test unless err is one whose text has all parts.
func ErrorHas(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q lacks %q", fmt.Sprint(err), p)
		}
	}
}
