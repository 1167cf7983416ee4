package workers

import (
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// supervise starts workers that behave in a way.
func supervise(t *testing.T, count int, how string, more func(*Options)) (s *Supervisor, code <-chan int) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	var public [][]net.Listener
	for range count {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		public = append(public, []net.Listener{l})
	}
	opts := Options{Workers: count, ServerID: "t", DrainTimeout: patience, Public: public, Logger: slog.New(slog.DiscardHandler),
		Command: func() *exec.Cmd {
			return &exec.Cmd{Path: "/proc/self/exe", Args: []string{"worker"}, Env: append(os.Environ(), conduct+"="+how)}
		}}
	if more != nil {
		more(&opts)
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan int, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ended <- s.Run()
	}()
	t.Cleanup(func() {
		s.Stop()
		<-done
		s.Close()
		if left, _ := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	return s, ended
}

func TestSupervisor(t *testing.T) {
	s, code := supervise(t, 3, "serves", nil)
	<-s.Ready()
	testkit.Eventually(t, func() bool {
		return s.Totals() == Totals{Workers: 3, Up: 3, Connections: 1 + 2 + 3, Limit: 10, Accepting: true}
	}, patience)
	s.Stop()
	if c := <-code; c != 1 { // SIGTERM ends these at once
		t.Errorf("exit code %d", c)
	}
}

// What ends before it has served ends all, with its code.
func TestWorkerThatNeverServes(t *testing.T) {
	s, code := supervise(t, 2, "3", nil)
	if c := <-code; c != 3 {
		t.Errorf("exit code %d", c)
	}
	<-s.Ready()
	select {
	case <-s.Stopping():
	default:
		t.Error("it is ready")
	}
}

// A stop that meets workers while they start is no failure of theirs.
func TestStopDuringTheStart(t *testing.T) {
	s, code := supervise(t, 2, "starts", nil)
	testkit.Eventually(t, func() bool { return s.Infos()[0].PID != 0 && s.Infos()[1].PID != 0 }, patience)
	s.Stop()
	if c := <-code; c != 0 {
		t.Errorf("exit code %d", c)
	}
}

func TestCrashLoop(t *testing.T) {
	s, _ := supervise(t, 1, "dies", nil)
	testkit.Eventually(t, func() bool { return s.Infos()[0].Crashing }, 2*patience)
	if i := s.Infos()[0]; i.Restarts < loopAfter-1 {
		t.Errorf("%+v", i)
	}
}

func TestWorkerThatHangs(t *testing.T) {
	s, _ := supervise(t, 1, "hangs", func(o *Options) { o.HangAfter = time.Second })
	<-s.Ready()
	first := s.Infos()[0].PID
	testkit.Eventually(t, func() bool { i := s.Infos()[0]; return i.Up && i.PID != first && i.Restarts > 0 }, 2*patience)
}

// A directory whose parent was killed goes when the next one comes; that of one that
// lives stays.
func TestPrivateDirs(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	left, lock, err := privateDir()
	if err != nil {
		t.Fatal(err)
	}
	lock.Close()
	held, lock, err := privateDir()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if info, err := os.Stat(held); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info, err)
	}
	// What others might have made of that name.
	made := map[string]func(dir string) error{
		"wide": func(dir string) error { return os.Chmod(dir, 0o755) },
		"link": func(dir string) error { return os.Symlink("/dev/null", filepath.Join(dir, lockName)) },
		"pipe": func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, lockName), 0o600) },
	}
	for name, make := range made {
		dir := filepath.Join(os.Getenv("TMPDIR"), "wsd-workers-"+name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if name == "wide" {
			if err := os.WriteFile(filepath.Join(dir, lockName), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := make(dir); err != nil {
			t.Fatal(err)
		}
	}
	_, another, err := privateDir()
	if err != nil {
		t.Fatal(err)
	}
	defer another.Close()
	for _, name := range []string{"wide", "link"} {
		if _, err := os.Stat(filepath.Join(os.Getenv("TMPDIR"), "wsd-workers-"+name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("what was left is there: %v", err)
	}
	if _, err := os.Stat(held); err != nil {
		t.Error(err)
	}
}

// The marker alone makes no worker: a descriptor that is no link of the parent's does
// not either.
func TestMarkerIsNotBelieved(t *testing.T) {
	for _, mark := range []string{"3", "7", "yes"} {
		t.Setenv(Marker, mark)
		if w, err := Inherit(); w != nil || err == nil {
			t.Errorf("%s=%s: %v, %v", Marker, mark, w, err)
		}
		if _, ok := os.LookupEnv(Marker); ok {
			t.Error("the marker is left for children")
		}
	}
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fds[0])
	defer syscall.Close(fds[1])
	if _, err := adopted(fds[0]); err == nil {
		t.Error("a link to this process itself")
	}
	if w, err := Inherit(); w != nil || err != nil {
		t.Errorf("without a marker: %v, %v", w, err)
	}
}
