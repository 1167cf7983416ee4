package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/rawws"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

const (
	workerCount   = 4
	workersNeed   = 30 * time.Second // whatever takes a restart
	sessionClosed = `{"code":1,"message":"Session ID unknown"}`
)

// startWorkers starts a parent with its workers.
func startWorkers(t *testing.T, args ...string) *wsdproc.Process {
	t.Helper()
	return startLimitedWorkers(t, 0, args...)
}

// startLimitedWorkers is startWorkers with at most fds open files for each process.
func startLimitedWorkers(t *testing.T, fds int, args ...string) *wsdproc.Process {
	t.Helper()
	redis := testkit.StartRedis(t)
	return wsdproc.StartLimited(t, fds, append([]string{"serve", "--workers", fmt.Sprint(workerCount), "--server-id", "ws",
		"--adapter", "classic", "--redis-url", redis.URL(), "--drain-lb-wait", "0s", "--max-connections", "1000",
		"--sio-allow-join", "room/*", "--sio-relay", "say=room/*"}, args...)...)
}

// workerInfo is what /v1/workers tells of one.
type workerInfo struct {
	Worker, PID, Connections, Restarts int
	ServerID                           string `json:"server_id"`
	Up, Draining                       bool
}

// get is an answer of the admin listener.
func get(t *testing.T, address, path string) (status int, body string) {
	t.Helper()
	res, err := http.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func listWorkers(t *testing.T, p *wsdproc.Process) []workerInfo {
	t.Helper()
	var list struct{ Workers []workerInfo }
	if _, body := get(t, p.Admin, "/v1/workers"); json.Unmarshal([]byte(body), &list) != nil || len(list.Workers) != workerCount {
		t.Fatal(body)
	}
	return list.Workers
}

// metric is a value of /metrics, -1 where there is none.
func metric(t *testing.T, p *wsdproc.Process, series string) float64 {
	t.Helper()
	_, body := get(t, p.Admin, "/metrics")
	for line := range strings.Lines(body) {
		var v float64
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == series {
			if _, err := fmt.Sscan(value, &v); err == nil {
				return v
			}
		}
	}
	return -1
}

// exchange sends a request on a connection and returns the answer.
func exchange(t *testing.T, c *rawws.Conn, method, path, body string) *rawws.Response {
	t.Helper()
	if err := c.Send(fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s",
		method, path, c.Conn.RemoteAddr(), len(body), body)); err != nil {
		t.Fatal(err)
	}
	r, err := c.ReadResponse()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func dialRaw(t *testing.T, address string) *rawws.Conn {
	t.Helper()
	c, err := rawws.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Conn.Close() })
	return c
}

// openSession begins a session by polling and returns its id.
func openSession(t *testing.T, c *rawws.Conn) string {
	t.Helper()
	return sidIn(t, exchange(t, c, "GET", sioPolling, ""))
}

