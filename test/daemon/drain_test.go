package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/rawws"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// What TestDrainUnderLoad has connected: most of them listen.
const (
	drainGroups    = 20 // topics, and as many rooms
	topicListeners = 300
	roomListeners  = 175
	pollers        = 460
	speakEvery     = time.Second
	drainPatience  = 60 * time.Second
	drainTimeout   = 90 * time.Second // a busy machine needs some of it
	// apart is by how much two clients' clocks of one event may differ: what came
	// later than that for one of them came later on the server.
	apart = 2 * time.Second
)

// hearer is a client that listens to one who counts, and what became of it.
type hearer struct {
	last   int    // the last number, 0 before the first
	ending func() // called before the Close frame is answered; nil: nothing is
	closed time.Time
	err    error
}

// hear takes a number, which must follow the last.
func (h *hearer) hear(text string) {
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		h.err = errors.Join(h.err, err)
	case h.last != 0 && n != h.last+1:
		h.err = errors.Join(h.err, fmt.Errorf("%d follows %d", n, h.last))
	}
	h.last = n
}

// speaker is a client that counts, and how far it got before it knew of the end.
type speaker struct {
	said   atomic.Int64 // sent; Socket.IO: acknowledged
	closed time.Time
	err    error
}

// group is a topic or a room.
type group struct {
	speaker speaker
	hearers []*hearer
}

// farewell answers the Close frame e and waits for the end.
func farewell(c *rawws.Conn, e rawws.Event, code int) error {
	if e.Kind != rawws.CloseFrame || e.Code != code {
		return fmt.Errorf("%v, want code %d", e, code)
	}
	var body []byte
	if e.Code != 1005 {
		body = []byte{byte(e.Code >> 8), byte(e.Code)}
	}
	if err := c.Send(rawws.Frame{Fin: true, Op: rawws.Close, Payload: body}.Bytes()); err != nil {
		return err
	}
	if e, err := c.Next(); err != nil || e.Kind != rawws.End {
		return fmt.Errorf("behind the Close frames: %v, %w", e, err)
	}
	return nil
}

func text(s string) []byte {
	return rawws.Frame{Fin: true, Op: rawws.Text, Payload: []byte(s)}.Bytes()
}

// open connects and closes with the test.
func open(t *testing.T, addr, path string) *rawws.Conn {
	t.Helper()
	c, err := rawws.Dial(addr)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	t.Cleanup(func() { c.Close() })
	c.Patience = drainPatience
	if err := c.Upgrade(path, ""); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return c
}

// listen reads a topic until the server goes away.
func (h *hearer) listen(c *rawws.Conn) {
	for {
		e, err := c.Next()
		switch {
		case err != nil:
			h.err = errors.Join(h.err, err)
			return
		case e.Kind == rawws.TextMessage:
			h.hear(string(e.Payload))
			continue
		case e.Kind == rawws.PingFrame:
			continue
		}
		h.closed = time.Now()
		if h.ending != nil {
			h.ending()
		}
		h.err = errors.Join(h.err, farewell(c, e, 1001))
		return
	}
}

// speak counts on a topic until the server goes away.
func (s *speaker) speak(c *rawws.Conn) {
	var mu sync.Mutex // held while a number is sent: none comes behind the answer to the Close frame
	over, ended := false, make(chan struct{})
	go func() {
		defer close(ended)
		h := hearer{ending: func() {
			mu.Lock()
			defer mu.Unlock()
			over = true
		}}
		h.listen(c)
		s.closed, s.err = h.closed, h.err
	}()
	say := func(n int) bool {
		mu.Lock()
		defer mu.Unlock()
		if over || c.Send(text(strconv.Itoa(n))) != nil {
			return false
		}
		s.said.Store(int64(n))
		return true
	}
	tick := time.NewTicker(speakEvery)
	defer tick.Stop()
	for n := 1; say(n); n++ {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
	}
	<-ended
}

