//go:build unix

package systemd_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/cmd/wsd/systemd"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.CheckLeaks(m)) }

const patience = 20 * time.Second

// listen is systemd's end of the notify socket.
func listen(t *testing.T) (*net.UnixConn, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, path
}

func read(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestNotifier(t *testing.T) {
	conn, path := listen(t)
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "3000000")
	t.Setenv("WATCHDOG_PID", fmt.Sprint(os.Getpid()))
	n, err := systemd.NewNotifier()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if d := n.Watchdog(); d != 3*time.Second {
		t.Errorf("watchdog %v", d)
	}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		if v, ok := os.LookupEnv(name); ok {
			t.Errorf("%s=%s is left for children", name, v)
		}
	}
	for _, step := range []struct {
		send func() error
		want string
	}{
		{func() error { return n.Ready("here\nnow") }, "READY=1\nSTATUS=here now"},
		{n.Reloading, `RELOADING=1\nMONOTONIC_USEC=[1-9]\d*`},
		{func() error { return n.Stopping(35*time.Second, "draining") }, "STOPPING=1\nEXTEND_TIMEOUT_USEC=35000000\nSTATUS=draining"},
		{func() error { return n.Status("well") }, "STATUS=well"},
		{n.Alive, "WATCHDOG=1"},
	} {
		if err := step.send(); err != nil {
			t.Error(err)
		}
		if got := read(t, conn); !regexp.MustCompile("^" + step.want + "$").MatchString(got) {
			t.Errorf("%q, want %q", got, step.want)
		}
	}
	conn.Close()
	if err := n.Alive(); err == nil {
		t.Error("nobody heard, and that is no error")
	}
}

// What is meant for another process, or for nobody, is nothing.
func TestNobodyAsks(t *testing.T) {
	n, err := systemd.NewNotifier()
	if n != nil || err != nil {
		t.Fatal(n, err)
	}
	if n.Ready("x") != nil || n.Alive() != nil || n.Watchdog() != 0 || n.Close() != nil {
		t.Error("a Notifier that tells nobody fails")
	}
	_, path := listen(t)
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "3000000")
	t.Setenv("WATCHDOG_PID", "1")
	if n, err = systemd.NewNotifier(); err != nil || n.Watchdog() != 0 {
		t.Errorf("the watchdog of another process: %v, %v", n.Watchdog(), err)
	}
	n.Close()
	t.Setenv("NOTIFY_SOCKET", path+"-gone")
	if _, err = systemd.NewNotifier(); err == nil {
		t.Error("a socket that is not there")
	}
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("LISTEN_PID", "1")
	if all, err := systemd.Listeners(); all != nil || err != nil {
		t.Errorf("sockets of another process: %v, %v", all, err)
	}
	if v, ok := os.LookupEnv("LISTEN_FDS"); ok {
		t.Errorf("LISTEN_FDS=%s is left for children", v)
	}
	for _, count := range []string{"", "-1", "many", "1000000"} {
		t.Setenv("LISTEN_FDS", count)
		t.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid()))
		if all, err := systemd.Listeners(); all != nil || err == nil {
			t.Errorf("LISTEN_FDS=%q: %v, %v", count, all, err)
		}
	}
}
