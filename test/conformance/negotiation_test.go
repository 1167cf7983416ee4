package conformance

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/test/rawws"
)

// outcome of an offer.
type outcome string

const (
	accepted outcome = "accepted"
	declined outcome = "declined"
	// improper is an answer that a client must refuse; for oracles alone.
	improper outcome = "improper"
)

// offers are those that the matrix of well-formed parameters lacks.
var offers = []struct {
	offer   string
	want    outcome
	oracles map[string]outcome
}{
	{"permessage-deflate", accepted, nil},
	{"permessage-deflate; client_max_window_bits", accepted, nil},
	{"permessage-deflate;server_no_context_takeover;client_no_context_takeover", accepted, nil},
	{"permessage-deflate ; client_max_window_bits ; server_no_context_takeover", accepted, nil},
	{`permessage-deflate; server_max_window_bits="15"`, accepted, nil},
	{`permessage-deflate; client_max_window_bits="12"`, accepted, nil},
	{"x-webkit-deflate-frame", declined, nil},
	{"permessage-deflate-frame", declined, map[string]outcome{"gws": improper}}, // looks for a substring
	{"x-first; a=b, permessage-deflate", accepted, nil},
	{"permessage-deflate, x-last; permessage-deflate", accepted, nil},
	{"x-first; permessage-deflate", declined, map[string]outcome{"gws": improper}},

	// Parameters that must make a server decline the element. RFC 7692 7.1.
	// The oracles do not look at them.
	{"permessage-deflate; unknown", declined, ignored},
	{"permessage-deflate; unknown=1", declined, ignored},
	{"permessage-deflate; constructor", declined, ignored},
	{"permessage-deflate; __proto__=1", declined, ignored},
	{"permessage-deflate; SERVER_NO_CONTEXT_TAKEOVER=x", declined, ignored},
	{"permessage-deflate; server_no_context_takeover=1", declined, ignored},
	{"permessage-deflate; client_no_context_takeover=false", declined, ignored},
	{"permessage-deflate; server_no_context_takeover; server_no_context_takeover", declined, ignored},
	{"permessage-deflate; client_no_context_takeover; client_no_context_takeover", declined, ignored},
	{"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", declined, ignored},
	{"permessage-deflate; client_max_window_bits; client_max_window_bits=10", declined, ignored},
	{"permessage-deflate; server_max_window_bits", declined, ignored},
	{"permessage-deflate; server_max_window_bits=7", declined, ignored},
	{"permessage-deflate; server_max_window_bits=16", declined, ignored},
	{"permessage-deflate; server_max_window_bits=0", declined, ignored},
	{"permessage-deflate; server_max_window_bits=08", declined, ignored},
	{"permessage-deflate; server_max_window_bits=+9", declined, ignored},
	{"permessage-deflate; server_max_window_bits=-9", declined, ignored},
	{"permessage-deflate; server_max_window_bits=9.0", declined, ignored},
	{"permessage-deflate; server_max_window_bits=0x9", declined, ignored},
	{"permessage-deflate; server_max_window_bits=4294967305", declined, ignored},
	{"permessage-deflate; server_max_window_bits=18446744073709551625", declined, ignored},
	{`permessage-deflate; server_max_window_bits=""`, declined, ignored},
	{"permessage-deflate; client_max_window_bits=7", declined, ignored},
	{"permessage-deflate; client_max_window_bits=16", declined, ignored},
	{"permessage-deflate; client_max_window_bits=015", declined, ignored},
	{"permessage-deflate; client_max_window_bits=abc", declined, ignored},

	// The first element that can be honoured counts. RFC 7692 5.1, 7.1
	{"permessage-deflate; unknown, permessage-deflate", accepted, nil},
	{"permessage-deflate; server_max_window_bits=99, permessage-deflate; server_no_context_takeover", accepted, map[string]outcome{"gws": accepted}},
	{"permessage-deflate; server_max_window_bits=7, permessage-deflate; unknown", declined, ignored},
	{strings.Repeat("permessage-deflate; unknown, ", 50) + "permessage-deflate", accepted, nil},
	{"permessage-deflate; server_max_window_bits=10, permessage-deflate", accepted, nil},
	{"permessage-deflate; client_max_window_bits=10, permessage-deflate", accepted, nil},
}

var ignored = map[string]outcome{"gws": improper, "gorilla": improper}

func TestOffers(t *testing.T) {
	for _, s := range servers(t) {
		for _, path := range []string{plain, shared, dedicated} {
			t.Run(s.name+path, func(t *testing.T) {
				for _, o := range offers {
					expect := o.want
					if e, ok := o.oracles[s.name]; ok {
						expect = e
					}
					if path == plain {
						expect = declined
					}
					if got, err := negotiate(s, path, o.offer); got != expect {
						t.Errorf("RFC 7692 7.1: offer %q: %s, want %s (%v)", o.offer, got, expect, err)
					}
				}
			})
		}
	}
}

