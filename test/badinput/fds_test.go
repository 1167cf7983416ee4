package badinput

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/test/rawws"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// TestDescriptorsExhausted: a server with few file descriptors keeps serving
// those it has, does not spin, and accepts again when some are free.
func TestDescriptorsExhausted(t *testing.T) {
	const files = 256 // half of them wsd keeps for other things than connections
	p := wsdproc.StartLimited(t, files, "echo", "--loops", "1", "--max-connections", "1000", "--idle-timeout", "0s")
	var served []*rawws.Conn
	for i := range 10 {
		c, err := rawws.Open(p.Addr, "/", pmd)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer c.Close()
		served = append(served, c)
	}
	before := openFiles(t, p.PID)

	// The kernel completes these connects; most are closed as soon as accepted.
	var waiting []*rawws.Conn
	for i := range 3 * files {
		c, err := rawws.Dial(p.Addr)
		if err != nil {
			t.Fatalf("connect %d: %v", i, err)
		}
		defer c.Close()
		waiting = append(waiting, c)
	}
	if !eventually(func() bool { return openFiles(t, p.PID) >= files-1 }) {
		t.Fatalf("only %d files open", openFiles(t, p.PID))
	}
	busy := cpuDuring(t, p.PID, time.Second, func() { allEcho(t, served) })
	if busy > 500*time.Millisecond {
		t.Errorf("out of descriptors for a second, the server was busy for %v of it", busy)
	}
	p.Alive(t)
	if log := p.Log(); !strings.Contains(log, `"a connection was refused"`) || strings.Contains(log, "accepting pauses") {
		t.Errorf("who is too many is to be refused, and nobody to wait:\n%s", log)
	}

	for _, c := range waiting {
		c.Reset()
	}
	fresh := openSoon(t, p.Addr)
	defer fresh.Close()
	allEcho(t, append(served, fresh))
	if !eventually(func() bool { return openFiles(t, p.PID) <= before+1 }) {
		t.Errorf("%d files open, %d before", openFiles(t, p.PID), before)
	}
}

// openSoon connects when the server has come to accept again.
func openSoon(t *testing.T, addr string) (c *rawws.Conn) {
	t.Helper()
	var err error
	if !eventually(func() bool {
		c, err = rawws.Open(addr, "/", pmd)
		return err == nil
	}) {
		t.Fatalf("no connection after descriptors are free: %v", err)
	}
	return c
}

func allEcho(t *testing.T, all []*rawws.Conn) {
	t.Helper()
	for i, c := range all {
		if err := echoes(c); err != nil {
			t.Fatalf("client %d is not served: %v", i, err)
		}
	}
}

func openFiles(t *testing.T, pid int) int {
	t.Helper()
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// cpuDuring runs f, again and again, for d, and returns the processor time that
// the process used.
func cpuDuring(t *testing.T, pid int, d time.Duration, f func()) time.Duration {
	t.Helper()
	before := cpu(t, pid)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		f()
	}
	return cpu(t, pid) - before
}

// cpu reads the user and system time of a process. proc_pid_stat(5)
func cpu(t *testing.T, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+2:]))
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}
