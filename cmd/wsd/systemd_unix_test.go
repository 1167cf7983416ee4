//go:build unix

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/cmd/wsd/systemd"
	"github.com/fe4bcecb/wsd/codec/proxyproto"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// manager is systemd's end of a notify socket.
type manager struct {
	t    *testing.T
	path string
	conn *net.UnixConn
}

func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &manager{t, path, conn}
}

// next is what the service says next within a time, "" for nothing.
func (m *manager) next(within time.Duration) string {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(within))
	b := make([]byte, 4096)
	n, err := m.conn.Read(b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

// expect waits for a message that begins with want.
func (m *manager) expect(want string) string {
	m.t.Helper()
	for {
		switch got := m.next(patience); {
		case strings.HasPrefix(got, want):
			return got
		case got == "":
			m.t.Fatalf("systemd was not told %s", want)
		}
	}
}

// A service with sockets of systemd's: it serves them instead of --listen and
// --admin-listen, and says what becomes of it.
func TestSystemdService(t *testing.T) {
	m := newManager(t)
	var files []*os.File
	var addrs []string
	for range 2 {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files, addrs = append(files, f), append(addrs, l.Addr().String())
	}
	script := `export LISTEN_PID=$$; exec "$0" "$@"`
	cmd := exec.Command("sh", "-c", script, os.Args[0], "serve", "--listen", "127.0.0.1:1", "--admin-listen", "127.0.0.1:1", "--loops", "1", "--drain-lb-wait", "0s")
	cmd.Env = append(os.Environ(), asMain+"=1", "NOTIFY_SOCKET="+m.path, "WATCHDOG_USEC=200000",
		"LISTEN_FDS=2", "LISTEN_FDNAMES=wsd.socket:wsd-admin.socket")
	cmd.ExtraFiles = files
	c := spawnCommand(t, cmd)
	if c.addr != addrs[0] {
		t.Errorf("listens on %s, not on %s", c.addr, addrs[0])
	}
	m.expect("READY=1\nSTATUS=serving")
	m.expect("WATCHDOG=1")
	m.expect("WATCHDOG=1")
	for at, want := range map[string]int{addrs[0] + "/health": http.StatusOK, addrs[1] + "/metrics": http.StatusOK, addrs[0] + "/metrics": http.StatusNotFound} {
		resp, err := http.Get("http://" + at)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("GET %s: %d", at, resp.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	cmd.Process.Signal(syscall.SIGHUP)
	m.expect("RELOADING=1\nMONOTONIC_USEC=")
	m.expect("READY=1")
	cmd.Process.Signal(syscall.SIGTERM)
	if got := m.expect("STOPPING=1\nEXTEND_TIMEOUT_USEC="); !strings.Contains(got, "STATUS=draining 0 connections") {
		t.Errorf("%q", got)
	}
	if code := c.exit(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, &c.stderr)
	}
}

// Behind sockets of systemd's a proxy's header is read as everywhere.
func TestSystemdSocketBehindAProxy(t *testing.T) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command("sh", "-c", `export LISTEN_PID=$$; exec "$0" "$@"`, os.Args[0], "serve", "--loops", "1", "--drain-lb-wait", "0s",
		"--admin-listen", "off", "--proxy-protocol", "--trusted-proxies", "127.0.0.1", "--max-connections-per-ip", "1")
	cmd.Env = append(os.Environ(), asMain+"=1", "LISTEN_FDS=1", "LISTEN_FDNAMES=wsd.socket")
	cmd.ExtraFiles = []*os.File{f}
	c := spawnCommand(t, cmd)
	var clients []net.Conn
	upgrade := func(header string) int {
		t.Helper()
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, nc)
		_, err = io.WriteString(nc, header+"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	header := func(source string) string {
		return string(proxyproto.Append(nil, proxyproto.Header{Source: netip.MustParseAddrPort(source)}))
	}
	for i, tt := range []struct {
		header string
		want   int
	}{
		{header("192.0.2.1:4444"), 101},
		{header("192.0.2.1:4445"), http.StatusTooManyRequests},
		{"PROXY TCP4 192.0.2.1 203.0.113.7 4446 443\r\n", http.StatusTooManyRequests},
		{header("192.0.2.2:4444"), 101},
		{"", http.StatusBadRequest},
	} {
		if got := upgrade(tt.header); got != tt.want {
			t.Errorf("connection %d: %d, want %d", i, got, tt.want)
		}
	}
	for _, nc := range clients {
		nc.Close()
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if code := c.exit(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, &c.stderr)
	}
}

// A loop that hangs starves the watchdog, and only as long as it hangs.
func TestWatchdogStarves(t *testing.T) {
	m := newManager(t)
	t.Setenv("NOTIFY_SOCKET", m.path)
	t.Setenv("WATCHDOG_USEC", "20000")
	n, err := systemd.NewNotifier()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	begun, end := make(chan struct{}), make(chan struct{})
	c := parse(t, "serve", "--listen", "127.0.0.1:0", "--loops", "2", "--drain-lb-wait", "0s", "--admin-listen", "off").Serve
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	cfg := c.config(&process{stdout: io.Discard, stderr: io.Discard})
	cfg.host.notifier = n
	cfg.routes = func(s *server) {
		s.app.WS("/hang", engine.Behavior{Message: func(*engine.Conn, []byte, engine.OpCode) {
			close(begun)
			<-end
		}})
	}
	r := start(t, cfg)
	m.expect("WATCHDOG=1")
	r.dial("/hang", nil).send(ws.OpText, "x")
	<-begun
	// What was answered before may still be on its way.
	testkit.Eventually(t, func() bool { return m.next(500*time.Millisecond) == "" }, patience)
	close(end)
	m.expect("WATCHDOG=1")
}

func TestInheritedSocketsAreNoWayRoundTheChecks(t *testing.T) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{config: config{host: host{public: []net.Listener{l}}}}
	if _, err := s.listen(t.Context()); exitCode(err) != exitUsage || !strings.Contains(fmt.Sprint(err), "--anonymous") {
		t.Errorf("%v", err)
	}
	s.host.close()
	if l, err = net.Listen("tcp", ":0"); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := (&adminFlags{AdminListen: "127.0.0.1:0"}).listen(t.Context(), l); exitCode(err) != exitUsage || !strings.Contains(fmt.Sprint(err), "--admin-token-file") {
		t.Errorf("%v", err)
	}
}