// sidIn is the session id that an answer tells.
func sidIn(t *testing.T, r *rawws.Response) string {
	t.Helper()
	var open struct{ SID string }
	if r.Status != http.StatusOK || len(r.Body) == 0 || json.Unmarshal([]byte(r.Body[1:]), &open) != nil {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	return open.SID
}

// Sessions are reached by every connection, though each comes to any worker; the
// workers are told by cookie, and their numbers add up.
func TestWorkers(t *testing.T) {
	p := startWorkers(t)
	t.Run("as described", func(t *testing.T) {
		a := apiOf(t, p, "")
		a.get(200, "/v1/workers", nil)
		a.get(200, "/v1/overview", nil)
	})
	t.Run("npm clients", func(t *testing.T) {
		const clients = 24
		c := gather(t, crowdSettings{
			URL: "http://" + p.Addr, Clients: clients,
			Transports: []string{"websocket", "polling", "upgrade"},
			Options:    map[string]any{"reconnection": false},
		})
		for range 3 {
			c.ask("say", nil)
		}
		for i, m := range c.report() {
			if len(m.Connects) != 1 {
				t.Errorf("client %d, by %s, connected %d times: %v", i, m.Transport, len(m.Connects), m.Disconnects)
			}
		}
		testkit.Eventually(t, func() bool { return metric(t, p, "websocket_connections") == clients }, workersNeed)
		testkit.Eventually(t, func() bool { return connections(t, p.Addr) == clients }, workersNeed)
		var used []string // the ends of the ids of connections
		sum := 0.0
		for _, w := range listWorkers(t, p) {
			n := metric(t, p, `wsd_worker_connections{worker="`+w.ServerID+`"}`)
			if sum += n; n > 0 {
				used = append(used, fmt.Sprintf(`@%d"`, w.Worker))
			}
		}
		if sum != clients {
			t.Errorf("the workers' connections are %v, want %d", sum, clients)
		}
		if n := metric(t, p, `wsd_worker_handovers_total{result="ok"}`); n < 1 {
			t.Errorf("%v connections were passed on", n)
		}
		for _, result := range []string{"lost", "refused", "timeout", "busy"} {
			if n := metric(t, p, `wsd_worker_handovers_total{result="`+result+`"}`); n != 0 {
				t.Errorf("%v connections: %s", n, result)
			}
		}
		_, body := get(t, p.Admin, "/v1/connections?limit=100")
		if strings.Count(body, `"kind":"sio"`) != clients {
			t.Errorf("/v1/connections: %s", body)
		}
		for _, end := range used {
			if !strings.Contains(body, end) {
				t.Errorf("/v1/connections has none of %s: %s", end, body)
			}
		}
	})
	t.Run("one connection, many sessions", oneConnection(p))
	t.Run("cookie", func(t *testing.T) {
		seen := map[string]bool{}
		for range 200 {
			seen[poll(t, p.Addr).Header.Get("Set-Cookie")] = true
		}
		for i := range workerCount {
			if want := fmt.Sprintf("io=ws-%d; Path=/; HttpOnly; SameSite=Lax", i+1); !seen[want] {
				t.Errorf("no worker says %q: %v", want, seen)
			}
		}
	})
	t.Run("metrics of the whole", func(t *testing.T) {
		for series, want := range map[string]float64{"wsd_connections_limit": 1000, `wsd_worker_up{worker="ws-3"}`: 1} {
			if n := metric(t, p, series); n != want {
				t.Errorf("%s is %v, want %v", series, n, want)
			}
		}
		if _, body := get(t, p.Admin, "/metrics"); strings.Count(body, "wsd_build_info{") != 1 || !strings.Contains(body, `loop="4/0"`) {
			t.Error("the merged metrics are not those of four workers of one program")
		}
		for _, path := range []string{"/livez", "/readyz", "/health"} {
			if status, body := get(t, p.Admin, path); status != http.StatusOK {
				t.Errorf("%s: %d %s", path, status, body)
			}
		}
	})
	t.Run("one worker's admin", func(t *testing.T) {
		if _, body := get(t, p.Admin, "/metrics"); !strings.Contains(body, "wsd_worker_up") {
			t.Error("the parent's metrics have no workers")
		}
		for _, name := range []string{"2", "ws-2"} {
			res, err := http.Get("http://" + p.Admin + "/v1/nodes?worker=" + name)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if got := res.Header.Get("X-Wsd-Worker"); res.StatusCode != http.StatusOK || got != "ws-2" {
				t.Errorf("worker %s: %d by %q", name, res.StatusCode, got)
			}
		}
		http.DefaultClient.CloseIdleConnections()
		if status, _ := get(t, p.Admin, "/v1/nodes?worker=9"); status != http.StatusNotFound {
			t.Errorf("a worker that there is not: %d", status)
		}
	})
	p.Signal(t, syscall.SIGTERM)
	if code := p.Wait(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.Log())
	}
}

