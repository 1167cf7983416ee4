package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/gobwas/ws"
)

// script is a route whose clients command it by text messages, one command a
// line: "sub T", "unsub T", "pub T M", "app T M", "send M", "post T M" and so on.
type script struct{ app *engine.App }

func newScript(opts engine.Options, b engine.Behavior) *script {
	opts.Logger = quiet()
	s := &script{app: engine.New(opts)}
	b.Message = func(c *engine.Conn, msg []byte, _ engine.OpCode) {
		for _, line := range strings.Split(string(msg), "\n") {
			s.run(c, strings.SplitN(line, " ", 3))
		}
	}
	s.app.WS("/*", b)
	return s
}

func (s *script) run(c *engine.Conn, word []string) {
	switch word[0] {
	case "sub":
		c.Subscribe(word[1])
	case "unsub":
		c.Unsubscribe(word[1])
	case "pub":
		_ = c.Publish(word[1], []byte(word[2]), engine.Text)
	case "app":
		_ = s.app.Publish(word[1], []byte(word[2]), engine.Text)
	case "send":
		c.Send([]byte(word[1]), engine.Text)
	case "post":
		c.Loop().Post(func() { c.Send([]byte(word[1]), engine.Text) })
	case "close":
		c.Close(4000, word[1])
	}
}

func TestSendsAndPublishesArriveInCallOrder(t *testing.T) {
	for _, loops := range []int{1, 3} {
		t.Run(fmt.Sprint(loops, " loops"), func(t *testing.T) {
			s := newScript(engine.Options{Loops: loops}, engine.Behavior{})
			addr := serve(t, s.app)
			c := dial(t, addr, "/")
			c.text("sub t\nsend 1\napp t 2\nsend 3\napp t 4\napp t 5\nsend 6\nunsub t\napp t never\nsub t\napp t 7\nsend 8\nsub u\napp u 9\napp t 10\napp u 11\nsend 12\napp u 13\nunsub u\nclose bye")
			for i := 1; i <= 13; i++ {
				c.wantText(fmt.Sprint(i))
			}
			_, err := c.Write(ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(nil))))
			if err != nil {
				t.Fatal(err)
			}
			c.wantClose(4000, "bye")
		})
	}
}

func TestPublishExcludesItsSenderOnly(t *testing.T) {
	s := newScript(engine.Options{Loops: 2}, engine.Behavior{})
	addr := serve(t, s.app)
	a, b := dial(t, addr, "/"), dial(t, addr, "/")
	for _, c := range []*client{a, b} {
		c.text("sub t\nsub other\nsend ready")
		c.wantText("ready")
	}
	a.text("pub t 1\npub other 2\nsend mine\npub t 3")
	a.wantText("mine")
	b.wantText("1")
	b.wantText("2")
	b.wantText("3")
	b.text("app t 4")
	a.wantText("4")
	b.wantText("4")
	if n := s.app.NumSubscribers("t"); n != 2 {
		t.Errorf("NumSubscribers = %d, want 2", n)
	}
	if n := s.app.NumSubscribers("nothing"); n != 0 {
		t.Errorf("NumSubscribers of an unknown topic = %d", n)
	}
}

// One publisher's messages keep their order at every subscriber, whatever loops
// they live on, and batches lose nothing.
func TestPublishersKeepTheirOrderAcrossLoops(t *testing.T) {
	const subscribers, publishers, messages = 20, 4, 500
	s := newScript(engine.Options{Loops: 3}, engine.Behavior{MaxBackpressure: -1})
	addr := serve(t, s.app)
	var subs []*client
	for range subscribers {
		c := dial(t, addr, "/")
		c.text("sub t\nsend ready")
		c.wantText("ready")
		subs = append(subs, c)
	}
	for p := range publishers {
		c := dial(t, addr, "/")
		go func() {
			for i := range messages {
				if i%2 == 0 {
					c.text(fmt.Sprintf("pub t %d:%d", p, i))
				} else {
					_ = s.app.Publish("t", fmt.Appendf(nil, "x%d:%d", p, i), engine.Text)
				}
			}
		}()
	}
	for _, c := range subs {
		next := map[string]int{}
		for range publishers * messages {
			from, n, _ := strings.Cut(string(c.frame().Payload), ":")
			var i int
			if _, err := fmt.Sscan(n, &i); err != nil {
				t.Fatal(err)
			}
			if i < next[from] {
				t.Fatalf("publisher %s: %d after %d", from, i, next[from])
			}
			next[from] = i
		}
	}
}

