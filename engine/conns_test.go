package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// census is the IDs of an app's connections, and their descriptions.
func census(t testing.TB, app *engine.App) map[uint64]engine.ConnInfo {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	all := map[uint64]engine.ConnInfo{}
	if err := app.Conns(ctx, func(c *engine.Conn) bool {
		x := c.Info()
		if _, twice := all[x.ID]; twice || x.ID != c.ID() {
			t.Errorf("connection %d is told twice, or has another name: %d", x.ID, c.ID())
		}
		all[x.ID] = x
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestConns(t *testing.T) {
	app := engine.New(engine.Options{Loops: 3, Logger: quiet()})
	app.WS("/a/{x}", engine.Behavior{Message: echo, Open: func(c *engine.Conn) { c.SetUserData("me"); c.Subscribe("t") }})
	app.WS("/b", engine.Behavior{Message: echo})
	if err := app.Conns(context.Background(), func(*engine.Conn) bool { return true }); err != nil {
		t.Errorf("before the start: %v", err)
	}
	addr := serve(t, app)
	begun := time.Now().Truncate(time.Second)
	const n = 12
	var clients []*client
	for i := range n {
		path := "/b"
		if i%2 == 0 {
			path = "/a/1"
		}
		clients = append(clients, dial(t, addr, path))
	}
	for _, c := range clients { // all are open, whatever loop they are on
		c.text("hello")
		c.wantText("hello")
	}
	all := census(t, app)
	if len(all) != n {
		t.Fatalf("%d connections, want %d", len(all), n)
	}
	remotes := map[string]bool{}
	for _, c := range clients {
		remotes[c.LocalAddr().String()] = true
	}
	for id, x := range all {
		if x.Since.Before(begun) || x.Since.After(time.Now()) || !remotes[x.Remote.String()] || x.Buffered != 0 {
			t.Errorf("%+v", x)
		}
		if a := x.Route == "/a/{x}"; a != (x.UserData == "me") || a != (x.Topics == 1) || !a && x.Route != "/b" {
			t.Errorf("%+v", x)
		}
		found, err := app.Conn(context.Background(), id, func(c *engine.Conn) {
			if c.ID() != id || c.Loop().ID() != x.Loop {
				t.Errorf("asked for %d, got %d of loop %d", id, c.ID(), c.Loop().ID())
			}
		})
		if !found || err != nil {
			t.Errorf("connection %d: %v, %v", id, found, err)
		}
	}
	if found, err := app.Conn(context.Background(), 1<<40, func(*engine.Conn) {}); found || err != nil {
		t.Errorf("nobody's id: %v, %v", found, err)
	}
	clients[0].Close()
	testkit.Eventually(t, func() bool { return len(census(t, app)) == n-1 }, patience)
	again := dial(t, addr, "/b")
	again.text("x")
	again.wantText("x")
	for id := range census(t, app) {
		delete(all, id)
	}
	if len(all) != 1 {
		t.Errorf("an id was given again, or has changed: %d are gone", len(all))
	}
}

func TestConnsEndsEarly(t *testing.T) {
	app := engine.New(engine.Options{Loops: 2, Logger: quiet()})
	entered, leave := make(chan struct{}), make(chan struct{})
	app.WS("/echo", engine.Behavior{Message: echo})
	app.WS("/hang", engine.Behavior{Message: func(*engine.Conn, []byte, engine.OpCode) { close(entered); <-leave }})
	addr := serve(t, app)
	for range 4 {
		c := dial(t, addr, "/echo")
		c.text("x")
		c.wantText("x")
	}
	calls := 0
	if err := app.Conns(context.Background(), func(*engine.Conn) bool { calls++; return false }); err != nil || calls != 1 {
		t.Errorf("%d calls after false: %v", calls, err)
	}
	result := make(chan error, 1)
	app.Loops()[0].Post(func() { result <- app.Conns(context.Background(), func(*engine.Conn) bool { return true }) })
	if err := <-result; !errors.Is(err, engine.ErrOnLoop) {
		t.Errorf("on a loop: %v", err)
	}
	// A loop that hangs keeps nobody who has a context.
	dial(t, addr, "/hang").text("x")
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := app.Conns(ctx, func(*engine.Conn) bool { return true }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a loop that hangs: %v", err)
	}
	close(leave)
	census(t, app) // and the loop goes on
}

// Connections come and go while others are told: each that stays is told once.
func TestConnsDuringChurn(t *testing.T) {
	app := engine.New(engine.Options{Loops: 2, Logger: quiet()})
	app.WS("/echo", engine.Behavior{Message: echo})
	addr := serve(t, app)
	const n = 300 // more than a batch, on two loops
	for range n {
		c := dial(t, addr, "/echo")
		c.text("x")
		c.wantText("x")
	}
	stay := census(t, app)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					dial(t, addr, "/echo").Close()
				}
			}
		})
	}
	for range 50 {
		now := census(t, app)
		for id := range stay {
			if _, ok := now[id]; !ok {
				t.Fatalf("connection %d is left out", id)
			}
		}
	}
	close(stop)
	wg.Wait()
}

func TestConnsTellsWhoIsSlow(t *testing.T) {
	app := engine.New(engine.Options{Loops: 1, Logger: quiet()})
	app.WS("/flood", engine.Behavior{MaxBackpressure: -1, Message: func(c *engine.Conn, _ []byte, _ engine.OpCode) {
		piece := []byte(strings.Repeat("x", 64<<10))
		for c.Writable() {
			c.Send(piece, engine.Text)
			if c.Buffered() > 16<<20 {
				return // not reached: the kernel refuses sooner
			}
		}
	}})
	addr := serve(t, app)
	dial(t, addr, "/flood").text("go")
	testkit.Eventually(t, func() bool {
		for _, x := range census(t, app) {
			if x.Buffered > 0 {
				return true
			}
		}
		return false
	}, patience)
}

func TestTopTopics(t *testing.T) {
	app := engine.New(engine.Options{Loops: 2, Logger: quiet()})
	app.WS("/*", engine.Behavior{
		Message: func(c *engine.Conn, msg []byte, op engine.OpCode) { c.Subscribe(string(msg)); c.Send(msg, op) },
	})
	addr := serve(t, app)
	const topics = 300 // more than a batch
	for i := range 5 {
		c := dial(t, addr, "/")
		for j := range topics {
			if j >= topics-5+i || i == 0 {
				topic := fmt.Sprintf("topic-%03d", j)
				c.text(topic)
				c.wantText(topic)
			}
		}
	}
	top := app.TopTopics(3)
	want := []engine.TopicCount{{Name: "topic-299", Count: 5}, {Name: "topic-298", Count: 4}, {Name: "topic-297", Count: 3}}
	if fmt.Sprint(top) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", top, want)
	}
	if all := app.TopTopics(1000); len(all) != topics {
		t.Errorf("%d topics, want %d", len(all), topics)
	}
}
