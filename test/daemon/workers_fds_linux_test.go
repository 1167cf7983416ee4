package daemon

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/rawws"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// fewDescriptors is less than any process of wsd has open.
const fewDescriptors = 3

// limitDescriptors has a process get no descriptor from n on, and returns what it might
// have had.
func limitDescriptors(t *testing.T, pid int, n uint64) (before uint64) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	before, limit.Cur = limit.Cur, n
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Fatal(err)
	}
	return before
}

// pidsOf are the parent's and its workers'.
func pidsOf(t *testing.T, p *wsdproc.Process) []int {
	t.Helper()
	pids := []int{p.PID}
	for _, w := range listWorkers(t, p) {
		pids = append(pids, w.PID)
	}
	return pids
}

// calm fails the test when processes spin while fn runs, which takes a second at least.
func calm(t *testing.T, pids []int, fn func()) {
	t.Helper()
	ticks := func() (sum int) {
		for _, pid := range pids {
			sum += cpuTicks(t, pid)
		}
		return sum
	}
	before, begun := ticks(), time.Now()
	fn()
	took := time.Since(begun)
	if used := time.Duration(ticks()-before) * time.Second / 100; used > took/2 {
		t.Errorf("processes %v have used %v of %v", pids, used, took)
	}
}

// Clients that have taken all descriptors of all workers leave what is there alone:
// further ones are closed at once, no process spins, and operators get their answers.
func TestWorkersDescriptorsRunOut(t *testing.T) {
	const inARow = 80 // refusals: with room in one of four workers they do not happen
	p := startLimitedWorkers(t, 200, "--idle-timeout", "0s")
	var good, held []*rawws.Conn
	for range 20 {
		good = append(good, open(t, p.Addr, "/echo"))
	}
	for refused := 0; refused < inARow; {
		c, err := stayOnHTTP(t, p.Addr)
		switch {
		case errors.Is(err, rawws.ErrClosed):
			refused++
		case err != nil || len(held) == workerCount*200:
			t.Fatalf("connection %d: %v", len(held), err)
		default:
			held, refused = append(held, c), 0
		}
	}
	t.Logf("refused after %d", len(good)+len(held))
	refused := inARow
	calm(t, pidsOf(t, p), func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for range 50 {
			if _, err := stayOnHTTP(t, p.Addr); !errors.Is(err, rawws.ErrClosed) {
				t.Fatalf("one more client: %v", err)
			}
			refused++
			sayHello(t, good[refused%len(good)])
			<-tick.C
		}
	})
	testkit.Eventually(t, func() bool { return metric(t, p, fdRefusals) >= float64(refused) }, drainPatience)
	if n := metric(t, p, "wsd_accept_pauses_total"); n != 0 {
		t.Errorf("accepting has paused %v times", n)
	}
	if code, body := get(t, p.Admin, "/readyz"); code != http.StatusServiceUnavailable || strings.Count(body, "descriptors: ") != workerCount {
		t.Errorf("/readyz: %d %s", code, body)
	}
	for _, c := range held {
		c.Reset()
	}
	testkit.Eventually(t, func() bool {
		_, body := get(t, p.Admin, "/readyz")
		return strings.Count(body, `"status":"up"`) == workerCount && !strings.Contains(body, "unready")
	}, drainPatience)
	for range 20 {
		sayHello(t, open(t, p.Addr, "/echo"))
	}
	for _, c := range good {
		sayHello(t, c)
	}
	p.Alive(t)
}

// atHome is a session by polling, with the connection by which it began, which came to
// the worker that has it.
type atHome struct {
	conn *rawws.Conn
	sid  string
}

// homesOf opens sessions until each worker has some: by their cookies.
func homesOf(t *testing.T, p *wsdproc.Process) map[string][]atHome {
	t.Helper()
	homes := map[string][]atHome{}
	for range 400 {
		c := dialRaw(t, p.Addr)
		r := exchange(t, c, "GET", sioPolling, "")
		cookie, _, _ := strings.Cut(r.Header.Get("Set-Cookie"), ";")
		homes[cookie] = append(homes[cookie], atHome{c, sidIn(t, r)})
		full := len(homes) == workerCount
		for _, some := range homes {
			full = full && len(some) >= 2*workerCount
		}
		if full {
			return homes
		}
	}
	t.Fatalf("400 sessions are at %d of %d workers", len(homes), workerCount)
	return nil
}

