package engine_test

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// closed reads up to the Close frame and returns its code.
func (c *client) closed() ws.StatusCode {
	c.t.Helper()
	for {
		if f := c.frame(); f.Header.OpCode == ws.OpClose {
			code, _ := ws.ParseCloseFrameData(f.Payload)
			return code
		}
	}
}

// bye answers the server's Close frame.
func (c *client) bye() {
	c.t.Helper()
	c.raw(sent(ws.OpClose, "\x03\xe9"))
	c.wantEOF()
}

func TestDrainClosesInSteps(t *testing.T) {
	app := engine.New(engine.Options{Loops: 2, Logger: quiet()}).WS("/*", engine.Behavior{Message: echo})
	addr, stop := start(t, app, 2*patience)
	const n = 60
	var clients []*client
	for range n {
		clients = append(clients, dial(t, addr, "/"))
	}
	clients = append(clients, dialPipe(t, app))
	begin := time.Now()
	drained := make(chan error, 1)
	go func() { drained <- app.Drain(context.Background(), engine.DrainOptions{Window: time.Minute}) }()

	for i, c := range clients {
		if code := c.closed(); code != 1001 {
			t.Fatalf("client %d: code %d", i, code)
		}
		c.bye()
	}
	if err := receive(t, drained); err != nil {
		t.Errorf("Drain: %v", err)
	}
	// One per step and loop: half the pauses at least, whatever the machine does.
	if all := time.Since(begin); all < (n/2-1)*25*time.Millisecond {
		t.Errorf("%d clients on two loops were closed in %v", n, all)
	}
	if err := stop(); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if n := app.Stats().Unanswered; n != 0 {
		t.Errorf("%d did not answer", n)
	}
}

// What a client sends before it hears of the end is delivered; who comes then is
// refused, and the loops answer meanwhile.
func TestDrainDeliversAndRefuses(t *testing.T) {
	var away atomic.Int32
	heard := make(chan string, 10)
	app := engine.New(engine.Options{Loops: 1, Logger: quiet()}).
		WS("/topic", engine.Behavior{
			Open: func(c *engine.Conn) { c.Subscribe("t") },
			Message: func(c *engine.Conn, msg []byte, op engine.OpCode) {
				heard <- string(msg)
				_ = c.Publish("t", bytes.Clone(msg), op)
			},
		}).
		WS("/asked", engine.Behavior{
			Upgrade: func(u *engine.Handshake) { _ = u.Accept(engine.Accept{}) },
			GoAway: func(c *engine.Conn) {
				away.Add(1)
				c.Close(4000, "by the protocol above")
			},
		}).
		WS("/stubborn", engine.Behavior{GoAway: func(*engine.Conn) {}})
	release := make(chan struct{})
	begun := make(chan struct{})
	app.OnDrain(func(context.Context, engine.DrainOptions) {
		close(begun)
		<-release
	})
	addr, stop := start(t, app, 2*patience)
	listener := dial(t, addr, "/topic")
	asked, stubborn := dial(t, addr, "/asked"), dial(t, addr, "/stubborn")
	sender := dial(t, addr, "/topic")
	head := upgradeHead("/asked")
	slow := knock(t, addr, head[:20])
	testkit.Eventually(t, func() bool { return app.Stats().Sockets == 5 }, patience)
	testkit.Eventually(t, func() bool { return app.NumSubscribers("t") == 2 }, patience)
	drained := make(chan error, 1)
	go func() {
		drained <- app.Drain(context.Background(), engine.DrainOptions{Window: time.Minute, Jitter: -1})
	}()
	receive(t, begun)
	sender.text("before")
	receive(t, heard)
	listener.wantText("before")
	close(release)

	if code := sender.closed(); code != 1001 {
		t.Errorf("code %d", code)
	}
	if code := asked.closed(); code != 4000 || away.Load() != 1 {
		t.Errorf("code %d, GoAway was called %d times", code, away.Load())
	}
	if code := stubborn.closed(); code != 1001 {
		t.Errorf("code %d", code)
	}
	sender.text("on the way")
	if msg := receive(t, heard); msg != "on the way" {
		t.Errorf("heard %q", msg)
	}
	if code := listener.closed(); code != 1001 {
		t.Errorf("code %d", code)
	}
	slow.raw(head[20:])
	slow.wantStatus(503)
	for _, c := range []*client{sender, asked, stubborn, listener} {
		c.bye()
	}
	if err := receive(t, drained); err != nil {
		t.Errorf("Drain: %v", err)
	}
	if err := stop(); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestDrainEndsWithItsContext(t *testing.T) {
	app := engine.New(engine.Options{Loops: 1, Logger: quiet()}).WS("/*", engine.Behavior{})
	addr, stop := start(t, app, patience)
	var clients []*client
	for range 20 {
		clients = append(clients, dial(t, addr, "/"))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := app.Drain(ctx, engine.DrainOptions{Window: time.Minute}); err != context.Canceled {
		t.Errorf("Drain: %v", err)
	}
	go func() { _ = stop() }()
	for _, c := range clients {
		if code := c.closed(); code != 1001 {
			t.Errorf("code %d", code)
		}
		c.bye()
	}
}