// sioOpen connects a Socket.IO client over a WebSocket and joins a room.
func sioOpen(t *testing.T, addr, room string) *rawws.Conn {
	t.Helper()
	c := open(t, addr, "/socket.io/?EIO=4&transport=websocket")
	join, _ := json.Marshal([]string{"join", room})
	for _, step := range []struct{ send, want string }{
		{"", "0{"}, {"40", "40{"}, {"420" + string(join), `430[{"ok":true}]`},
	} {
		if step.send != "" {
			if err := c.Send(text(step.send)); err != nil {
				t.Fatal(err)
			}
		}
		if e, err := c.Next(); err != nil || !strings.HasPrefix(string(e.Payload), step.want) {
			t.Fatalf("%v, %v, want %s", e, err, step.want)
		}
	}
	return c
}

// sioRead handles packets until the server goes away: packet is told those of
// Socket.IO.
func sioRead(c *rawws.Conn, packet func(string)) (closed time.Time, err error) {
	for {
		e, err := c.Next()
		switch {
		case err != nil:
			return closed, err
		case e.Kind == rawws.CloseFrame || e.Kind == rawws.End:
			closed = time.Now()
			return closed, farewell(c, e, 1005) // as Node closes
		case string(e.Payload) == "2":
			_ = c.Send(text("3")) // a failure shows when reading
		default:
			packet(string(e.Payload))
		}
	}
}

// status is what a GET is answered with, 0 when it is not.
func status(addr, path string) int {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: drainPatience}
	res, err := client.Get("http://" + addr + path)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// number is the number in ["say",room,number].
func number(packet string) string {
	if i := strings.LastIndexByte(packet, ','); i > 0 {
		return strings.TrimSuffix(packet[i+1:], "]")
	}
	return packet
}

// sioSpeak counts in a room, and counts what is acknowledged.
func (s *speaker) sioSpeak(c *rawws.Conn, room string) {
	acks := make(chan int, 1<<12)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.closed, s.err = sioRead(c, func(p string) {
			var id int
			if _, err := fmt.Sscanf(p, `43%d[{"ok":true}]`, &id); err == nil {
				acks <- id
			}
		})
	}()
	tick := time.NewTicker(speakEvery)
	defer tick.Stop()
	for n := 1; ; {
		select {
		case <-ended:
			return
		case id := <-acks:
			s.said.Store(int64(id))
		case <-tick.C:
			_ = c.Send(text(fmt.Sprintf(`42%d["say",%q,%d]`, n, room, n)))
			n++
		}
	}
}

// poll polls until the server says that it closes; ready is called in between, when
// the client is in its room.
func (h *hearer) poll(client *http.Client, url string, ready func()) {
	h.err = func() error {
		ask := func(method, body string) (string, error) {
			req, err := http.NewRequest(method, url, strings.NewReader(body))
			if err != nil {
				return "", err
			}
			res, err := client.Do(req)
			if err != nil {
				return "", err
			}
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			if err == nil && res.StatusCode != http.StatusOK {
				err = fmt.Errorf("%s: status %d %s", method, res.StatusCode, b)
			}
			return string(b), err
		}
		answer, err := ask("GET", "")
		if err != nil {
			return err
		}
		var handshake struct{ SID string }
		if err := json.Unmarshal(bytes.TrimPrefix([]byte(answer), []byte("0")), &handshake); err != nil {
			return err
		}
		url += "&sid=" + handshake.SID
		if _, err := ask("POST", "40"); err != nil {
			return err
		}
		for joined := false; ; {
			answer, err := ask("GET", "")
			if err != nil {
				return err
			}
			for _, p := range strings.Split(answer, "\x1e") {
				switch {
				case p == "1":
					h.closed = time.Now()
					return nil
				case p == "2":
					if _, err := ask("POST", "3"); err != nil {
						return err
					}
				case strings.HasPrefix(p, "40"):
					if _, err := ask("POST", `420["join","poll"]`); err != nil {
						return err
					}
				case strings.HasPrefix(p, "430"):
					if !joined {
						joined = true
						ready()
					}
				case strings.HasPrefix(p, "42"):
					h.hear(number(p))
				}
			}
		}
	}()
}

