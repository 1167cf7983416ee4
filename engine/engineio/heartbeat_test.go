package engineio_test

import (
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

func beat(interval, timeout int) engineio.Options {
	return engineio.Options{PingInterval: time.Duration(interval) * time.Millisecond, PingTimeout: time.Duration(timeout) * time.Millisecond}
}

func TestHeartbeatOverPolling(t *testing.T) {
	srv := serve(t, beat(50, 2000), nil)
	p := srv.poll(v4)
	if p.open.PingInterval != 50 || p.open.PingTimeout != 2000 {
		t.Errorf("%+v", p.open)
	}
	for range 4 {
		p.wantGet("2")
		p.wantPost("3")
	}
	p.wantGet("2")
	p.wantGet("1") // one ping at a time; then the end
	srv.wantEnd(p.sid, engineio.PingTimeout, "")
	p.get().wantRefused(t, 400, 1, "Session ID unknown")
}

func TestPollerThatNeverPolls(t *testing.T) {
	srv := serve(t, beat(50, 950), nil) // time for the answer to the handshake
	p := srv.poll(v4)
	srv.wantEnd(p.sid, engineio.PingTimeout, "")
	// The handler hears of the end before the session is forgotten.
	testkit.Eventually(t, func() bool { return srv.Session(p.sid) == nil }, patience)
}

func TestHeartbeatOverWebSocket(t *testing.T) {
	srv := serve(t, beat(50, 2000), nil)
	c, sid := srv.session(w4)
	for range 4 {
		c.want("2")
		c.send("3")
	}
	c.want("2")
	c.wantClose(0, "")
	srv.wantEnd(sid, engineio.PingTimeout, "")
}

// A packet while a pong is due extends the time once. The session ends after
// twice the timeout, not before and not later, whatever else is sent.
func TestExtensionOfThePingTimeout(t *testing.T) {
	const timeout = time.Second
	srv := serve(t, engineio.Options{PingInterval: 50 * time.Millisecond, PingTimeout: timeout}, nil)
	c, sid := srv.session(w4)
	c.want("2")
	<-time.After(timeout / 4) // what is not extended ends that much too early
	extending := time.Now()
	c.send("4first")
	c.want("4first")
	// Messages that are sent all the time change nothing more.
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
				if _, err := c.Write(frameOf(1, "4more")); err != nil {
					return
				}
			}
		}
	}()
	for {
		f := c.frame()
		if f.Header.OpCode == 8 {
			break
		}
		if string(f.Payload) != "4more" {
			t.Fatalf("got %q", f.Payload)
		}
	}
	close(stop)
	<-stopped
	srv.wantEnd(sid, engineio.PingTimeout, "")
	// Timers are never early, so this holds however slow the machine is.
	if d := time.Since(extending); d < timeout {
		t.Errorf("ended %s after the packet that extends", d)
	}
}

func TestPongsOverADifferentTransport(t *testing.T) {
	srv := serve(t, beat(200, 2000), nil)
	p := srv.poll(v4)
	p.wantGet("2")
	c := srv.upgradeOf(p)
	c.send("3")
	c.want("2")
	srv.wantOpen(p.sid)
}
