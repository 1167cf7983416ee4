package daemon

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/rawws"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// cgroupMemory is what the tests' cgroup allows.
const cgroupMemory = 128 << 20

// memoryGroup is a cgroup of the test's own.
type memoryGroup struct {
	dir         string
	limit, peak string // its files
}

// newMemoryGroup makes one with a limit. The error says why this machine has none for us.
func newMemoryGroup(t *testing.T) (g memoryGroup, err error) {
	name := fmt.Sprintf("wsd-test-%d", os.Getpid())
	for _, g := range []memoryGroup{
		{"/sys/fs/cgroup/" + name, "memory.max", "memory.peak"},
		{"/sys/fs/cgroup/memory/" + name, "memory.limit_in_bytes", "memory.max_usage_in_bytes"},
	} {
		if err = os.Mkdir(g.dir, 0o755); err != nil {
			continue
		}
		if err = g.setLimit(); err == nil {
			t.Cleanup(func() {
				// The kernel may not have noticed at once that the process has ended.
				testkit.Eventually(t, func() bool { return os.Remove(g.dir) == nil }, drainPatience)
			})
			return g, nil
		}
		os.Remove(g.dir)
	}
	return memoryGroup{}, err
}

// setLimit fails where the folder is no cgroup, or one without that controller.
func (g memoryGroup) setLimit() error {
	f, err := os.OpenFile(filepath.Join(g.dir, g.limit), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprint(f, cgroupMemory)
	return err
}

// TestMemoryOfCgroup: in a cgroup of 128 MiB wsd knows its limit without being told,
// and clients that don't read, nor complete their messages, don't get it killed.
func TestMemoryOfCgroup(t *testing.T) {
	args := []string{"serve", "--max-backpressure", "2MiB", "--sio-max-payload", "1MiB", "--drain-lb-wait", "0s"}
	var p *wsdproc.Process
	var peak func() int
	g, err := newMemoryGroup(t)
	if err == nil {
		p = wsdproc.StartGrouped(t, g.dir, args...)
		peak = func() int { return fileNumber(t, filepath.Join(g.dir, g.peak)) }
	} else {
		// Nobody kills it then, but it can be seen whether it stays below.
		t.Logf("NO CGROUP HERE (%v): wsd is told the limit, and its resident memory is looked at instead", err)
		checkOwnCgroup(t)
		p = wsdproc.Start(t, append(args, "--memory-limit", strconv.Itoa(cgroupMemory)+"B")...)
		peak = func() int { return residentPeak(t, p.PID) }
	}
	if n := reading(t, p, "wsd_memory_limit_bytes"); n != cgroupMemory {
		t.Fatalf("the limit is %v", n)
	}
	good := open(t, p.Addr, "/echo")
	sayHello(t, good)
	const readers, writers = 200, 150
	var greedy []*rawws.Conn
	for i := range readers + writers {
		path := "/echo"
		if i >= readers {
			path = "/socket.io/?EIO=4&transport=websocket"
		}
		c := open(t, p.Addr, path)
		greedy = append(greedy, c)
	}
	echo := rawws.Frame{Fin: true, Op: rawws.Binary, Payload: make([]byte, 16<<10)}.Bytes()
	part := rawws.Frame{Fin: true, Op: rawws.Binary, Payload: make([]byte, 1<<20)}.Bytes()
	part = part[:len(part)-1]
	var sent atomic.Int64
	var wg sync.WaitGroup
	for i, c := range greedy {
		wg.Go(func() {
			if i >= readers {
				_ = c.Send(part) // it may be closed meanwhile
				return
			}
			for range 500 {
				if c.Send(echo) != nil {
					return
				}
				sent.Add(int64(len(echo)))
			}
		})
	}
	wg.Wait()
	p.Alive(t)
	t.Logf("%d MiB sent, %d MiB at most in use", sent.Load()>>20, peak()>>20)
	if n := peak(); n > cgroupMemory {
		t.Errorf("%d bytes in use", n)
	}
	if n := reading(t, p, `wsd_websockets_ended_total{cause="memory"}`); n == 0 {
		t.Error("nobody was closed for want of memory: the flood was too little")
	}
	sayHello(t, good)
	for _, c := range greedy {
		c.Reset()
	}
	testkit.Eventually(t, func() bool { return status(p.Admin, "/readyz") == http.StatusOK }, drainPatience)
	testkit.Eventually(t, func() bool { return reading(t, p, "wsd_memory_held_bytes") == 0 }, drainPatience)
	sayHello(t, open(t, p.Addr, "/echo"))
	sayHello(t, good)
	if log := p.Log(); !strings.Contains(log, "memory is short") || !strings.Contains(log, "memory suffices again") {
		t.Errorf("the log does not tell:\n%s", log)
	}
	p.Alive(t)
}

// checkOwnCgroup holds what wsd finds by itself against the limit of the cgroups that
// the test is in, as far as it can be read.
func checkOwnCgroup(t *testing.T) {
	least := 0
	text, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, dir, _ := strings.Cut(rest, ":")
		file := filepath.Join("/sys/fs/cgroup", dir, "memory.max")
		if controllers == "memory" {
			file = filepath.Join("/sys/fs/cgroup/memory", dir, "memory.limit_in_bytes")
		} else if controllers != "" {
			continue
		}
		for ; len(file) > len("/sys/fs/cgroup/memory.max"); file = filepath.Join(filepath.Dir(filepath.Dir(file)), filepath.Base(file)) {
			text, _ := os.ReadFile(file)
			if n, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && n < 1<<62 && (least == 0 || n < least) {
				least = n
			}
		}
	}
	p := wsdproc.Start(t, "serve", "--drain-lb-wait", "0s")
	if n := reading(t, p, "wsd_memory_limit_bytes"); int(n) != least {
		t.Errorf("the limit is %v, of the cgroup %d", n, least)
	}
}

// reading is a value of /metrics, 0 where there is none.
func reading(t *testing.T, p *wsdproc.Process, metric string) float64 {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(metric) + ` (\S+)$`).FindStringSubmatch(scraped(t, p))
	if m == nil {
		return 0
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func fileNumber(t *testing.T, name string) int {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// residentPeak is the most that a process had of the machine's memory, less what of its
// files was mapped: a cgroup can take that back.
func residentPeak(t *testing.T, pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	value := func(name string) int {
		m := regexp.MustCompile(`(?m)^` + name + `:\s+(\d+) kB$`).FindSubmatch(text)
		if m == nil {
			t.Fatalf("no %s in\n%s", name, text)
		}
		n, _ := strconv.Atoi(string(m[1]))
		return n << 10
	}
	return value("VmHWM") - value("RssFile")
}