// heardAll holds what the listeners of a group have heard against what was said.
func heardAll(t *testing.T, name string, g *group, red int64) {
	t.Helper()
	s := &g.speaker
	said := int(s.said.Load())
	if s.err != nil || s.closed.IsZero() {
		t.Errorf("%s: the speaker: %v", name, s.err)
	}
	for i, h := range g.hearers {
		switch {
		case h.err != nil || h.closed.IsZero():
			t.Errorf("%s: client %d: %v", name, i, h.err)
		case h.last < int(red):
			t.Errorf("%s: client %d heard up to %d, but %d was said before anybody was closed", name, i, h.last, red)
		case h.last < said && h.closed.After(s.closed.Add(apart)):
			t.Errorf("%s: client %d heard up to %d of %d, and was connected %v longer than the speaker", name, i, h.last, said, h.closed.Sub(s.closed))
		}
	}
}

// TestDrainUnderLoad has 10,000 clients connected and talking when wsd is told to
// stop: readiness turns red first, everybody is told in the way of his protocol, and
// nobody misses what was said while he was connected.
func TestDrainUnderLoad(t *testing.T) {
	p := wsdproc.Start(t, "serve", "--sio-allow-join", "**", "--sio-relay", "say=**", "--origins", "*",
		"--drain-lb-wait", "2s", "--drain-window", "5s", "--drain-timeout", drainTimeout.String(), "--max-connections", "12000")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%.4000s", p.Log())
		}
	})
	var wg sync.WaitGroup
	topics, rooms, polled := make([]group, drainGroups), make([]group, drainGroups), group{}
	for i := range drainGroups {
		topic, room := fmt.Sprintf("/topics/t%d", i), fmt.Sprintf("r%d", i)
		for range topicListeners {
			h := &hearer{}
			topics[i].hearers = append(topics[i].hearers, h)
			c := open(t, p.Addr, topic+"?mode=sub")
			wg.Go(func() { h.listen(c) })
		}
		for range roomListeners {
			h := &hearer{}
			rooms[i].hearers = append(rooms[i].hearers, h)
			c := sioOpen(t, p.Addr, room)
			wg.Go(func() {
				closed, err := sioRead(c, func(p string) { h.hear(number(p)) })
				h.closed, h.err = closed, errors.Join(h.err, err)
			})
		}
	}
	// Half of those who poll make a connection for each request, as some load
	// balancers do.
	var joined sync.WaitGroup
	for _, fresh := range []bool{false, true} {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: fresh, MaxIdleConnsPerHost: pollers}, Timeout: drainPatience}
		t.Cleanup(client.CloseIdleConnections)
		for range pollers / 2 {
			h := &hearer{}
			polled.hearers = append(polled.hearers, h)
			joined.Add(1)
			wg.Go(func() {
				ready := sync.OnceFunc(joined.Done)
				defer ready()
				h.poll(client, "http://"+p.Addr+"/socket.io/?EIO=4&transport=polling", ready)
			})
		}
	}
	joined.Wait()
	// The speakers come last, so that they go first: what they said is on its way.
	var begin []func()
	for i := range drainGroups {
		topic, room := fmt.Sprintf("/topics/t%d", i), fmt.Sprintf("r%d", i)
		c, s := open(t, p.Addr, topic+"?mode=pub"), sioOpen(t, p.Addr, room)
		begin = append(begin, func() { topics[i].speaker.speak(c) }, func() { rooms[i].speaker.sioSpeak(s, room) })
	}
	s := sioOpen(t, p.Addr, "poll")
	begin = append(begin, func() { polled.speaker.sioSpeak(s, "poll") })
	for _, fn := range begin {
		wg.Go(fn)
	}
	all := drainGroups*(topicListeners+roomListeners+2) + pollers + 1
	if got := connections(t, p.Addr); got != all {
		t.Fatalf("%d clients, want %d", got, all)
	}
	speaking := func(g *group) bool { return g.speaker.said.Load() >= 3 }
	testkit.Eventually(t, func() bool {
		for i := range drainGroups {
			if !speaking(&topics[i]) || !speaking(&rooms[i]) {
				return false
			}
		}
		return speaking(&polled)
	}, drainPatience)

	said := func() (counts []int64) {
		for i := range drainGroups {
			counts = append(counts, topics[i].speaker.said.Load(), rooms[i].speaker.said.Load())
		}
		return append(counts, polled.speaker.said.Load())
	}
	before, told := said(), time.Now()
	p.Signal(t, syscall.SIGTERM)
	testkit.Eventually(t, func() bool { return status(p.Addr, "/health") == http.StatusServiceUnavailable }, drainPatience)
	red := said()
	if metric(t, p, "websocket_connections") < float64(all) { // on a busy machine that was seen too late
		red = before
	}
	if n := status(p.Admin, "/metrics"); n != http.StatusOK {
		t.Errorf("the admin listener answers %d while wsd drains", n)
	}
	if n := status(p.Admin, "/readyz"); n != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d", n)
	}
	wg.Wait()
	if code := p.Wait(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.Log())
	}
	// Exit code 0 says that it was within --drain-timeout.
	t.Logf("%d clients, drained in %v", all, time.Since(told))
	first, last := time.Now(), told
	for i := range drainGroups {
		heardAll(t, fmt.Sprintf("topic %d", i), &topics[i], red[2*i])
		heardAll(t, fmt.Sprintf("room %d", i), &rooms[i], red[2*i+1])
		for _, h := range append(append([]*hearer(nil), topics[i].hearers...), rooms[i].hearers...) {
			if h.closed.Before(first) {
				first = h.closed
			}
			if h.closed.After(last) {
				last = h.closed
			}
		}
	}
	heardAll(t, "pollers", &polled, red[2*drainGroups])
	if first.Before(told.Add(2*time.Second)) || last.Sub(first) < 2*time.Second {
		t.Errorf("clients were closed from %v to %v after the signal, want them spread behind the wait for balancers", first.Sub(told), last.Sub(told))
	}
}

