package faults

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// room is where Socket.IO's subscribers are.
const room = "r"

// beat is how often a publisher sends.
const beat = 20 * time.Millisecond

// note is what a subscriber has heard: a message of a publisher, or, in its
// place, that messages are missing.
type note struct {
	from   string
	number int
	gap    string // the reason, "" for a message
}

// subscriber notes what it hears.
type subscriber struct {
	name string
	node *server
	// moves: it is not always connected, and gets what Redis keeps.
	moves bool

	line  *line
	sock  *socket // of Socket.IO
	topic string  // of wsd

	mu     sync.Mutex
	notes  []note
	last   map[string]int // the newest number, by publisher
	at     map[string]time.Time
	pause  map[string]time.Duration // the longest between two messages
	offset string                   // of the last event that had one
}

// publisher sends numbered messages, from 0, until it is stopped.
type publisher struct {
	name string
	node *server
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	sent    int          // the next number
	refused map[int]bool // the server said that they would not get through
	broken  error        // the connection to the server
}

// subscribe adds a subscriber at a node.
func (c *cluster) subscribe(t *testing.T, node *server) *subscriber {
	t.Helper()
	s := &subscriber{
		name: fmt.Sprintf("subscriber %d at %s", len(c.subs), node.name), node: node, topic: c.mode.topic, last: map[string]int{},
		at: map[string]time.Time{}, pause: map[string]time.Duration{},
	}
	var err error
	if s.topic != "" {
		s.line, err = open("ws://"+node.address+"/topics/"+s.topic+"?mode=sub", s.text)
	} else {
		err = s.enter(node, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.line.close() })
	c.subs = append(c.subs, s)
	return s
}

// enter connects a subscriber of Socket.IO, and has it join the room unless it was
// there before.
func (s *subscriber) enter(node *server, auth map[string]string) error {
	sock, err := connect(node.address, auth, s.event)
	if err != nil {
		return err
	}
	before := s.sock
	s.sock, s.line, s.node = sock, sock.line, node
	if before != nil && before.SID == sock.SID {
		return nil
	}
	_, err = sock.call("far:join", room)
	return err
}

// event takes an event of Socket.IO: "n" with the publisher and the number,
// perhaps an offset, or "gap".
func (s *subscriber) event(args []any) {
	switch {
	case len(args) > 1 && args[0] == "gap":
		s.add(note{gap: fmt.Sprint(args[1])}, "")
	case len(args) > 2 && args[0] == "n":
		number, _ := args[2].(float64)
		offset := ""
		if len(args) > 3 {
			offset, _ = args[3].(string)
		}
		s.add(note{from: fmt.Sprint(args[1]), number: int(number)}, offset)
	}
}

// text takes a message of a topic: "publisher number".
func (s *subscriber) text(text string) {
	from, digits, _ := strings.Cut(text, " ")
	number, err := strconv.Atoi(digits)
	if err != nil {
		return // not a publisher's
	}
	s.add(note{from: from, number: number}, "")
}

func (s *subscriber) add(n note, offset string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, n)
	if n.gap == "" {
		now := time.Now()
		if at, ok := s.at[n.from]; ok {
			s.pause[n.from] = max(s.pause[n.from], now.Sub(at))
		}
		s.last[n.from], s.at[n.from] = n.number, now
	}
	if offset != "" {
		s.offset = offset
	}
}

// heard is the newest number of a publisher, -1 if there is none.
func (s *subscriber) heard(from string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, ok := s.last[from]; ok {
		return n
	}
	return -1
}

// publish adds a publisher at a node, which begins.
func (c *cluster) publish(t *testing.T, node *server) *publisher {
	t.Helper()
	p := &publisher{
		name: node.name, node: node,
		stop: make(chan struct{}), done: make(chan struct{}), refused: map[int]bool{},
	}
	var send func(number int) error
	var l *line
	if c.mode.topic != "" {
		var err error
		if l, err = open("ws://"+node.address+"/topics/"+c.mode.topic+"?mode=pub", func(string) {}); err != nil {
			t.Fatal(err)
		}
		send = func(number int) error { return l.send(fmt.Sprintf("%s %d", p.name, number)) }
	} else {
		sock, err := connect(node.address, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		l = sock.line
		send = func(number int) error { return p.emit(sock, number) }
	}
	go func() {
		defer close(p.done)
		p.run(send)
	}()
	t.Cleanup(func() {
		p.end()
		l.close()
	})
	c.pubs = append(c.pubs, p)
	return p
}

// emit has the server broadcast a number.
func (p *publisher) emit(sock *socket, number int) error {
	return sock.ask(func(answer json.RawMessage) {
		if farError(answer) != "" {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.refused[number] = true
		}
	}, "far:broadcast", map[string]any{"rooms": []string{room}, "event": "n", "args": []any{p.name, number}})
}

// run sends a number now and then.
func (p *publisher) run(send func(number int) error) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		number := p.sent
		p.sent++
		p.mu.Unlock()
		if err := send(number); err != nil {
			p.mu.Lock()
			p.broken = err
			p.mu.Unlock()
			return
		}
	}
}

// end stops the publisher. It may be called twice.
func (p *publisher) end() {
	p.mu.Lock()
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	p.mu.Unlock()
	<-p.done
}

// count is how many messages were sent.
func (p *publisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}
