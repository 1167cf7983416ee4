package daemon

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"testing"
	"time"
)

// patience bounds everything that a test waits for.
const patience = 30 * time.Second

// listener is a Socket.IO client of js/listeners.mjs.
type listener struct {
	User       string   `json:"user,omitempty"`
	Rooms      []string `json:"rooms,omitempty"`
	Transports []string `json:"transports,omitempty"`
}

// notice is what happened to a listener.
type notice struct {
	Client    int
	Event     string
	Args      []any
	Connected string // the socket's id
	Gone      string // why it was disconnected
}

// listeners are Socket.IO clients of npm.
type listeners struct {
	t       *testing.T
	ids     []string // of their sockets
	notices chan notice
}

// listen connects listeners and waits until they are in their rooms.
func listen(t *testing.T, address string, all ...listener) *listeners {
	t.Helper()
	settings, err := json.Marshal(map[string]any{"url": "http://" + address, "clients": all})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "js/listeners.mjs", string(settings))
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l := &listeners{t: t, ids: make([]string, len(all)), notices: make(chan notice, 1024)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var n notice
			if json.Unmarshal(lines.Bytes(), &n) == nil {
				l.notices <- n
			}
		}
	}()
	t.Cleanup(func() {
		in.Close()
		select {
		case <-read:
		case <-time.After(patience):
			cmd.Process.Kill()
			<-read
		}
		cmd.Wait()
	})
	for range all {
		n := l.next()
		l.ids[n.Client] = n.Connected
	}
	return l
}

// skip forgets what comes for some clients up to an event, which comes to all of them.
func (l *listeners) skip(event string, clients int) {
	l.t.Helper()
	for clients > 0 {
		if l.next().Event == event {
			clients--
		}
	}
}

// next is what happens next.
func (l *listeners) next() notice {
	l.t.Helper()
	select {
	case n := <-l.notices:
		return n
	case <-time.After(patience):
		l.t.Fatal("nothing happens to the clients")
		return notice{}
	}
}

// expect waits until each of some clients, and nobody else before, has got an event.
func (l *listeners) expect(event string, clients ...int) (args []any) {
	l.t.Helper()
	got := map[int]bool{}
	for range clients {
		n := l.next()
		if n.Event != event {
			l.t.Fatalf("%+v, want %s", n, event)
		}
		got[n.Client] = true
		args = n.Args
	}
	for _, c := range clients {
		if !got[c] {
			l.t.Fatalf("%s came to %v, want %v", event, got, clients)
		}
	}
	return args
}

// expectGone waits until some clients are disconnected by the server.
func (l *listeners) expectGone(clients ...int) {
	l.t.Helper()
	got := map[int]bool{}
	for range clients {
		n := l.next()
		if n.Gone != "io server disconnect" {
			l.t.Fatalf("%+v, want a disconnection", n)
		}
		got[n.Client] = true
	}
	for _, c := range clients {
		if !got[c] {
			l.t.Fatalf("%v are gone, want %v", got, clients)
		}
	}
}
