package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/test/rawws"
)

// Case is one conversation with an echo server.
type Case struct {
	Name    string
	Section string
	Profile string // path of the server; see profiles
	Offer   string // Sec-WebSocket-Extensions
	Steps   []Step // a Close handshake follows unless they see the end
	Except  Except
}

// Except names, by oracle, the known differences.
type Except map[string]Exception

// Exception replaces the steps of a case for one oracle. Without steps the
// case is not run there.
type Exception struct {
	Why   string
	Steps []Step
}

// both excepts the two oracles alike.
func both(why string, s ...Step) Except {
	return Except{"gws": {why, s}, "gorilla": {why, s}}
}

// Step sends something or checks the next event.
type Step func(*peer) error

type peer struct {
	*rawws.Conn
	seen []rawws.Event
}

func (p *peer) next() (rawws.Event, error) {
	e, err := p.Next()
	if err == nil {
		p.seen = append(p.seen, e)
	}
	return e, err
}

func (p *peer) ended() bool {
	return len(p.seen) > 0 && p.seen[len(p.seen)-1].Kind == rawws.End
}

func steps(s ...Step) []Step { return s }

// send writes the frames in one piece. That the server has closed already is
// for the next want to judge.
func send(frames ...[]byte) Step { return chop(1<<30, frames...) }

// chop writes the frames in packets of n bytes.
func chop(n int, frames ...[]byte) Step {
	return func(p *peer) error {
		err := p.SendChopped(bytes.Join(frames, nil), n)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return err
		}
		return nil
	}
}

func halfClose() Step {
	return func(p *peer) error { return p.HalfClose() }
}

func want(kind rawws.Kind, payload []byte) Step {
	return func(p *peer) error {
		e, err := p.next()
		if err != nil {
			return err
		}
		if e.Kind != kind || !bytes.Equal(e.Payload, payload) {
			return fmt.Errorf("got %v, want %v", e, rawws.Event{Kind: kind, Payload: payload})
		}
		return nil
	}
}

func wantText(s string) Step   { return want(rawws.TextMessage, []byte(s)) }
func wantBinary(b []byte) Step { return want(rawws.BinaryMessage, b) }
func wantPong(s string) Step   { return want(rawws.PongFrame, []byte(s)) }
func wantEnd() Step            { return want(rawws.End, nil) }

// wantClose takes a Close frame with one of the codes, and no other event.
func wantClose(codes ...int) Step {
	return func(p *peer) error {
		e, err := p.next()
		if err != nil {
			return err
		}
		if e.Kind != rawws.CloseFrame || !slices.Contains(codes, e.Code) {
			return fmt.Errorf("got %v, want close %v", e, codes)
		}
		return nil
	}
}

// fails is how a server answers a broken rule: the Close frame, then the end,
// without waiting for the client. RFC 6455 7.1.7
func fails(codes ...int) Step {
	return func(p *peer) error {
		if err := wantClose(codes...)(p); err != nil {
			return err
		}
		return wantEnd()(p)
	}
}

// repeat does all steps n times.
func repeat(n int, all ...Step) Step {
	return func(p *peer) error {
		for i := range n {
			for _, s := range all {
				if err := s(p); err != nil {
					return fmt.Errorf("round %d: %w", i, err)
				}
			}
		}
		return nil
	}
}

// echo sends a message and takes it back.
func echo(m message) Step {
	return func(p *peer) error {
		if err := send(m.frame())(p); err != nil {
			return err
		}
		return m.want()(p)
	}
}

// message is a text or binary message.
type message struct {
	op      byte
	payload []byte
}

func textOf(s string) message   { return message{rawws.Text, []byte(s)} }
func binaryOf(b []byte) message { return message{rawws.Binary, b} }

func (m message) frame() []byte { return frame(m.op, m.payload) }

func (m message) want() Step {
	if m.op == rawws.Text {
		return want(rawws.TextMessage, m.payload)
	}
	return want(rawws.BinaryMessage, m.payload)
}

func frame(op byte, payload []byte) []byte {
	return rawws.Frame{Fin: true, Op: op, Payload: payload}.Bytes()
}

func text(s string) []byte                { return frame(rawws.Text, []byte(s)) }
func ping(s string) []byte                { return frame(rawws.Ping, []byte(s)) }
func pong(s string) []byte                { return frame(rawws.Pong, []byte(s)) }
func closing(code int, why string) []byte { return frame(rawws.Close, rawws.ClosePayload(code, why)) }

// part is a frame that does not end its message.
func part(op byte, payload string) []byte {
	return rawws.Frame{Op: op, Payload: []byte(payload)}.Bytes()
}

// last is the frame that ends a fragmented message.
func last(payload string) []byte { return frame(rawws.Continuation, []byte(payload)) }

// announce is a header for length bytes, followed by only these bytes of payload.
func announce(fin bool, op byte, length uint64, payload string) []byte {
	return rawws.Frame{Fin: fin, Op: op, Announce: true, Length: length, Payload: []byte(payload)}.Bytes()
}

// pattern is n bytes that no shift of themselves equals.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*i>>3 ^ i)
	}
	return b
}

// letters is n bytes of ASCII.
func letters(n int) string {
	b := pattern(n)
	for i := range b {
		b[i] = 'a' + b[i]%26
	}
	return string(b)
}

// run plays c with the given steps against s; patience 0 is the usual one.
func run(c Case, all []Step, s server, patience time.Duration) error {
	conn, err := s.open(c.Profile, c.Offer)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.Patience = patience
	p := &peer{Conn: conn}
	if !p.Deflate && c.Offer != "" {
		return fmt.Errorf("offer %q declined", c.Offer)
	}
	for i, step := range all {
		if err := step(p); err != nil {
			return fmt.Errorf("step %d: %w (before it: %v)", i+1, err, p.seen)
		}
	}
	if p.ended() {
		return nil
	}
	for _, step := range steps(send(closing(1000, "")), wantClose(1000), wantEnd()) {
		if err := step(p); err != nil {
			return fmt.Errorf("closing handshake after %v: %w", p.seen, err)
		}
	}
	return nil
}

// runAll plays every case against every server.
func runAll(t *testing.T, cases []Case) {
	for _, s := range servers(t) {
		t.Run(s.name, func(t *testing.T) {
			for _, c := range cases {
				t.Run(c.Name, func(t *testing.T) { runOne(t, c, s) })
			}
			if long {
				findStale(t, cases, s)
			}
		})
	}
}

func runOne(t *testing.T, c Case, s server) {
	e, excepted := c.Except[s.name]
	switch {
	case !excepted:
		if err := run(c, c.Steps, s, 0); err != nil {
			t.Errorf("%s: %v", c.Section, err)
		}
	case e.Steps != nil:
		if err := run(c, e.Steps, s, 0); err != nil {
			t.Errorf("%s: %s is known to differ (%s), but not like this: %v", c.Section, s.name, e.Why, err)
		}
	}
}

// findStale reports exceptions whose server follows the rule by now. Many an
// exception shows in silence, so that little patience and many connections do.
func findStale(t *testing.T, cases []Case, s server) {
	const patience, atOnce = 500 * time.Millisecond, 32
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for _, c := range cases {
		if e := c.Except[s.name]; e.Steps != nil {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				if run(c, c.Steps, s, patience) == nil {
					t.Errorf("%s: %s: drop the exception of %s (%s)", c.Section, c.Name, s.name, e.Why)
				}
			})
		}
	}
	wg.Wait()
}
