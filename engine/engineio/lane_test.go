package engineio

import (
	"strconv"
	"testing"
	"time"
)

// mute is a Handler that does nothing.
type mute struct{}

func (mute) OpenSession(*Session)                  {}
func (mute) Message(*Session, []byte, bool)        {}
func (mute) CloseSession(*Session, Reason, string) {}

// Sessions that are closed and whose clients never come again are not kept without end.
func TestFarewellsAreBounded(t *testing.T) {
	srv, err := New(Options{}, mute{})
	if err != nil {
		t.Fatal(err)
	}
	ln := newLane(srv, nil)
	ln.timer = time.AfterFunc(time.Hour, func() {}) // there is no loop to tick on
	defer ln.timer.Stop()
	const more = 10
	for i := range maxFarewells + more {
		s := &Session{lane: ln, sid: strconv.Itoa(i), revision: 4, poll: new(poll)}
		srv.sessions.Add(1)
		srv.register(s)
		ln.add(s)
		s.SendText([]byte("4for its poller"))
		s.Close(ForcedClose)
	}
	for i := range maxFarewells + more {
		if kept := srv.session(strconv.Itoa(i)) != nil; kept != (i >= more) {
			t.Fatalf("session %d is kept: %v", i, kept)
		}
	}
	if n := len(ln.zombies); n != maxFarewells {
		t.Errorf("%d farewells", n)
	}
}
