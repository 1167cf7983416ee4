//go:build unix

package main

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// serving starts wsd with one client, which got its first echo.
func serving(t *testing.T, args ...string) (*child, *client) {
	t.Helper()
	p := spawn(t, append([]string{"serve", "--admin-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--loops", "1"}, args...)...)
	c, err := dial("ws://"+p.addr+"/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.conn.Close() })
	c.t = t
	c.send(ws.OpText, "x")
	c.expect(ws.OpText, "x")
	return p, c
}

func TestSignalsDrain(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			p, c := serving(t, "--drain-lb-wait", "0s")
			p.cmd.Process.Signal(sig)
			c.expectClose(ws.StatusGoingAway, "server is shutting down")
			c.conn.Close()
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d:\n%s", code, &p.stderr)
			}
		})
	}
}

func TestOneSignalPassedOnIsNoSecondOne(t *testing.T) {
	p, c := serving(t, "--drain-lb-wait", "0s")
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.cmd.Process.Signal(syscall.SIGINT)
	c.expectClose(ws.StatusGoingAway, "server is shutting down")
	c.conn.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, &p.stderr)
	}
}

func TestDrainIsCutShort(t *testing.T) {
	p, _ := serving(t, "--drain-lb-wait", "0s", "--drain-timeout", "300ms")
	p.cmd.Process.Signal(syscall.SIGTERM) // and the client answers nothing
	if code := p.exit(); code != exitFailure {
		t.Errorf("exit code %d:\n%s", code, &p.stderr)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	p, _ := serving(t, "--drain-lb-wait", "20s")
	p.cmd.Process.Signal(syscall.SIGINT)
	testkit.Eventually(t, func() bool { return strings.Contains(p.stderr.String(), "draining") }, patience)
	testkit.Eventually(t, func() bool {
		p.cmd.Process.Signal(syscall.SIGINT) // until it counts as a second one
		select {
		case <-p.read:
			return true
		default:
			return false
		}
	}, patience)
	if code := p.exit(); code != exitInterrupt {
		t.Errorf("exit code %d:\n%s", code, &p.stderr)
	}
}

// A dump has stacks, and who has most sent, with names that can't forge lines or reach
// the terminal; while draining as well, and not as often as somebody may ask.
func TestSignalDumps(t *testing.T) {
	p, slow := serving(t, "--drain-lb-wait", "20s")
	topic, err := dial("ws://"+p.addr+"/topics/a%1B%5B31m%0Awsd:%20b?self=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer topic.conn.Close()
	topic.t = t
	topic.send(ws.OpText, "x")
	topic.expect(ws.OpText, "x")
	// More than both sockets' buffers take, so that some of it waits in the server.
	if err := slow.conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", 8<<10)
	for range 4000 {
		slow.send(ws.OpText, large)
	}
	said := func(text string) func() bool {
		return func() bool { return strings.Contains(p.stderr.String(), text) }
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	testkit.Eventually(t, said("draining"), patience)
	p.cmd.Process.Signal(syscall.SIGUSR1)
	testkit.Eventually(t, said("wsd: end of the dump of "), patience)
	p.cmd.Process.Signal(syscall.SIGUSR1)
	testkit.Eventually(t, said("no dump: there was one just now"), patience)
	all := p.stderr.String()
	for _, want := range []string{
		"engine.(*Loop).run", "main.main()",
		`topic="a\x1b[31m\nwsd: b" members=1 fan_out=0/s` + "\n",
		"slowest clients: 1\n  buffered=", ` path="/echo"` + "\n",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the dump lacks %q:\n%s", want, all)
		}
	}
	if n := strings.Count(all, "wsd: dump of "); n != 1 || strings.Contains(all, "\x1b") {
		t.Errorf("%d dumps:\n%q", n, all)
	}
}
