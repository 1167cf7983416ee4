package engine_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// flood is a route that sends numbered messages of 1 KiB to a client that says
// "flood", until enough of them met the limit, and then says what happened.
type flood struct {
	sent, waiting, dropped int
	told                   atomic.Int64 // by the Dropped callback
	toldBytes              atomic.Int64
	drains                 chan int // BufferedAmount at Drain
	report                 chan *flood
	closed                 chan engine.StatusCode
}

func floodBehavior(f *flood, policy engine.BackpressurePolicy) engine.Behavior {
	return engine.Behavior{
		Policy: policy,
		Message: func(c *engine.Conn, msg []byte, op engine.OpCode) {
			if string(msg) != "flood" {
				c.Send(msg, op)
				return
			}
			pad := strings.Repeat("x", 1<<10)
			for i := 0; f.dropped < 50 && i < 50_000; i++ {
				switch c.Send(fmt.Appendf(nil, "%08d%s", i, pad), engine.Binary) {
				case engine.Sent:
					f.sent++
				case engine.Backpressure:
					f.waiting++
				case engine.Dropped:
					f.dropped++
				}
				if policy == engine.DropOldest && f.waiting > 500 {
					break
				}
			}
			if n := c.BufferedAmount(); policy != engine.ClosePolicy && (n == 0 || n > 64<<10) {
				f.report <- nil
				return
			}
			f.report <- f
		},
		Dropped: func(_ *engine.Conn, messages, n int) {
			f.told.Add(int64(messages))
			f.toldBytes.Add(int64(n))
		},
		Drain: func(c *engine.Conn) { f.drains <- c.BufferedAmount() },
		Close: func(_ *engine.Conn, code engine.StatusCode, _ string) { f.closed <- code },
	}
}

func newFlood() *flood {
	return &flood{drains: make(chan int, 100), report: make(chan *flood, 1), closed: make(chan engine.StatusCode, 1)}
}

// numbers reads binary messages up to the text "end" and returns their numbers.
func (c *client) numbers() []int {
	c.t.Helper()
	var all []int
	for {
		f := c.frame()
		if f.Header.OpCode == ws.OpText {
			return all
		}
		var n int
		if _, err := fmt.Sscanf(string(f.Payload[:8]), "%d", &n); err != nil || len(f.Payload) != 8+1<<10 {
			c.t.Fatalf("damaged message %.20q of %d bytes", f.Payload, len(f.Payload))
		}
		all = append(all, n)
	}
}

func TestDropNewestKeepsTheOldest(t *testing.T) {
	f := newFlood()
	app := engine.New(engine.Options{Loops: 1}).WS("/", floodBehavior(f, engine.DropNewest))
	c := dial(t, serve(t, app), "/")
	c.text("flood")
	if <-f.report == nil {
		t.Fatal("BufferedAmount out of bounds")
	}
	got := make(chan []int)
	go func() { got <- c.numbers() }()
	if n := <-f.drains; n != 0 {
		t.Errorf("%d bytes wait at Drain", n)
	}
	c.text("end")
	numbers := <-got
	if f.dropped != 50 || f.waiting == 0 || len(numbers) != f.sent+f.waiting {
		t.Fatalf("sent %d, waiting %d, dropped %d, received %d", f.sent, f.waiting, f.dropped, len(numbers))
	}
	for i, n := range numbers {
		if i != n {
			t.Fatalf("message %d has number %d", i, n)
		}
	}
	if f.told.Load() != 50 || f.toldBytes.Load() != 50*(8+1<<10+4) {
		t.Errorf("Dropped told %d messages, %d bytes", f.told.Load(), f.toldBytes.Load())
	}
	if total := snapshot(t, app); total.Loops[0].Dropped != 50 {
		t.Errorf("Stats count %d dropped", total.Loops[0].Dropped)
	}
}

func TestDropOldestKeepsTheNewest(t *testing.T) {
	f := newFlood()
	app := engine.New(engine.Options{Loops: 1}).WS("/", floodBehavior(f, engine.DropOldest))
	c := dial(t, serve(t, app), "/")
	c.text("flood")
	if <-f.report == nil {
		t.Fatal("BufferedAmount out of bounds")
	}
	got := make(chan []int)
	go func() { got <- c.numbers() }()
	<-f.drains
	c.text("end")
	numbers := <-got
	if f.dropped != 0 || f.told.Load() == 0 || len(numbers)+int(f.told.Load()) != f.sent+f.waiting {
		t.Fatalf("sent %d, waiting %d, dropped %d, told %d, received %d", f.sent, f.waiting, f.dropped, f.told.Load(), len(numbers))
	}
	last := -1
	for _, n := range numbers {
		if n <= last {
			t.Fatalf("%d after %d", n, last)
		}
		last = n
	}
	if last != f.sent+f.waiting-1 {
		t.Errorf("the last message is %d of %d", last, f.sent+f.waiting)
	}
}

func TestClosePolicyCloses(t *testing.T) {
	f := newFlood()
	app := engine.New(engine.Options{Loops: 1}).WS("/", floodBehavior(f, engine.ClosePolicy))
	c := dial(t, serve(t, app), "/")
	c.text("flood")
	<-f.report
	if code := <-f.closed; code != ws.StatusPolicyViolation {
		t.Errorf("closed with %d", code)
	}
	for {
		if fr := c.frame(); fr.Header.OpCode == ws.OpClose {
			break
		}
	}
	c.wantEOF()
	if total := snapshot(t, app); total.Loops[0].Closed[engine.CauseBackpressure] != 1 {
		t.Errorf("closed by cause: %v", total.Loops[0].Closed)
	}
}

