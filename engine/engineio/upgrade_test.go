package engineio_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/codec/eio"
	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// upgradeOf moves a session to a WebSocket; no poll may be parked.
func (s *server) upgradeOf(p *poller) *socket {
	s.t.Helper()
	c := s.dial(strings.Replace(p.query, "polling", "websocket", 1) + "&sid=" + p.sid)
	c.send("2probe")
	c.want("3probe")
	c.send("5")
	return c
}

func TestUpgrade(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	p := srv.poll(v4)
	got := p.park()
	c := srv.dial(w4 + "&sid=" + p.sid)
	c.send("2probe")
	c.want("3probe")
	received(t, got).want(t, 200, "6")
	for range 3 {
		p.wantGet("6") // every further one, at once
	}
	p.wantPost("4queued")
	p.wantPost("bAQID")
	c.send("5")
	c.want("4queued")
	c.wantBinary("\x01\x02\x03")
	c.send("4yo")
	c.want("4yo")
	c.sendBinary("\x04")
	c.wantBinary("\x04")
	s := srv.app.sessionOf(t, p.sid)
	if s.Transport() != engineio.WebSocket || s.Closed() {
		t.Error("not on its WebSocket")
	}
	p.get().wantRefused(t, 400, 3, "Bad request")
	p.post("4x").wantRefused(t, 400, 3, "Bad request")
	srv.dial(w4+"&sid="+p.sid).wantClose(0, "")
	c.send("4still here")
	c.want("4still here")
	if st := srv.Stats(); st.Upgraded != 1 || st.OnSocket != 1 || st.Sessions != 1 {
		t.Errorf("%+v", st)
	}
	c.raw(string(ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(nil)))))
	srv.wantEnd(p.sid, engineio.TransportClose, "")
}

func TestUpgradeOnEveryLoop(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	for range 8 { // sessions and sockets take turns among the loops
		p := srv.poll(v4)
		c := srv.upgradeOf(p)
		c.send("4x")
		c.want("4x")
	}
}

func TestDataFreesTheLastGET(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	p := srv.poll(v4)
	c := srv.dial(w4 + "&sid=" + p.sid)
	got := p.park()
	p.wantPost("4x")
	received(t, got).want(t, 200, "4x")
	c.send("2probe")
	c.want("3probe")
	p.wantPost("4y")
	p.wantGet("4y") // queued data, and no noop before or behind it
	c.send("5")
	c.send("4z")
	c.want("4z")
}

func TestUpgradeWithoutProbe(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	p := srv.poll(v4)
	got := p.park()
	c := srv.dial(w4 + "&sid=" + p.sid)
	c.send("5")
	c.send("4x")
	c.want("4x")
	received(t, got).want(t, 200, "1")
}

func TestUpgradeTimeout(t *testing.T) {
	srv := serve(t, engineio.Options{UpgradeTimeout: time.Second}, nil)
	p := srv.poll(v4)
	c := srv.dial(w4 + "&sid=" + p.sid)
	c.send("2probe")
	c.want("3probe")
	c.wantClose(0, "")
	srv.dial(w4+"&sid="+p.sid).wantClose(0, "") // one that says nothing
	p.wantPost("4x")
	p.wantGet("4x")
	got := p.park() // not sent home any more
	p.wantPost("4y")
	received(t, got).want(t, 200, "4y")
	srv.wantOpen(p.sid)
}

func TestFailedUpgrades(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	p := srv.poll(v4)
	for _, first := range []string{"40", "2", "2prob", "3probe", "", "1"} {
		c := srv.dial(w4 + "&sid=" + p.sid)
		c.send(first)
		c.wantClose(0, "")
	}
	c := srv.dial(w4 + "&sid=" + p.sid)
	c.sendBinary("5")
	c.wantClose(0, "")

	c = srv.dial(w4 + "&sid=" + p.sid)
	c.send("2probe")
	c.want("3probe")
	srv.dial(w4+"&sid="+p.sid).wantClose(0, "") // a second one at a time
	c.send("2probe")
	c.want("3probe")
	_ = c.Close()

	testkit.Eventually(t, func() bool { return srv.engine.Connections() == 0 }, patience)
	srv.wantOpen(p.sid)
	c = srv.upgradeOf(p)
	c.send("4x")
	c.want("4x")
}

func TestDisableUpgrades(t *testing.T) {
	srv := serve(t, engineio.Options{DisableUpgrades: true}, nil)
	p := srv.poll(v4)
	if len(p.open.Upgrades) != 0 {
		t.Errorf("upgrades %q", p.open.Upgrades)
	}
	srv.dial(w4+"&sid="+p.sid).wantClose(0, "")
	c, _ := srv.session(w4)
	c.send("4x")
	c.want("4x")
}

func TestOriginOfAnUpgrade(t *testing.T) {
	srv := serve(t, engineio.Options{CheckOrigin: func(r *engineio.Request) bool { return r.Origin() == "" }}, nil)
	p := srv.poll(v4)
	got := srv.knock(upgradeHead(w4+"&sid="+p.sid, "Origin: http://evil.test")).rest()
	if !strings.HasSuffix(got, "\r\n\r\nForbidden") {
		t.Errorf("got %q", got)
	}
	srv.upgradeOf(p)
}