// Two processes share a port, and one leaves: nobody is refused. Whose handshake
// the kernel completes between the last look at the queue and its end, a moment, is
// reset: see docs/operations.md.
func TestReusePort(t *testing.T) {
	addr := fmt.Sprint("127.0.0.1:", testkit.FreePort(t))
	run := func() *child {
		return spawn(t, "serve", "--reuse-port", "--listen", addr, "--admin-listen", "off", "--loops", "1", "--drain-lb-wait", "0s")
	}
	old := run()
	spawned := make(chan struct{})
	failed := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		defer close(failed)
		resets := 0
		for i := 0; ; i++ {
			c, err := net.DialTimeout("tcp", addr, patience)
			switch {
			case err == nil:
				c.Close()
			case errors.Is(err, syscall.ECONNRESET) && resets < 2:
				resets++
			default:
				failed <- err
				return
			}
			if i == 50 {
				close(spawned)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	select {
	case <-spawned:
	case err := <-failed:
		t.Fatal(err)
	}
	run()
	old.cmd.Process.Signal(syscall.SIGTERM)
	if code := old.exit(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, &old.stderr)
	}
	close(stop)
	if err := <-failed; err != nil {
		t.Error(err)
	}
	if c, err := net.Listen("tcp", addr); err == nil {
		c.Close()
		t.Error("a third process that does not share got the port")
	}
}
