//go:build unix

package main

import (
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