// TestDrainForced: clients that neither read nor answer can't keep wsd.
func TestDrainForced(t *testing.T) {
	p := wsdproc.Start(t, "serve", "--drain-lb-wait", "0s", "--drain-window", "0s", "--drain-timeout", "2s", "--max-backpressure", "unlimited")
	for range 20 {
		open(t, p.Addr, "/topics/t?mode=sub") // never read
	}
	c := open(t, p.Addr, "/topics/t?mode=pub")
	for range 200 {
		if err := c.Send(rawws.Frame{Fin: true, Op: rawws.Binary, Payload: make([]byte, 16<<10)}.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	sioOpenOnly := open(t, p.Addr, "/socket.io/?EIO=4&transport=websocket")
	defer sioOpenOnly.Close()
	begin := time.Now()
	p.Signal(t, syscall.SIGTERM)
	if code := p.Wait(t); code != 1 {
		t.Errorf("exit code %d\n%s", code, p.Log())
	}
	if took := time.Since(begin); took < 2*time.Second {
		t.Errorf("forced after %v, before the time-out", took)
	}
	if !strings.Contains(p.Log(), "drain cut short after 2s") {
		t.Errorf("the log does not say so:\n%s", p.Log())
	}
}

// TestDrainSendsClientsElsewhere: npm's clients, by whatever transport, reconnect by
// themselves.
func TestDrainSendsClientsElsewhere(t *testing.T) {
	args := []string{"serve", "--sio-allow-join", "**", "--sio-relay", "say=**", "--drain-lb-wait", "0s", "--drain-window", "1s", "--reuse-port"}
	first := wsdproc.Start(t, args...)
	crowd := gather(t, crowdSettings{URL: "http://" + first.Addr, Clients: 12, Transports: []string{"websocket", "polling", "upgrade"}})
	crowd.ask("say", nil)
	second := wsdproc.Start(t, append(args, "--listen", first.Addr)...)
	first.Signal(t, syscall.SIGTERM)
	if code := first.Wait(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, first.Log())
	}
	crowd.ask("ready", nil)
	crowd.ask("say", nil)
	for i, m := range crowd.report() {
		if len(m.Disconnects) == 0 {
			continue // it had come to the second one already
		}
		if m.Disconnects[0].Reason != "transport close" || len(m.Connects) != 2 {
			t.Errorf("client %d (%s): disconnects %v, %d connects", i, m.Transport, m.Disconnects, len(m.Connects))
		}
	}
	second.Alive(t)
}