// A reader that never reads must not cost more than its limit, nor slow the
// others down, and pings can't be used to grow its queue.
func TestReaderThatNeverReads(t *testing.T) {
	app := engine.New(engine.Options{Loops: 1})
	app.WS("/", engine.Behavior{
		Message: echo,
		Open:    func(c *engine.Conn) { c.Subscribe("t") },
	})
	addr := serve(t, app)
	dead, good := dial(t, addr, "/"), dial(t, addr, "/")
	good.text("hello")
	good.wantText("hello")
	testkit.Eventually(t, func() bool { return app.NumSubscribers("t") == 2 }, patience)
	payload := bytes.Repeat([]byte("y"), 8<<10)
	dropped := func() uint64 { s := app.Stats(); return s.Total().Dropped }
	n := 0
	for ; dropped() < 100; n++ {
		if err := app.Publish("t", payload, engine.Binary); err != nil {
			t.Fatal(err)
		}
		if f := good.frame(); len(f.Payload) != len(payload) {
			t.Fatalf("the good reader got %d bytes", len(f.Payload))
		}
		if n > 100_000 {
			t.Fatal("no drop")
		}
	}
	ping := ws.MustCompileFrame(ws.MaskFrame(ws.NewPingFrame(bytes.Repeat([]byte("p"), 125))))
	stream := bytes.Repeat(ping, 100)
	for range 200 {
		if _, err := dead.Write(stream); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(patience)
	for s := app.Stats(); s.Total().ControlDropped == 0; s = app.Stats() {
		if time.Now().After(deadline) {
			t.Fatal("no pong was dropped")
		}
	}
}

// A slow subscriber gets whole messages in order; what it can't take is dropped
// and counted, message by message.
func TestSlowSubscriberOfBatchedPublications(t *testing.T) {
	const batch, rounds = 16, 400
	dropped := new(atomic.Int64)
	app := engine.New(engine.Options{Loops: 1})
	app.WS("/slow", engine.Behavior{
		Open:    func(c *engine.Conn) { c.Subscribe("t"); c.Send([]byte("ready"), engine.Text) },
		Message: echo,
		Dropped: func(_ *engine.Conn, n, _ int) { dropped.Add(int64(n)) },
	})
	published := 0
	app.WS("/pub", engine.Behavior{Message: func(c *engine.Conn, _ []byte, _ engine.OpCode) {
		pad := strings.Repeat("x", 1<<10)
		for range batch {
			_ = c.Publish("t", fmt.Appendf(nil, "%08d%s", published, pad), engine.Binary)
			published++
		}
		c.Send([]byte("done"), engine.Text)
	}})
	addr := serve(t, app)
	slow, pub := dial(t, addr, "/slow"), dial(t, addr, "/pub")
	slow.wantText("ready")
	for range rounds {
		pub.text("go")
		pub.wantText("done")
	}
	slow.text("end")
	numbers := slow.numbers()
	last := -1
	for _, n := range numbers {
		if n <= last {
			t.Fatalf("%d after %d", n, last)
		}
		last = n
	}
	if len(numbers)+int(dropped.Load()) != batch*rounds || dropped.Load() == 0 {
		t.Errorf("%d received + %d dropped of %d", len(numbers), dropped.Load(), batch*rounds)
	}
}

// A reader that is closed as too slow in the middle of a fan-out is told so
// once, gets nothing twice, and its Close callback runs once.
func TestClosePolicyInAFanOut(t *testing.T) {
	var closes atomic.Int64
	closed := make(chan engine.StatusCode, 10)
	app := engine.New(engine.Options{Loops: 1})
	app.WS("/slow", engine.Behavior{
		Policy:  engine.ClosePolicy,
		Open:    func(c *engine.Conn) { c.Subscribe("t"); c.Send([]byte("ready"), engine.Text) },
		Message: echo,
		Close: func(_ *engine.Conn, code engine.StatusCode, _ string) {
			closes.Add(1)
			closed <- code
		},
	})
	var published atomic.Int64
	app.WS("/pub", engine.Behavior{Message: func(c *engine.Conn, _ []byte, _ engine.OpCode) {
		pad := strings.Repeat("x", 1<<10)
		for range 100 {
			_ = c.Publish("t", fmt.Appendf(nil, "%08d%s", published.Add(1)-1, pad), engine.Binary)
		}
		c.Send([]byte("done"), engine.Text)
	}})
	addr := serve(t, app)
	slow, pub := dial(t, addr, "/slow"), dial(t, addr, "/pub")
	slow.wantText("ready")
	for len(closed) == 0 && published.Load() < 1_000_000 {
		pub.text("go")
		pub.wantText("done")
	}
	if code := <-closed; code != ws.StatusPolicyViolation {
		t.Errorf("closed with %d", code)
	}
	for next := 0; ; next++ {
		f := slow.frame()
		if f.Header.OpCode == ws.OpClose {
			break
		}
		if want := fmt.Sprintf("%08d", next); string(f.Payload[:8]) != want {
			t.Fatalf("message %s, want %s", f.Payload[:8], want)
		}
	}
	slow.wantEOF()
	s := snapshot(t, app)
	if n := s.Total().Closed[engine.CauseBackpressure]; n != 1 || closes.Load() != 1 {
		t.Errorf("closed %d times, called back %d times", n, closes.Load())
	}
}
