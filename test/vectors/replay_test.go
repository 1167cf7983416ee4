package vectors

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// replay is one transcript on one server.
type replay struct {
	*testing.T
	srv       server
	ids       *ids
	deviation deviation // of this server from the transcript; zero for Node
	late      bool      // the machine was too slow for this replay: do it again
	conns     []net.Conn
}

// attempts is how often a replay that is late is tried.
const attempts = 10

// run replays a transcript on every server.
func run(t *testing.T, v transcript, s setup, fn func(*replay)) {
	s.options = v.ServerOptions
	for _, target := range targets {
		t.Run(target.name, func(t *testing.T) {
			for range attempts {
				r := &replay{T: t, ids: newIDs()}
				if target.name != "node" {
					r.deviation = deviations[v.Name]
				}
				r.once(func() server { return target.start(t, s) }, v.ServerEvents, fn)
				if !r.late {
					return
				}
			}
			t.Fatal("the machine is too slow for this transcript")
		})
	}
}

// once is one attempt.
func (r *replay) once(start func() server, want []event, fn func(*replay)) {
	r.Helper()
	r.srv = start()
	defer func() {
		for _, c := range r.conns {
			c.Close()
		}
		r.srv.close(r.T)
	}()
	if fn(r); r.late {
		return
	}
	if d := r.deviation.serverEvents; d != nil {
		want = d
	}
	if want != nil {
		r.checkEvents(want)
	}
}

// call is a request on its way.
type call struct {
	net.Conn
	request string
	done    chan struct{} // closed when answer and err are set
	answer  answer
	err     error
}

// dial connects to the server until the end of the replay.
func (r *replay) dial() net.Conn {
	r.Helper()
	c, err := net.DialTimeout("tcp", r.srv.addr(), timeout)
	if err != nil {
		r.Fatal(err)
	}
	r.conns = append(r.conns, c)
	if err := c.SetDeadline(time.Now().Add(4 * timeout)); err != nil {
		r.Fatal(err)
	}
	return c
}

// start sends a request of the transcript on a connection of its own.
func (r *replay) start(request string) *call {
	r.Helper()
	request, err := r.ids.replace(string(latin1(request)))
	if err != nil {
		r.Fatal(err)
	}
	conn := r.dial()
	c := &call{Conn: conn, request: request, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.answer, c.err = readAnswer(bufio.NewReader(conn), request)
	}()
	r.Cleanup(func() { <-c.done })
	if _, err := conn.Write([]byte(request)); err != nil {
		r.Fatal(err)
	}
	return c
}

// wait returns the answer to c.
func (r *replay) wait(c *call) answer {
	r.Helper()
	select {
	case <-c.done:
	case <-time.After(timeout):
		r.Fatalf("no answer within %v to %q", timeout, c.request)
	}
	if c.err != nil {
		r.Fatalf("%v\nin answer to %q", c.err, c.request)
	}
	c.Close()
	return c.answer
}

// finish compares the answer to c with a step's.
func (r *replay) finish(c *call, s step) {
	r.Helper()
	if s.Connection == silent {
		r.checkSilent(c)
		return
	}
	got := r.wait(c)
	want := r.parse(s)
	if err := compareAnswers(r.ids, want, got); err != nil {
		r.Errorf("%s: %v", s.title(), err)
	}
	if err := r.compareBodies(s, want, got); err != nil {
		r.Errorf("%s: body: %v", s.title(), err)
	}
}

func (r *replay) parse(s step) answer {
	r.Helper()
	a, err := parseAnswer(s)
	if err != nil {
		r.Fatalf("transcript: %s: %v", s.title(), err)
	}
	return a
}

func (s step) title() string {
	if s.Label != "" {
		return s.Label
	}
	line, _, _ := strings.Cut(s.Request, "\r\n")
	return line
}

// checkSilent checks that c, once at the server, is not answered, and gives it up.
func (r *replay) checkSilent(c *call) {
	r.Helper()
	r.awaitParked(c)
	select {
	case <-c.done:
		r.Errorf("answer %q %q to a request that waits", c.answer.line, c.answer.body)
	default:
	}
	c.Close()
}

// do sends a step's request and compares the answer.
func (r *replay) do(s step) {
	r.Helper()
	r.finish(r.start(s.Request), s)
}

// park sends a request that the server does not answer yet, and returns once it
// waits there.
func (r *replay) park(request string) *call {
	r.Helper()
	c := r.start(request)
	r.awaitParked(c)
	return c
}

func (r *replay) awaitParked(c *call) {
	r.Helper()
	_, sid, _ := strings.Cut(c.request, "&sid=")
	sid, _, _ = strings.Cut(sid, " ")
	method, _, _ := strings.Cut(c.request, " ")
	testkit.Eventually(r, func() bool { return r.srv.parked(r.T, method, sid) }, timeout)
}

// silently runs a request that the transcript does not hold, but whose effect
// it needs; the answer is 200 and its body is returned.
func (r *replay) silently(request string) string {
	r.Helper()
	a := r.wait(r.start(request))
	if a.line != "HTTP/1.1 200 OK" {
		r.Fatalf("%s %q\nin answer to %q", a.line, a.body, request)
	}
	return string(a.body)
}

// checkEvents waits until the server has seen what the transcript's server saw,
// and nothing else.
func (r *replay) checkEvents(want []event) {
	r.Helper()
	if r.Failed() {
		return
	}
	var seen []event
	for _, e := range want {
		if e = r.srv.observed(e); e != nil {
			seen = append(seen, e)
		}
	}
	var wanted []string
	for _, e := range numbered(seen) {
		wanted = append(wanted, r.describe(e))
	}
	perSocket(wanted)
	var got []string
	same := func() bool {
		got = nil
		for _, e := range r.srv.events(r.T) {
			b, _ := json.Marshal(e)
			got = append(got, string(b))
		}
		perSocket(got)
		return slices.Equal(got, wanted)
	}
	deadline := time.Now().Add(timeout)
	for !same() {
		if time.Now().After(deadline) {
			r.Fatalf("the server saw\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(wanted, "\n"))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// describe is the canonical form of a transcript's event, with the replay's ids.
func (r *replay) describe(e event) string {
	b, err := json.Marshal(e)
	if err != nil {
		r.Fatal(err)
	}
	s, err := r.ids.replace(string(b))
	if err != nil {
		r.Fatal(err)
	}
	return s
}

// numbered adds the number of the socket in its namespace to events that came in
// the order of the transcripts: a namespace had one socket at a time.
func numbered(events []event) []event {
	sockets := map[any]int{}
	for i, e := range events {
		nsp, ok := e["nsp"]
		if !ok {
			continue
		}
		if e["event"] == "connection" {
			sockets[nsp]++
		}
		events[i] = maps.Clone(e)
		events[i]["socket"] = sockets[nsp]
	}
	return events
}

// perSocket sorts events by their socket, and what the transport tells behind
// them: events of one socket come in order, those of two may not.
func perSocket(events []string) {
	slices.SortStableFunc(events, func(a, b string) int { return strings.Compare(order(a), order(b)) })
}

func order(e string) string {
	var v struct {
		Event, Nsp string
		Socket     int
	}
	json.Unmarshal([]byte(e), &v)
	if strings.HasPrefix(v.Event, "engine ") {
		return "engine" + e
	}
	return fmt.Sprintf("%s %d", v.Nsp, v.Socket)
}
