//go:build amd64 || arm64 || loong64

package engine

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/fe4bcecb/wsd/codec/frame"
	"github.com/fe4bcecb/wsd/internal/poll"
	"github.com/gobwas/ws"
)

const (
	fuzzConns  = 5
	fuzzTopics = 4
)

// topicModel is the oracle: what each connection is subscribed to and what it
// must have received, kept in plain maps and lists.
type topicModel struct {
	t        *testing.T
	l        *Loop
	conns    [fuzzConns]*Conn
	ends     [fuzzConns]int
	partial  [fuzzConns][]byte
	topics   [fuzzConns]map[string]bool
	expected [fuzzConns][]string
	closed   [fuzzConns]bool
	next     int
}

// FuzzTopics holds sequences of subscriptions, publications, sends, closes and
// turns against the model: every connection receives exactly what it should, in
// the order of the calls.
func FuzzTopics(f *testing.F) {
	f.Add([]byte{0x00, 0x08, 0x40, 0x80, 0x41, 0xc0})
	f.Add([]byte{0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x20, 0x80, 0x00, 0x81, 0xc0, 0xff})
	f.Add([]byte("every byte is an operation on some connection and some topic"))
	f.Fuzz(func(t *testing.T, program []byte) {
		m := newTopicModel(t)
		for _, op := range program[:min(len(program), 300)] {
			m.step(op)
		}
		m.turn()
		m.check()
	})
}

func newTopicModel(t *testing.T) *topicModel {
	l, r := handLoop(t, Behavior{MaxBackpressure: -1})
	packed, err := Behavior{MaxBackpressure: -1, Compression: CompressionShared}.compile()
	if err != nil {
		t.Fatal(err)
	}
	m := &topicModel{t: t, l: l}
	for i := range m.conns {
		m.topics[i] = map[string]bool{}
		if i == fuzzConns-1 {
			r = packed
		}
		m.conns[i], m.ends[i] = handConn(t, l, r)
	}
	last := m.conns[fuzzConns-1]
	last.flags |= deflates
	last.window = 15
	return m
}

// step carries out one operation: 3 bits what, 3 bits who, 2 bits which topic.
func (m *topicModel) step(op byte) {
	who := int(op>>2&7) % fuzzConns
	c, topic := m.conns[who], fmt.Sprint("topic ", op&3)
	switch op >> 5 {
	case 0, 1:
		if got, want := c.Subscribe(topic), !m.closed[who] && !m.topics[who][topic]; got != want {
			m.t.Fatalf("Subscribe = %v, want %v", got, want)
		}
		if !m.closed[who] {
			m.topics[who][topic] = true
		}
	case 2:
		if got, want := c.Unsubscribe(topic), m.topics[who][topic]; got != want && !m.closed[who] {
			m.t.Fatalf("Unsubscribe = %v, want %v", got, want)
		}
		delete(m.topics[who], topic)
	case 3, 4:
		m.publish(topic, c, who)
	case 5:
		m.publish(topic, nil, -1)
	case 6:
		msg := m.message()
		c.Send([]byte(msg), Text)
		if !m.closed[who] {
			m.expected[who] = append(m.expected[who], msg)
		}
	case 7:
		switch {
		case op&3 == 0 && who == 0 && !m.closed[0]:
			c.Close(1000, "")
			m.closed[0] = true
			m.topics[0] = map[string]bool{}
		default:
			m.turn()
		}
	}
}

// message is a text that occurs once; every third is long enough to compress.
func (m *topicModel) message() string {
	m.next++
	if m.next%3 == 0 {
		return fmt.Sprintf("%06d%0300d", m.next, 0)
	}
	return fmt.Sprintf("%06d", m.next)
}

func (m *topicModel) publish(topic string, except *Conn, who int) {
	msg := m.message()
	if err := m.l.publish(topic, []byte(msg), Text, except); err != nil {
		m.t.Fatal(err)
	}
	for i := range m.conns {
		if i != who && m.topics[i][topic] {
			m.expected[i] = append(m.expected[i], msg)
		}
	}
}

// turn ends the loop's turn and checks its lists.
func (m *topicModel) turn() {
	m.l.turn(1)
	if err := m.l.CheckTopics(); err != nil {
		m.t.Fatal(err)
	}
	for i, fd := range m.ends {
		m.partial[i] = readAll(m.partial[i], fd)
	}
	for i := range fuzzTopics {
		name, want := fmt.Sprint("topic ", i), 0
		for _, topics := range m.topics {
			if topics[name] {
				want++
			}
		}
		if m.closed[0] {
			// A closing connection leaves its topics when its Close callback ran.
			continue
		}
		if got := m.l.app.NumSubscribers(name); got != want {
			m.t.Fatalf("NumSubscribers(%s) = %d, want %d", name, got, want)
		}
	}
}

func readAll(b []byte, fd int) []byte {
	for {
		n := poll.Recv(fd, drainBuffer[:])
		if n <= 0 {
			return b
		}
		b = append(b, drainBuffer[:n]...)
	}
}

// check holds what arrived against what was expected.
func (m *topicModel) check() {
	for i := range m.conns {
		var got []string
		for b := m.partial[i]; len(b) > 0; {
			var h frame.Header
			n, err := frame.ParseHeader(b, &h)
			if err != nil || n == 0 {
				m.t.Fatalf("connection %d: bad frame: %v", i, err)
			}
			payload := b[n : n+int(h.Length)]
			b = b[n+int(h.Length):]
			if h.OpCode == ws.OpClose {
				if code := binary.BigEndian.Uint16(payload); code != 1000 || len(b) > 0 {
					m.t.Fatalf("connection %d: close %d, then %d bytes", i, code, len(b))
				}
				continue
			}
			if h.Rsv != 0 {
				if payload, err = m.l.decompressor.Append(nil, payload, 1<<10); err != nil {
					m.t.Fatal(err)
				}
			}
			got = append(got, string(payload))
		}
		if !slices.Equal(got, m.expected[i]) {
			m.t.Fatalf("connection %d received %.200v\nwant %.200v", i, got, m.expected[i])
		}
	}
}