func TestPOSTInFlightWhileTheSocketTakesOver(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	p := srv.poll(v4)
	post := p.slowPost()
	c := srv.upgradeOf(p)
	c.send("4first")
	c.want("4first")
	post.raw("123456789")
	c.want("4123456789")
}

// A POST that breaks off behind the take-over, here because it is too slow, is none of
// the WebSocket's business.
func TestPOSTBreaksOffBehindTheTakeOver(t *testing.T) {
	srv := serve(t, beat(100, 1000), nil)
	p := srv.poll(v4)
	post := p.slowPost()
	c := srv.upgradeOf(p)
	for srv.Stats().SlowPosts == 0 {
		c.want("2")
		c.send("3")
	}
	if got := post.rest(); got != "" {
		t.Errorf("the POST got %q", got)
	}
	srv.wantOpen(p.sid)
	c.send("4x")
	text := c.text()
	for text == "2" {
		text = c.text()
	}
	if text != "4x" {
		t.Errorf("got %q", text)
	}
}

func TestCloseWhileUpgrading(t *testing.T) {
	for _, c := range []struct {
		name string
		post string
		want []string // on the WebSocket after "5"
	}{
		{name: "with a message that waits", post: "4!bye", want: []string{"4bye"}},
		{name: "with nothing that waits", post: "4!close"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serve(t, engineio.Options{}, nil)
			p := srv.poll(v4)
			s := srv.dial(w4 + "&sid=" + p.sid)
			s.send("2probe")
			s.want("3probe")
			p.wantPost(c.post)
			srv.wantEnd(p.sid, engineio.ForcedClose, "")
			s.send("5")
			for _, text := range c.want {
				s.want(text)
			}
			s.wantClose(0, "")
			p.get().wantRefused(t, 400, 1, "Session ID unknown")
		})
	}
}

// What the application sends keeps its order, and nothing is lost or doubled,
// whatever the moment of the take-over.
func TestOrderUnderUpgrade(t *testing.T) {
	const sessions, batch = 24, 20
	srv := serve(t, engineio.Options{}, nil)
	var all sync.WaitGroup
	for n := range sessions {
		p := srv.poll(v4)
		s := srv.app.sessionOf(t, p.sid)
		credit := make(chan int, 100)
		all.Go(func() { // the application
			i := 0
			for k := range credit {
				for range k {
					sendNumbered(s, i)
					i++
				}
			}
			s.Loop().Post(func() { s.SendText([]byte("4end")) })
		})
		all.Go(func() { // the client
			var got []string
			take := func(payload string) {
				for packet := range strings.SplitSeq(payload, "\x1e") {
					if packet != "6" {
						got = append(got, packet)
					}
				}
			}
			for range n % 6 { // it polls for a while
				credit <- batch
				take(p.get().body)
			}
			last := make(chan reply, 1)
			go func() { last <- p.get() }()
			credit <- batch
			c := srv.dial(w4 + "&sid=" + p.sid)
			c.send("2probe")
			if f, err := c.next(); err != nil || string(f.Payload) != "3probe" {
				t.Errorf("probe: %q %v", f.Payload, err)
				return
			}
			credit <- batch
			take((<-last).body)
			credit <- batch
			c.send("5")
			credit <- batch
			close(credit)
			for got[len(got)-1] != "4end" {
				f, err := c.next()
				if err != nil || f.Header.OpCode == ws.OpClose {
					t.Errorf("after %d: %q %v", len(got), f.Payload, err)
					return
				}
				packet := string(f.Payload)
				if f.Header.OpCode == ws.OpBinary {
					packet = string(eio.AppendBinary(nil, f.Payload))
				}
				got = append(got, packet)
			}
			if want := 2*batch*(n%6+4) + 1; len(got) != want {
				t.Errorf("%d packets, want %d", len(got), want)
			}
			for i, packet := range got[:len(got)-1] {
				want := fmt.Sprintf("4%d", i/2)
				if i%2 == 1 {
					want = string(eio.AppendBinary(nil, fmt.Append(nil, i/2)))
				}
				if packet != want {
					t.Errorf("packet %d is %q, want %q", i, packet, want)
					return
				}
			}
		})
	}
	all.Wait()
	if n := srv.Stats().Upgraded; n != sessions {
		t.Errorf("%d upgraded", n)
	}
}

// sendNumbered sends a number as text and as binary, in one way or another.
func sendNumbered(s *engineio.Session, i int) {
	text, binary := fmt.Appendf(nil, "4%d", i), fmt.Append(nil, i)
	s.Loop().Post(func() {
		switch i % 3 {
		case 0:
			s.SendText(text)
			s.SendBinary(binary)
		case 1:
			s.SendUnit(text, false, [][]byte{binary}, true)
		default:
			s.SendPrepared(engineio.Prepare(text, false, [][]byte{binary}, true))
		}
	})
}