// negotiate says what became of an offer; whatever it was, the connection must
// echo in the way that was agreed.
func negotiate(s server, path, offer string) (outcome, error) {
	c, err := s.open(path, offer)
	if err != nil {
		return improper, err
	}
	defer c.Close()
	p := &peer{Conn: c}
	if err := echo(textOf(prose(2000)))(p); err != nil {
		return "broken", err
	}
	if !c.Deflate {
		return declined, nil
	}
	if !p.seen[0].Compressed {
		return "never compresses", nil
	}
	return accepted, exchange(p, []byte(prose(2000)), 1<<20)
}

// params is one cell of the matrix; window bits are 0 when absent, and
// clientBits 1 is the parameter without a value.
type params struct {
	serverNo, clientNo     bool
	serverBits, clientBits int
}

func (m params) offer() string {
	offer := pmd
	if m.serverNo {
		offer += "; server_no_context_takeover"
	}
	if m.clientNo {
		offer += "; client_no_context_takeover"
	}
	if m.serverBits > 0 {
		offer += fmt.Sprint("; server_max_window_bits=", m.serverBits)
	}
	switch {
	case m.clientBits == 1:
		offer += "; client_max_window_bits"
	case m.clientBits > 1:
		offer += fmt.Sprint("; client_max_window_bits=", m.clientBits)
	}
	return offer
}

// matrix is every combination of the four parameters, or one with fewer window
// sizes. RFC 7692 7.1
func matrix(whole bool) (all []params) {
	bits := []int{0, 8, 10, 15}
	if whole {
		bits = []int{0, 8, 9, 10, 11, 12, 13, 14, 15}
	}
	for _, serverNo := range []bool{false, true} {
		for _, clientNo := range []bool{false, true} {
			for _, serverBits := range bits {
				for _, clientBits := range append([]int{1}, bits...) {
					all = append(all, params{serverNo, clientNo, serverBits, clientBits})
				}
			}
		}
	}
	return all
}

func TestParameterMatrix(t *testing.T) {
	for _, s := range servers(t) {
		for _, path := range []string{shared, dedicated} {
			t.Run(s.name+path, func(t *testing.T) {
				// The transports share what the parameters concern.
				for _, m := range matrix(long || s.name == "wsd") {
					if err := runParams(s, path, m); err != nil {
						t.Errorf("RFC 7692 7.1: %s: %v", m.offer(), err)
					}
				}
			})
		}
	}
}

func runParams(s server, path string, m params) error {
	c, err := s.open(path, m.offer())
	if !s.isWsd() && 0 < m.serverBits && m.serverBits < 15 {
		// Both oracles answer as if no server_max_window_bits had been offered.
		if err == nil {
			c.Close()
			return fmt.Errorf("%s took server_max_window_bits", s.name)
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer c.Close()
	if !c.Deflate {
		return fmt.Errorf("declined")
	}
	p := &peer{Conn: c}
	for i, message := range matrixMessages {
		fragment := []int{1 << 20, 100}[(i+m.clientBits)%2]
		if err := exchange(p, message, fragment); err != nil {
			return fmt.Errorf("%d bytes in frames of %d: %w", len(message), fragment, err)
		}
	}
	return nil
}

// matrixMessages resemble each other, so that a context matters, and are both
// shorter and longer than the smallest window and the largest.
var matrixMessages = [][]byte{
	nil, []byte(prose(30)), []byte(prose(250)), []byte(prose(2000)), random(700),
	[]byte(prose(2500)), append(random(3000), prose(400)...), append([]byte(prose(5000)), random(3000)...),
}

func TestLongConversations(t *testing.T) {
	messages, text := 300, []byte(prose(5000))
	if long {
		messages = 3000
	}
	for _, s := range servers(t) {
		for _, path := range []string{shared, dedicated} {
			t.Run(s.name+path, func(t *testing.T) {
				c, err := s.open(path, pmd+"; client_max_window_bits")
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				p := &peer{Conn: c}
				for i := range messages {
					message := append(bytes.Clone(text[:i*i%len(text)]), random(i%50)...)
					if err := exchange(p, message, 1+i%3*1000+i); err != nil {
						t.Fatalf("message %d: %v", i, err)
					}
					p.seen = nil
				}
			})
		}
	}
}

// exchange sends message compressed in the negotiated way, in frames of n bytes,
// and takes it back; the reader has checked window and context.
func exchange(p *peer, message []byte, n int) error {
	first := rawws.Frame{Op: rawws.Binary, Rsv: rawws.Rsv1}
	if err := send(split(first, p.Compress(message), n))(p); err != nil {
		return err
	}
	e, err := p.next()
	if err != nil {
		return err
	}
	if e.Kind != rawws.BinaryMessage || !bytes.Equal(e.Payload, message) {
		return fmt.Errorf("got %v, want %d bytes %.40q", e, len(message), message)
	}
	return nil
}
