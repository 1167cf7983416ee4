package engineio_test

import (
	"runtime"
	"testing"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// heap is the live heap in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// silent is a Handler that keeps nothing.
type silent struct{}

func (silent) OpenSession(*engineio.Session)                           {}
func (silent) Message(*engineio.Session, []byte, bool)                 {}
func (silent) CloseSession(*engineio.Session, engineio.Reason, string) {}

// An idle WebSocket session costs some 450 bytes above what the engine's
// connection does; half of it is the request that began it.
func TestMemoryOfAnIdleSession(t *testing.T) {
	const sessions, budget = 1000, 500
	srv, err := engineio.New(engineio.Options{Logger: quiet()}, silent{})
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Options{Loops: 2, Logger: quiet()}).Mount("/engine.io/", srv)
	e.WS("/plain/*", engine.Behavior{Open: func(c *engine.Conn) {
		c.Send(make([]byte, 107), engine.Text) // as the open packet
	}})
	s := start(t, srv, e, nil)
	measure := func(path string) int64 {
		all := make([]*socket, sessions)
		open := func(part []*socket) {
			for i := range part {
				part[i] = s.dialPath(path)
				part[i].text()
			}
		}
		open(all[:50]) // what is made once
		before := heap()
		open(all[50:])
		used := heap() - before
		for _, c := range all {
			_ = c.Close()
		}
		testkit.Eventually(t, func() bool { return e.Connections() == 0 }, patience)
		return used / (sessions - 50)
	}
	var least int64 = 1 << 30
	for range 3 { // other tests' memory is freed meanwhile
		plain := measure("/plain/?" + w4)
		least = min(least, measure("/engine.io/?"+w4)-plain)
		if least <= budget {
			break
		}
	}
	t.Logf("%d bytes for a session above a connection", least)
	if least > budget {
		t.Errorf("%d bytes", least)
	}
}

func TestSendsDoNotAllocate(t *testing.T) {
	srv := serve(t, engineio.Options{MaxBackpressure: 1 << 30}, nil)
	_, sid := srv.session(w4)
	text, binary := []byte("4[\"event\",1]"), [][]byte{{1, 2, 3}}
	p := engineio.Prepare(text, false, binary, true)
	srv.do(sid, func(s *engineio.Session) {
		for name, send := range map[string]func(){
			"SendText":     func() { s.SendText(text) },
			"SendUnit":     func() { s.SendUnit(text, false, binary, true) },
			"SendPrepared": func() { s.SendPrepared(p) },
		} {
			// The queue of a turn grows by doubling: less than once in ten sends.
			if n := testing.AllocsPerRun(100, send); n >= 1 {
				t.Errorf("%s: %v allocations", name, n)
			}
		}
	})
}