func TestAppPublishFromAnyGoroutine(t *testing.T) {
	s := newScript(engine.Options{Loops: 2}, engine.Behavior{})
	addr := serve(t, s.app)
	a, b := dial(t, addr, "/"), dial(t, addr, "/")
	for _, c := range []*client{a, b} {
		c.text("sub t\nsend ready")
		c.wantText("ready")
	}
	const n = 100
	for i := range n {
		if err := s.app.Publish("t", fmt.Append(nil, i), engine.Binary); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		a.want(ws.OpBinary, fmt.Sprint(i))
		b.want(ws.OpBinary, fmt.Sprint(i))
	}
	if err := s.app.Publish("", nil, engine.Text); err != engine.ErrTopic {
		t.Errorf("empty topic: %v", err)
	}
	if err := s.app.Publish(strings.Repeat("x", engine.MaxTopicLen+1), nil, engine.Text); err != engine.ErrTopic {
		t.Errorf("long topic: %v", err)
	}
}

func TestBrokerJoinsApps(t *testing.T) {
	var memory broker.Memory
	var apps []*script
	var conns []*client
	for range 3 {
		s := newScript(engine.Options{Loops: 2, Broker: &memory}, engine.Behavior{})
		c := dial(t, serve(t, s.app), "/")
		c.text("sub t\nsend ready")
		c.wantText("ready")
		apps, conns = append(apps, s), append(conns, c)
	}
	conns[0].text("pub t from-0\napp t all\nsend mine")
	conns[0].wantText("all")
	conns[0].wantText("mine")
	for _, c := range conns[1:] {
		c.wantText("from-0")
		c.wantText("all")
	}
	conns[1].text("unsub t\nsend left")
	conns[1].wantText("left")
	if err := apps[2].app.Publish("t", []byte("outside"), engine.Text); err != nil {
		t.Fatal(err)
	}
	conns[0].wantText("outside")
	conns[2].wantText("outside")
	conns[1].text("send only")
	conns[1].wantText("only")
	if h := apps[0].app.Health(); !h.Up {
		t.Errorf("health: %+v", h)
	}
}

func TestSubscriptionCallbackAndTopics(t *testing.T) {
	events := make(chan string, 10)
	closed := make(chan []string, 1)
	s := newScript(engine.Options{Loops: 1}, engine.Behavior{
		Subscription: func(_ *engine.Conn, topic string, now, before int) {
			events <- fmt.Sprint(topic, " ", before, ">", now)
		},
		Close: func(c *engine.Conn, _ engine.StatusCode, _ string) { closed <- c.Topics() },
	})
	addr := serve(t, s.app)
	c := dial(t, addr, "/")
	c.text("sub a\nsub a\nsub b\nunsub a\nunsub a\nsub c\nsend done")
	c.wantText("done")
	_ = c.Close()
	if got := <-closed; fmt.Sprint(got) != "[b c]" {
		t.Errorf("topics at close: %v", got)
	}
	for _, want := range []string{"a 0>1", "b 0>1", "a 1>0", "c 0>1", "c 1>0", "b 1>0"} {
		if got := <-events; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A topic whose last subscriber leaves while publications are pending, in a turn
// whose log overflows, must not take later subscribers down with it.
func TestTopicEmptiedWhileTheLogIsFull(t *testing.T) {
	s := newScript(engine.Options{Loops: 2}, engine.Behavior{MaxBackpressure: -1})
	addr := serve(t, s.app)
	c, other := dial(t, addr, "/"), dial(t, addr, "/")
	other.text("sub u\nsend ready")
	other.wantText("ready")
	var program strings.Builder
	program.WriteString("sub t\napp t first\nunsub t\n")
	for range 300 {
		program.WriteString("pub t x\npub u y\n")
	}
	program.WriteString("sub t\nsend end")
	c.text(program.String())
	c.wantText("first")
	c.wantText("end")
	for range 300 {
		other.wantText("y")
	}
	if n := s.app.NumSubscribers("t"); n != 1 {
		t.Errorf("NumSubscribers = %d", n)
	}
	other.text("app t hello\nsend said")
	other.wantText("said")
	c.wantText("hello")
}
