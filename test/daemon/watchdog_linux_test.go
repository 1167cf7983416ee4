package daemon

import (
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// listenAsSystemd makes the programs that the test starts a service of systemd's, with
// a watchdog that wants to be fed each 0.2 s, and counts how often it is.
func listenAsSystemd(t *testing.T) (fed *atomic.Int64) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "200000")
	fed = new(atomic.Int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			if string(b[:n]) == "WATCHDOG=1" {
				fed.Add(1)
			}
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return fed
}

// A worker that ends again and again does not starve the watchdog while others serve:
// systemd would end those as well. When none serves it does.
func TestWatchdogOfWorkers(t *testing.T) {
	fed := listenAsSystemd(t)
	p := startWorkers(t)
	more := func() {
		t.Helper()
		before := fed.Load()
		testkit.Eventually(t, func() bool { return fed.Load() >= before+3 }, workersNeed)
	}
	more()
	crash := func() workerInfo {
		w := listWorkers(t, p)[0]
		if w.Up {
			_ = syscall.Kill(w.PID, syscall.SIGKILL) // it may have been already
		}
		return w
	}
	testkit.Eventually(t, func() bool {
		crash()
		_, body := get(t, p.Admin, "/livez")
		return strings.Contains(body, `"status":"crashing"`)
	}, workersNeed)
	testkit.Eventually(t, func() bool {
		down, before := crash(), fed.Load()
		time.Sleep(500 * time.Millisecond)
		now := listWorkers(t, p)[0]
		return !down.Up && !now.Up && now.Restarts == down.Restarts && fed.Load() >= before+3
	}, workersNeed)

	all := listWorkers(t, p)
	limit := limitDescriptors(t, p.PID, fewDescriptors) // it can start none again
	for _, w := range all {
		if w.PID != 0 {
			_ = syscall.Kill(w.PID, syscall.SIGKILL)
		}
	}
	testkit.Eventually(t, func() bool {
		before := fed.Load()
		time.Sleep(500 * time.Millisecond) // it may not know yet
		return fed.Load() == before
	}, workersNeed)
	limitDescriptors(t, p.PID, limit)
	more()
	p.Alive(t)
}
