//go:build linux && (amd64 || arm64 || loong64)

package engine

import (
	"bytes"
	"context"
	"runtime"
	"testing"

	"github.com/fe4bcecb/wsd/codec/frame"
	"github.com/gobwas/ws"
)

// These tests drive a loop by hand, without a poller running, so that every
// allocation of the measured path is seen and none of another goroutine's.

// handLoop is a loop that nobody runs.
func handLoop(t testing.TB, b Behavior) (*Loop, *route) {
	t.Helper()
	a := New(Options{Loops: 1})
	r, err := b.compile()
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLoop(a, 0)
	if err != nil {
		t.Fatal(err)
	}
	a.loops = []*Loop{l}
	t.Cleanup(func() {
		go l.run()
		l.end(context.Background())
	})
	return l, r
}

// handConn opens a connection on l and returns it with the far end's descriptor.
func handConn(t testing.TB, l *Loop, r *route) (*Conn, int) {
	t.Helper()
	near, far := socketPair(t)
	return handConnOver(t, l, r, near), far
}

// handConnOver opens a connection on l over a socket.
func handConnOver(t testing.TB, l *Loop, r *route, near int) *Conn {
	t.Helper()
	c := &Conn{fd: int32(near), flags: notOpen, route: r}
	if err := l.attach(c); err != nil {
		t.Fatal(err)
	}
	c.open(Accept{}, nil)
	return c
}

func masked(op ws.OpCode, payload []byte) []byte {
	key := [4]byte{1, 2, 3, 4}
	b := frame.AppendMaskedHeader(nil, true, false, op, len(payload), key)
	n := len(b)
	b = append(b, payload...)
	frame.Mask(b[n:], key, 0)
	return b
}

// feed gives bytes to c as the poller would, and ends the turn.
func feed(c *Conn, b []byte) {
	l := c.loop
	n := copy(l.room[readAhead:], b)
	c.receive(l.room[readAhead : readAhead+n])
	l.turn(1)
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	echo := Behavior{Message: func(c *Conn, msg []byte, op OpCode) { c.Send(msg, op) }}
	publish := Behavior{Message: func(c *Conn, msg []byte, op OpCode) {
		if err := c.Publish("t", msg, op); err != nil {
			panic(err)
		}
	}}
	chat := Behavior{Message: func(c *Conn, msg []byte, op OpCode) {
		if c.Publish("t", msg, op) != nil || c.Send(msg, op) == Dropped {
			panic("not sent")
		}
	}}
	zip := echo
	zip.Compression = CompressionShared
	text := bytes.Repeat([]byte(`{"price":1,"size":2},`), 48)
	cases := []struct {
		name        string
		behavior    Behavior
		subscribers int
		deflated    bool
		input       []byte
		// sent is how many frames each round must send.
		sent uint64
	}{
		{"echo 20 B", echo, 0, false, masked(ws.OpText, text[:20]), 1},
		{"echo 16 KiB", echo, 0, false, masked(ws.OpBinary, make([]byte, 16<<10)), 1},
		{"echo 16 in one read", echo, 0, false, bytes.Repeat(masked(ws.OpText, text[:20]), 16), 16},
		{"echo 1 KB deflated", zip, 0, true, masked(ws.OpText, text), 1},
		{"ping", echo, 0, false, masked(ws.OpPing, text[:20]), 1},
		{"pong", echo, 0, false, masked(ws.OpPong, nil), 0},
		{"publish to 100", publish, 100, false, masked(ws.OpText, text[:64]), 100},
		{"publish 16 to 100", publish, 100, false, bytes.Repeat(masked(ws.OpText, text[:64]), 16), 1600},
		{"publish 1 KB deflated to 100", publish, 100, true, masked(ws.OpText, text), 100},
		{"publish and send of a subscriber", chat, 20, false, masked(ws.OpText, text[:64]), 21},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			l, r := handLoop(t, tc.behavior)
			sender, far := handConn(t, l, r)
			ends := []int{far}
			if tc.subscribers > 0 {
				sender.Subscribe("t")
			}
			for range tc.subscribers {
				c, far := handConn(t, l, r)
				c.Subscribe("t")
				if tc.deflated {
					c.flags |= deflates
					c.window = 15
				}
				ends = append(ends, far)
			}
			if tc.deflated {
				sender.flags |= deflates
				sender.window = 15
			}
			l.turn(0)
			input := append([]byte(nil), tc.input...)
			round := func() {
				feed(sender, input)
				for _, fd := range ends {
					drainSocket(fd)
				}
			}
			const rounds = 200
			for range 20 {
				round()
			}
			before := l.stats
			n := testing.AllocsPerRun(rounds, round)
			if n != 0 {
				t.Errorf("%v allocations", n)
			}
			// AllocsPerRun makes one round more, to warm up.
			if sent := l.stats.FramesOut - before.FramesOut; sent != tc.sent*(rounds+1) {
				t.Errorf("%d frames sent, want %d: the path measured is not the one meant", sent, tc.sent*(rounds+1))
			}
			if sender.state != stateOpen || l.stats.BackpressureEvents != 0 {
				t.Errorf("state %d, %d times backpressure", sender.state, l.stats.BackpressureEvents)
			}
		})
	}
}

// An idle connection holds no buffer: what it keeps alive on the heap, netpoll's
// operator included, stays under 450 bytes, before and after messages.
func TestIdleConnectionHeap(t *testing.T) {
	const n, budget = 2000, 450
	l, r := handLoop(t, Behavior{
		Compression: CompressionShared,
		Message:     func(c *Conn, msg []byte, op OpCode) { c.Send(msg, op) },
	})
	warm, far := handConn(t, l, r)
	input := masked(ws.OpText, bytes.Repeat([]byte("x"), 1<<10))
	feed(warm, input)
	drainSocket(far)
	before := heapInUse()
	conns := make([]*Conn, 0, n)
	ends := make([]int, 0, n)
	defer func() { closeAll(ends) }()
	for range n {
		near, far := rawSocketPair(t)
		conns, ends = append(conns, handConnOver(t, l, r, near)), append(ends, far)
	}
	l.turn(0)
	idle := (heapInUse() - before) / n
	for i, c := range conns {
		feed(c, input)
		drainSocket(ends[i])
	}
	after := (heapInUse() - before) / n
	t.Logf("%d bytes a connection, %d after a message", idle, after)
	if idle > budget || after > budget {
		t.Errorf("%d bytes a connection, %d after a message, want at most %d", idle, after, budget)
	}
	runtime.KeepAlive(conns)
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
