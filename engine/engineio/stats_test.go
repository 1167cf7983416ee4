package engineio_test

import (
	"testing"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// count is how many values a histogram has counted.
func count(h engine.Histogram) (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Pongs and lives of sessions are timed, pongs of either transport.
func TestStatsTimeSessions(t *testing.T) {
	srv := serve(t, beat(50, 2000), nil)
	c, sid := srv.session(w4)
	for range 2 {
		c.want("2")
		c.send("3")
	}
	p := srv.poll(v4)
	p.wantGet("2")
	p.wantPost("3")
	p.wantPost("1")
	srv.wantEnd(p.sid, engineio.TransportClose, "")
	_ = c.Close()
	srv.wantEnd(sid, engineio.TransportClose, "")
	s := srv.Stats()
	if count(s.RTT) != 3 || s.RTT.Sum == 0 {
		t.Errorf("%d pongs timed, %d ns in all", count(s.RTT), s.RTT.Sum)
	}
	if count(s.Lives) != 2 || s.Lives.Sum == 0 {
		t.Errorf("%d lives timed, %d ns in all", count(s.Lives), s.Lives.Sum)
	}
}

// Who comes with the id of another server's session has a balancer that is not
// sticky; that is told apart from a session that has ended.
func TestStatsTellUnknownSessionsApart(t *testing.T) {
	srv := serve(t, engineio.Options{ServerID: "one"}, nil)
	ask := func(sid string) {
		p := srv.poll(v4)
		p.sid = sid
		p.get().wantRefused(t, 400, 1, "Session ID unknown")
	}
	ask("short")
	ask(engineio.Prefix("one") + "0123456789abcdef")
	ask(engineio.Prefix("two") + "0123456789abcdef")
	ask(engineio.Prefix("two") + "0123456789abcdef")
	s := srv.Stats()
	if want := (engineio.UnknownStats{Foreign: 2, Malformed: 1}); s.Unknown != want || s.Refused[1] != 4 {
		t.Errorf("%+v of %d", s.Unknown, s.Refused[1])
	}
}