// Workers that can't accept at all, whoever has taken the descriptors, let clients
// wait, and take no sessions of other workers. Nothing spins meanwhile, and when there
// are descriptors again everything goes on.
func TestWorkersPauseAccepting(t *testing.T) {
	p := startWorkers(t)
	homes := homesOf(t, p)
	var good []*rawws.Conn
	for range 16 {
		good = append(good, open(t, p.Addr, "/echo"))
	}
	const rich = "io=ws-1" // the one that has descriptors, to pass connections on with
	var poor []int
	limits := map[int]uint64{}
	for _, w := range listWorkers(t, p)[1:] {
		poor = append(poor, w.PID)
		limits[w.PID] = limitDescriptors(t, w.PID, fewDescriptors)
	}
	said := func() bool {
		return strings.Count(p.Log(), "connections of other workers can't be taken now") == len(poor)
	}
	var waiting []*rawws.Conn
	calm(t, poor, func() {
		i := 0
		for name, some := range homes {
			if name == rich {
				continue
			}
			if err := homes[rich][i].conn.Send(fmt.Appendf(nil, "POST %s&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n40", sioPolling, some[0].sid)); err != nil {
				t.Fatal(err)
			}
			i++
		}
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for i := range 30 {
			waiting = append(waiting, askHealth(t, p.Addr))
			sayHello(t, good[i%len(good)])
			<-tick.C
		}
		testkit.Eventually(t, said, workersNeed)
	})
	for _, pid := range poor {
		limitDescriptors(t, pid, limits[pid])
	}
	for i, c := range waiting {
		if r, err := c.ReadResponse(); err != nil || r.Status != http.StatusOK {
			t.Errorf("client %d, who waited: %+v, %v", i, r, err)
		}
	}
	if n := metric(t, p, "wsd_accept_pauses_total"); n < 1 {
		t.Errorf("accepting has paused %v times", n)
	}
	i := len(poor)
	for name, some := range homes {
		if name == rich {
			continue
		}
		testkit.Eventually(t, func() bool { // a worker that took nothing is not asked for a while
			return exchange(t, homes[rich][i].conn, "POST", sioPolling+"&sid="+some[0].sid, "40").Status == http.StatusOK
		}, workersNeed)
		i++
	}
	for _, c := range good {
		sayHello(t, c)
	}
	p.Alive(t)
}

// askHealth asks, and does not wait for the answer.
func askHealth(t *testing.T, address string) *rawws.Conn {
	t.Helper()
	c := dialRaw(t, address)
	c.Patience = workersNeed
	if err := c.Send([]byte("GET /health HTTP/1.1\r\nHost: " + address + "\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	return c
}

// A parent without descriptors can neither start a worker again nor accept for it. It
// does not spin, and does both when there are some.
func TestParentOutOfDescriptors(t *testing.T) {
	p := startWorkers(t)
	victim := listWorkers(t, p)[1]
	limit := limitDescriptors(t, p.PID, fewDescriptors)
	if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	said := func(text string) func() bool { return func() bool { return strings.Contains(p.Log(), text) } }
	testkit.Eventually(t, said("a worker can't be started"), workersNeed)
	var all []*rawws.Conn
	calm(t, []int{p.PID}, func() {
		for range 40 {
			all = append(all, askHealth(t, p.Addr))
		}
		testkit.Eventually(t, said("connections for a worker that is gone can't be accepted now"), workersNeed)
		time.Sleep(time.Second) // it has its time to spin
	})
	limitDescriptors(t, p.PID, limit)
	for i, c := range all {
		if r, err := c.ReadResponse(); err != nil || r.Status != http.StatusOK {
			t.Errorf("client %d: %+v, %v", i, r, err)
		}
	}
	testkit.Eventually(t, func() bool {
		w := listWorkers(t, p)[1]
		return w.Up && w.PID != victim.PID
	}, workersNeed)
	p.Alive(t)
}