// oneConnection is a kept-alive connection, as of a balancer, with requests of many
// sessions, which live in all workers: by turns, and pipelined with bodies.
func oneConnection(p *wsdproc.Process) func(t *testing.T) {
	return func(t *testing.T) {
		var sids []string
		for range 12 {
			sids = append(sids, openSession(t, dialRaw(t, p.Addr)))
		}
		c := dialRaw(t, p.Addr)
		for round := range 3 {
			for i, sid := range sids {
				path := sioPolling + "&sid=" + sid
				body := "40"
				if round > 0 {
					body = "42" + fmt.Sprintf(`["x","%s"]`, strings.Repeat("y", 20_000*round))
				}
				if r := exchange(t, c, "POST", path, body); r.Status != http.StatusOK || r.Body != "ok" {
					t.Fatalf("round %d, session %d: %d %s", round, i, r.Status, r.Body)
				}
				if round == 0 {
					if r := exchange(t, c, "GET", path, ""); r.Status != http.StatusOK || !strings.HasPrefix(r.Body, "40{") {
						t.Fatalf("session %d: %d %s", i, r.Status, r.Body)
					}
				}
			}
		}
		var all strings.Builder
		for _, sid := range sids {
			fmt.Fprintf(&all, "POST %s&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n42[\"p\"]", sioPolling, sid)
		}
		if err := c.Send([]byte(all.String())); err != nil {
			t.Fatal(err)
		}
		for i := range sids {
			if r, err := c.ReadResponse(); err != nil || r.Status != http.StatusOK || r.Body != "ok" {
				t.Fatalf("pipelined %d: %v %+v", i, err, r)
			}
		}
		if r := exchange(t, c, "GET", sioPolling+"&sid=nobody", ""); r.Status != http.StatusBadRequest || r.Body != sessionClosed {
			t.Errorf("nobody's session: %d %s", r.Status, r.Body)
		}
	}
}

// A worker that is killed is started again; meanwhile nobody is refused, and the
// clients of the others notice nothing. Those of its own are told that their session
// is gone.
func TestKilledWorker(t *testing.T) {
	p := startWorkers(t)
	before := listWorkers(t, p)
	victim := before[1]
	t.Run("all tell what they do", func(t *testing.T) {
		p.Signal(t, syscall.SIGUSR1)
		for _, w := range before {
			end := fmt.Sprintf("wsd: end of the dump of process %d\n", w.PID)
			testkit.Eventually(t, func() bool { return strings.Contains(p.Log()+"\n", end) }, workersNeed)
		}
		for i, w := range listWorkers(t, p) {
			if w.PID != before[i].PID || w.Restarts != 0 {
				t.Errorf("%+v has ended of SIGUSR1", w)
			}
		}
	})
	var sids []string
	for range 32 {
		sids = append(sids, openSession(t, dialRaw(t, p.Addr)))
	}
	var echoes []*rawws.Conn
	for range 16 {
		echoes = append(echoes, upgrade(t, p.Addr, "/echo"))
	}
	opened := metric(t, p, "wsd_connections_accepted_total")
	lost := 0 // what the victim has, as the kernel chose
	testkit.Eventually(t, func() bool {
		all := 0
		for _, w := range listWorkers(t, p) {
			if all += w.Connections; w.Worker == victim.Worker {
				lost = w.Connections
			}
		}
		return all == len(sids)+len(echoes)
	}, workersNeed)
	if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gone := func() bool {
		_, err := os.Stat(filepath.Join("/proc", fmt.Sprint(victim.PID)))
		return os.IsNotExist(err)
	}
	testkit.Eventually(t, gone, workersNeed) // who comes sooner may be its client still
	stop := make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := answers(p.Addr, "/health"); err != nil {
				failed <- err
				return
			}
		}
	}()
	testkit.Eventually(t, func() bool {
		w := listWorkers(t, p)[1]
		return w.Up && w.PID != victim.PID && w.Restarts == 1
	}, workersNeed)
	close(stop)
	if err := <-failed; err != nil {
		t.Errorf("while the worker was gone: %v", err)
	}
	for _, w := range listWorkers(t, p) {
		if w.Worker != victim.Worker && w.PID != before[w.Worker-1].PID {
			t.Errorf("%s is another process", w.ServerID)
		}
	}
	alive, there := 0, 0
	for _, c := range echoes {
		if _, err := c.Write(rawws.Frame{Fin: true, Op: rawws.Text, Payload: []byte("x")}.Bytes()); err != nil {
			continue
		}
		if e, err := c.Next(); err == nil && string(e.Payload) == "x" {
			alive++
		}
	}
	for _, sid := range sids {
		switch r := exchange(t, dialRaw(t, p.Addr), "POST", sioPolling+"&sid="+sid, "40"); {
		case r.Status == http.StatusOK:
			there++
		case r.Status == http.StatusBadRequest && r.Body == sessionClosed:
		default:
			t.Errorf("%d %s", r.Status, r.Body)
		}
	}
	if want := len(echoes) + len(sids) - lost; alive+there != want {
		t.Errorf("%d connections and %d sessions are left, want %d", alive, there, want)
	}
	if n := metric(t, p, "wsd_connections_accepted_total"); n < opened {
		t.Errorf("a counter has fallen from %v to %v", opened, n)
	}
	if n := metric(t, p, `wsd_worker_restarts_total{worker="`+victim.ServerID+`"}`); n != 1 {
		t.Errorf("restarts: %v", n)
	}
}

