package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/gobwas/ws"
)

// fragmenting is an App with a topic "t" whose clients command their connection
// by lines: "first TEXT", "middle TEXT", "last TEXT", "send TEXT", "pub TEXT",
// "ping TEXT", "post TEXT", "close". A line's result is asked for with "results".
func fragmenting(loops, maxBackpressure int) *engine.App {
	app := engine.New(engine.Options{Loops: loops, Logger: quiet()})
	run := func(c *engine.Conn, word, text string) any {
		msg := []byte(text)
		switch word {
		case "first":
			return c.SendFirstFragment(msg, engine.Text)
		case "middle":
			return c.SendFragment(msg)
		case "last":
			return c.SendLastFragment(msg)
		case "send":
			return c.Send(msg, engine.Text)
		case "prepared":
			return c.SendPrepared(engine.NewPreparedMessage(msg, engine.Text))
		case "ping":
			return c.Ping(msg)
		case "pub":
			return app.Publish("t", msg, engine.Text)
		case "post":
			c.Loop().Post(func() { c.Send(msg, engine.Text) })
		case "close":
			c.Close(4000, text)
		}
		return nil
	}
	return app.WS("/*", engine.Behavior{
		MaxBackpressure: maxBackpressure,
		Open: func(c *engine.Conn) {
			c.SetUserData([]string(nil))
			c.Subscribe("t")
		},
		Message: func(c *engine.Conn, msg []byte, op engine.OpCode) {
			results := c.UserData().([]string)
			for _, line := range strings.Split(string(msg), "\n") {
				word, text, _ := strings.Cut(line, " ")
				if word == "results" {
					c.Send([]byte(strings.Join(results, " ")), op)
					results = nil
					continue
				}
				results = append(results, fmt.Sprint(run(c, word, text)))
			}
			c.SetUserData(results)
		},
	})
}

// frames reads n frames as "FIN OPCODE PAYLOAD".
func (c *client) frames(n int) []string {
	c.t.Helper()
	var got []string
	for range n {
		f := c.frame()
		fin := "-"
		if f.Header.Fin {
			fin = "+"
		}
		got = append(got, fmt.Sprint(fin, f.Header.OpCode, " ", string(f.Payload)))
	}
	return got
}

func TestFragments(t *testing.T) {
	for _, x := range []struct {
		name     string
		messages []string // the client's, which arrive in turns of their own
		want     []string
	}{
		{"three", []string{"first a\nmiddle b\nlast c"}, []string{"-1 a", "-0 b", "+0 c"}},
		{"two", []string{"first a\nlast b"}, []string{"-1 a", "+0 b"}},
		{"empty", []string{"first \nmiddle \nlast "}, []string{"-1 ", "-0 ", "+0 "}},
		{"twice", []string{"first a\nlast b\nfirst c\nlast d"}, []string{"-1 a", "+0 b", "-1 c", "+0 d"}},
		{"over turns", []string{"first a", "middle b", "last c"}, []string{"-1 a", "-0 b", "+0 c"}},
		{
			"sends wait", []string{"send 1\nfirst a\nsend 2\nmiddle b\nsend 3\nprepared 4\nlast c\nsend 5"},
			[]string{"+1 1", "-1 a", "-0 b", "+0 c", "+1 2", "+1 3", "+1 4", "+1 5"},
		},
		{
			"sends wait over turns", []string{"first a\nsend 1", "send 2", "last b", "send 3"},
			[]string{"-1 a", "+0 b", "+1 1", "+1 2", "+1 3"},
		},
		{
			"publications wait", []string{"pub 1\nfirst a\npub 2\nmiddle b\npub 3\nlast c\npub 4"},
			[]string{"+1 1", "-1 a", "-0 b", "+0 c", "+1 2", "+1 3", "+1 4"},
		},
		{
			"publications wait over turns", []string{"first a", "pub 1", "pub 2\nmiddle b", "pub 3\nlast c", "pub 4"},
			[]string{"-1 a", "-0 b", "+0 c", "+1 1", "+1 2", "+1 3", "+1 4"},
		},
		{
			"in one order", []string{"first a\nsend 1\npub 2\nsend 3", "pub 4\nsend 5\npub 6\nlast b\nsend 7\npub 8"},
			[]string{"-1 a", "+0 b", "+1 1", "+1 2", "+1 3", "+1 4", "+1 5", "+1 6", "+1 7", "+1 8"},
		},
		{
			"posted", []string{"first a\npost 1\nsend 2", "last b"},
			[]string{"-1 a", "+0 b", "+1 2", "+1 1"},
		},
		{
			"pings pass", []string{"first a\nsend 1\nping p\nmiddle b\nping q\nlast c"},
			[]string{"-1 a", "+9 p", "-0 b", "+9 q", "+0 c", "+1 1"},
		},
		{
			"without a beginning", []string{"middle a\nlast b\nsend 1\nresults"},
			[]string{"+1 1", "+1 dropped dropped sent"},
		},
		{
			"a beginning inside", []string{"first a\nfirst b\nlast c\nresults"},
			[]string{"-1 a", "+0 c", "+1 sent dropped sent"},
		},
		{
			"results", []string{"first a\nsend 1\nlast b\nresults"},
			[]string{"-1 a", "+0 b", "+1 1", "+1 sent backpressure sent"},
		},
	} {
		for _, loops := range []int{1, 2} {
			t.Run(fmt.Sprint(x.name, "/", loops), func(t *testing.T) {
				addr := serve(t, fragmenting(loops, 0))
				c := dial(t, addr, "/")
				for _, msg := range x.messages {
					c.text(msg)
					// A pong tells that the turn before has ended.
					c.raw(sent(ws.OpPing, "turn"))
				}
				var got []string
				for turns := 0; turns < len(x.messages) || len(got) < len(x.want); {
					f := c.frames(1)[0]
					if f == "+10 turn" {
						turns++
						continue
					}
					got = append(got, f)
				}
				if !slices.Equal(got, x.want) {
					t.Errorf("got  %q\nwant %q", got, x.want)
				}
				c.text("close")
				c.raw(sent(ws.OpClose, "\x0f\xa0"))
				c.wantClose(4000, "")
			})
		}
	}
}

