package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/balancer"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// publisher numbers what it emits by the API of one node.
type publisher struct {
	name string

	mu    sync.Mutex
	admin string       // "": its node is away
	next  int          // number
	acked map[int]bool // that the API has taken
}

// at says where the node's API is now.
func (p *publisher) at(admin string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.admin = admin
}

// publish emits one more and reports whether the API took it.
func (p *publisher) publish() (n int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.admin == "" {
		return 0, false
	}
	p.next++
	body, _ := json.Marshal(map[string]any{"rooms": []string{"room/all"}, "event": "note", "args": []any{p.name, p.next}})
	res, err := http.Post("http://"+p.admin+"/v1/emit", "application/json", bytes.NewReader(body))
	if err != nil {
		return p.next, false
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	ok = res.StatusCode == http.StatusOK
	if ok {
		p.acked[p.next] = true
	}
	return p.next, ok
}

// run publishes until stop is closed, no faster than a crowd hears on a busy machine.
func (p *publisher) run(stop <-chan struct{}) {
	pace := time.NewTicker(250 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-stop:
			return
		case <-pace.C:
			p.publish()
		}
	}
}

// Three nodes behind HAProxy are restarted one after the other while messages flow:
// every client gets each message that an API call was told was taken, once and in its
// publisher's order, and they do not all come back at once.
func TestRollingRestart(t *testing.T) {
	const clients = 120
	redis := testkit.StartRedis(t)
	var addresses []string
	var launch [servers]func() *wsdproc.Process
	var nodes [servers]*wsdproc.Process
	var publishers [servers]*publisher
	for i := range servers {
		address := fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
		addresses = append(addresses, address)
		launch[i] = func() *wsdproc.Process {
			return wsdproc.Start(t, "serve", "--listen", address, "--server-id", fmt.Sprintf("ws%d", i+1),
				"--adapter", "streams", "--redis-url", redis.URL(), "--recovery", "2m", "--stream-max-len", "100000",
				"--drain-lb-wait", "1s", "--drain-window", drainWindow.String(), "--sio-allow-join", "room/*", "--sio-relay", "say=room/*")
		}
		nodes[i] = launch[i]()
		publishers[i] = &publisher{name: fmt.Sprintf("p%d", i+1), admin: nodes[i].Admin, acked: map[int]bool{}}
	}
	proxy := balancer.HAProxyCookie.Start(t, addresses, [2]string{"timeout connect 5s", "timeout connect 5s\n\ttimeout check 5s"}, [2]string{"inter 2s fall 2 rise 2 slowstart 30s", "inter 300ms fall 2 rise 2"})
	c := gather(t, crowdSettings{
		URL: "http://" + proxy, Clients: clients, Cookies: true, Transports: []string{"websocket", "websocket", "upgrade", "polling"},
	})

	// Who has got no event yet has no place in the stream to return to.
	first, ok := publishers[0].publish()
	if !ok {
		t.Fatal("the first message was not taken")
	}
	c.ask("noted", map[string]any{"from": "p1", "n": first})

	stop := make(chan struct{})
	var running sync.WaitGroup
	for _, p := range publishers {
		running.Go(func() { p.run(stop) })
	}
	halt := sync.OnceFunc(func() {
		close(stop)
		running.Wait()
		http.DefaultClient.CloseIdleConnections()
	})
	t.Cleanup(halt)
	var told []time.Time
	for turn := range servers * rounds() {
		i := turn % servers
		told = append(told, time.Now())
		nodes[i].Signal(t, syscall.SIGTERM)
		if code := nodes[i].Wait(t); code != 0 {
			t.Errorf("%s ended with %d\n%s", publishers[i].name, code, nodes[i].Log())
		}
		publishers[i].at("")
		nodes[i] = launch[i]()
		publishers[i].at(nodes[i].Admin)
		c.ask("ready", nil)
	}
	halt()
	for _, p := range publishers {
		last, ok := p.publish()
		if !ok {
			t.Fatalf("the last message of %s was not taken", p.name)
		}
		c.ask("noted", map[string]any{"from": p.name, "n": last})
	}
	members := c.report()
	checkRolling(t, members, publishers[:])
	checkPace(t, members, told)
}

// drainWindow is over how long a node lets its clients go.
const drainWindow = 4 * time.Second

// checkPace holds when the clients of nodes, which were told to go in turn, lost
// their connections against drainWindow: so few close one in each pause between two
// batches and loop, and need at least an eighth of it, where unpaced they take some
// milliseconds.
func checkPace(t *testing.T, members []member, told []time.Time) {
	t.Helper()
	for i, from := range told {
		var gone []time.Time
		for _, m := range members {
			for _, d := range m.Disconnects {
				at := time.UnixMilli(d.At)
				if at.After(from) && (i == len(told)-1 || at.Before(told[i+1])) {
					gone = append(gone, at)
				}
			}
		}
		if len(gone) < 20 {
			t.Errorf("ws%d let only %d clients go", i%servers+1, len(gone))
			continue
		}
		slices.SortFunc(gone, time.Time.Compare)
		took := gone[len(gone)-1].Sub(gone[0])
		t.Logf("ws%d let %d clients go over %v: %.0f a second", i%servers+1, len(gone), took, float64(len(gone))/took.Seconds())
		if took < drainWindow/8 {
			t.Errorf("ws%d let %d clients go within %v", i%servers+1, len(gone), took)
		}
	}
}

// checkRolling holds what the clients got against what was published.
func checkRolling(t *testing.T, members []member, publishers []*publisher) {
	t.Helper()
	returns, away := 0, 0
	for i, m := range members {
		last, got := map[string]int{}, map[string]map[int]bool{}
		for _, note := range m.Notes {
			from, n := note[0].(string), int(note[1].(float64))
			if got[from] == nil {
				got[from] = map[int]bool{}
			}
			switch {
			case got[from][n]:
				t.Errorf("client %d (%s): %s's %d came twice", i, m.Transport, from, n)
			case n < last[from]:
				t.Errorf("client %d (%s): %s's %d came after its %d", i, m.Transport, from, n, last[from])
			}
			got[from][n], last[from] = true, n
		}
		for _, p := range publishers {
			missing := 0
			for n := range p.acked {
				if !got[p.name][n] {
					missing++
				}
			}
			if missing > 0 {
				t.Errorf("client %d (%s): %d of %d messages of %s are missing; disconnects %v", i, m.Transport, missing, len(p.acked), p.name, m.Disconnects)
			}
		}
		for _, connect := range m.Connects[1:] {
			if returns++; !connect.Recovered {
				away++
			}
		}
	}
	for _, p := range publishers {
		t.Logf("%s: %d messages, %d taken", p.name, p.next, len(p.acked))
		if len(p.acked) < 20 {
			t.Errorf("only %d messages of %s", len(p.acked), p.name)
		}
	}
	t.Logf("%d returns, %d of them not recovered", returns, away)
	if returns < len(members)/2 || away > 0 {
		t.Errorf("%d returns, %d of them not recovered", returns, away)
	}
}