// answers asks for a path on a connection of its own.
func answers(address, path string) error {
	c, err := net.DialTimeout("tcp", address, workersNeed)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(workersNeed))
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: "+address+"\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	b, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200 ") {
		return fmt.Errorf("%q, %w", b, err)
	}
	return nil
}

// While one worker drains, which takes as long as its clients stay, the others serve
// who comes. It is started again, and TERM of all ends well.
func TestWorkersDrainOfOne(t *testing.T) {
	p := startWorkers(t, "--drain-lb-wait", "5m", "--drain-window", "5m", "--drain-timeout", "10m")
	var echoes []*rawws.Conn
	for range 40 {
		echoes = append(echoes, upgrade(t, p.Addr, "/echo"))
	}
	before := listWorkers(t, p)[1]
	res, err := http.Post("http://"+p.Admin+"/v1/drain?worker=2", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if res.StatusCode != http.StatusAccepted {
		t.Fatalf("drain: %d", res.StatusCode)
	}
	testkit.Eventually(t, func() bool { return listWorkers(t, p)[1].Draining }, workersNeed)
	for range 40 {
		if err := answers(p.Addr, "/health"); err != nil {
			t.Fatalf("while a worker drains: %v", err)
		}
	}
	if w := listWorkers(t, p)[1]; !w.Draining || w.PID != before.PID {
		t.Errorf("it drains no more: %+v", w)
	}
	for _, c := range echoes {
		c.Conn.Close()
	}
	testkit.Eventually(t, func() bool {
		w := listWorkers(t, p)[1]
		return w.Up && !w.Draining && w.PID != before.PID && w.Restarts == 1
	}, workersNeed)
	p.Signal(t, syscall.SIGTERM)
	if code := p.Wait(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.Log())
	}
}

// A client that does not leave makes the drain a forced one.
func TestWorkersForced(t *testing.T) {
	p := startWorkers(t, "--drain-timeout", "500ms")
	upgrade(t, p.Addr, "/echo") // and answers nothing
	p.Signal(t, syscall.SIGTERM)
	if code := p.Wait(t); code != 1 {
		t.Errorf("exit code %d\n%s", code, p.Log())
	}
}

// A parent that is killed leaves no worker, and its directory to the next one.
func TestKilledParent(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	directories := func() []string {
		all, _ := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "wsd-workers-*"))
		return all
	}
	p := startWorkers(t)
	pids := listWorkers(t, p)
	p.Signal(t, syscall.SIGKILL)
	p.Wait(t)
	for _, w := range pids {
		testkit.Eventually(t, func() bool {
			_, err := os.Stat(filepath.Join("/proc", fmt.Sprint(w.PID)))
			return os.IsNotExist(err)
		}, workersNeed)
	}
	if c, err := net.Listen("tcp", p.Addr); err != nil {
		t.Errorf("the port is not free: %v", err)
	} else {
		c.Close()
	}
	left := directories()
	if len(left) != 1 {
		t.Errorf("directories are left: %v", left)
	}
	next := startWorkers(t)
	if now := directories(); len(now) != 1 || len(left) == 1 && now[0] == left[0] {
		t.Errorf("the next one has %v", now)
	}
	next.Signal(t, syscall.SIGTERM)
	if code := next.Wait(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, next.Log())
	}
	if now := directories(); len(now) > 0 {
		t.Errorf("it has left %v", now)
	}
}