func TestFragmentsReceiverIsPingedMeanwhile(t *testing.T) {
	c := dial(t, serve(t, fragmenting(1, 0)), "/")
	c.text("first a\nsend 1")
	c.want(ws.OpText, "a")
	c.raw(sent(ws.OpPing, "p"))
	c.want(ws.OpPong, "p")
	c.text("last b")
	if got, want := c.frames(2), []string{"+0 b", "+1 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhatWaitsForTheLastFragmentIsBounded(t *testing.T) {
	c := dial(t, serve(t, fragmenting(1, 1000)), "/")
	big := strings.Repeat("x", 600)
	c.text("first a\nsend " + big + "\nsend " + big + "\npub " + big + "\nsend small\nlast b\nresults")
	want := []string{"-1 a", "+0 b", "+1 " + big, "+1 small", "+1 sent backpressure dropped <nil> backpressure sent"}
	if got := c.frames(5); !slices.Equal(got, want) {
		t.Errorf("got %.40q, want %.40q", got, want)
	}
}

func TestLargeFragments(t *testing.T) {
	c := dial(t, serve(t, fragmenting(1, 0)), "/")
	part := strings.Repeat("x", 15<<10)
	var want []string
	c.text("first " + part)
	want = append(want, "-1 "+part)
	for range 20 { // beyond MaxBackpressure: fragments are never dropped
		c.text("middle " + part)
		want = append(want, "-0 "+part)
	}
	c.text("last " + part + "\nsend end")
	want = append(want, "+0 "+part, "+1 end")
	if got := c.frames(len(want)); !slices.Equal(got, want) {
		t.Errorf("%d frames differ", len(want))
	}
}

func TestCloseBetweenFragments(t *testing.T) {
	c := dial(t, serve(t, fragmenting(1, 0)), "/")
	c.text("first a\nsend held\nclose bye\nlast b")
	if got := c.frames(1); got[0] != "-1 a" {
		t.Errorf("got %q", got)
	}
	f := c.frame()
	if code, reason := ws.ParseCloseFrameData(f.Payload); f.Header.OpCode != ws.OpClose || code != 4000 || reason != "bye" {
		t.Errorf("got opcode %d, %d %q", f.Header.OpCode, code, reason)
	}
	c.raw(sent(ws.OpClose, "\x0f\xa0"))
	c.wantEOF()
}
