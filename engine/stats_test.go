package engine_test

import (
	"testing"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// count is how many values a histogram has counted.
func count(h engine.Histogram) (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// What connections do is in the counters, by kind, opcode, code and initiator.
func TestStatsTellWhatConnectionsDid(t *testing.T) {
	app := engine.New(engine.Options{Loops: 2, Logger: quiet()}).
		WS("/", engine.Behavior{Message: echo}).
		WS("/topic", engine.Behavior{
			Open:    func(c *engine.Conn) { c.Subscribe("t") },
			Message: func(c *engine.Conn, msg []byte, op engine.OpCode) { _ = c.Publish("t", msg, op) },
		}).
		WS("/layered", engine.Behavior{Layered: true, Message: func(c *engine.Conn, msg []byte, op engine.OpCode) {
			c.CountReceived(op)
			c.CountSent(op, c.Send(msg, op))
			c.CountSent(op, engine.Dropped)
		}}).
		WS("/kick", engine.Behavior{Message: func(c *engine.Conn, _ []byte, _ engine.OpCode) { c.Close(4321, "") }})
	addr := serve(t, app)

	c := dial(t, addr, "/")
	for range 3 {
		c.text("text")
		c.wantText("text")
	}
	c.send(ws.OpBinary, "bytes")
	c.want(ws.OpBinary, "bytes")
	c.raw(sent(ws.OpClose, string(ws.NewCloseFrameBody(1000, ""))))
	c.wantClose(1000, "")

	one, two := dial(t, addr, "/topic"), dial(t, addr, "/topic")
	one.text("news")
	two.wantText("news")
	_ = one.Close()
	_ = two.Close()

	layered := dial(t, addr, "/layered")
	layered.text("text")
	layered.wantText("text")
	for range 2 {
		layered.send(ws.OpBinary, "bytes")
		layered.want(ws.OpBinary, "bytes")
	}
	layered.raw(sent(ws.OpClose, ""))
	layered.wantClose(0, "")

	kicked := dial(t, addr, "/kick")
	kicked.text("me")
	kicked.frame()
	_ = kicked.Close()

	testkit.Eventually(t, func() bool { return app.Stats().Sockets == 0 }, patience)
	s := snapshot(t, app)
	all := s.Total()
	for _, x := range []struct {
		what      string
		got, want uint64
	}{
		{"opened", all.Opened, 5},
		{"of them layered", all.OpenedLayered, 1},
		{"messages in", all.MessagesIn, 9},
		{"of them binary", all.BinaryIn, 3},
		{"texts in, of layered ones", all.LayeredIn.Text, 1},
		{"binaries in, of layered ones", all.LayeredIn.Binary, 2},
		{"texts out", all.FramesByOp[engine.Text], 5},
		{"binaries out", all.FramesByOp[engine.Binary], 3},
		{"texts out, of layered ones", all.LayeredOut.Text, 1},
		{"binaries out, of layered ones", all.LayeredOut.Binary, 2},
		{"frames out", all.FramesOut, 5 + 3 + 3},
		{"ended by clients with 1000", all.Ended[engine.ByClient][0], 1},
		{"ended by clients without a code", all.Ended[engine.ByClient][4], 1},
		{"broken", all.Ended[engine.ByNetwork][5], 2},
		{"ended by the server with a code of its own", all.Ended[engine.ByServer][13], 1},
		{"lives", count(all.Lives), 4},
		{"handshakes", count(all.Handshakes[0]), 4},
		{"handshakes of layered ones", count(all.Handshakes[1]), 1},
		{"publications", count(all.Fanout), 1},
		{"their subscribers", all.Fanout.Sum, 2},
	} {
		if x.got != x.want {
			t.Errorf("%s: %d, want %d", x.what, x.got, x.want)
		}
	}
	if engine.EndCodes[0] != "1000" || engine.EndCodes[4] != "1005" || engine.EndCodes[5] != "1006" || engine.EndCodes[13] != "4xxx" {
		t.Errorf("codes are not where this test looks for them: %v", engine.EndCodes)
	}
	if count(all.Turns) == 0 || all.Turns.Sum == 0 {
		t.Error("no turns timed")
	}
}

// However often somebody asks while a loop hangs, the answer comes soon, is told to
// be stale, and the loop is asked once.
func TestStatsOfALoopThatHangs(t *testing.T) {
	app := engine.New(engine.Options{Loops: 2, Logger: quiet()}).WS("/", engine.Behavior{})
	serve(t, app)
	testkit.Eventually(t, func() bool { return len(app.Loops()) == 2 }, patience)
	snapshot(t, app)
	release := make(chan struct{})
	app.Loops()[1].Post(func() { <-release })
	for range 3 {
		if !app.Stats().Stale {
			t.Error("not stale")
		}
	}
	if n := app.Loops()[1].Mail(); n > 1 {
		t.Errorf("%d questions wait, want one", n)
	}
	close(release)
	testkit.Eventually(t, func() bool { return !app.Stats().Stale }, patience)
}

func TestSubscriptionsAreCounted(t *testing.T) {
	app := engine.New(engine.Options{Loops: 2, Logger: quiet()}).WS("/", engine.Behavior{
		Open: func(c *engine.Conn) {
			c.Subscribe("a")
			c.Subscribe("b")
			c.Subscribe("b")
		},
		Message: func(c *engine.Conn, _ []byte, _ engine.OpCode) {
			c.Unsubscribe("a")
			c.Send(nil, engine.Text)
		},
	})
	addr := serve(t, app)
	subscriptions := func() int { s := snapshot(t, app); return s.Total().Subscriptions }
	one, two := dial(t, addr, "/"), dial(t, addr, "/")
	one.text("")
	one.wantText("")
	two.text("")
	two.wantText("")
	if n := subscriptions(); n != 2 {
		t.Errorf("%d subscriptions, want 2", n)
	}
	_ = one.Close()
	_ = two.Close()
	testkit.Eventually(t, func() bool { return subscriptions() == 0 }, patience)
}
