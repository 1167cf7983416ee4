//go:build unix

package main

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestHangupReloads(t *testing.T) {
	f := newFile(t, "log-level: info\nmax-connections: 10\n")
	p := spawn(t, "serve", "--config", f.name, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--loops", "1")
	limit := func(text string) func() bool {
		return func() bool {
			res, err := http.Get("http://" + p.addr + "/health")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			defer http.DefaultClient.CloseIdleConnections()
			body, _ := io.ReadAll(res.Body)
			return strings.Contains(string(body), text)
		}
	}
	said := func(text string) func() bool {
		return func() bool { return strings.Contains(p.stderr.String(), text) }
	}
	f.write("log-level: info\nmax-connections: 11\nmax-payload: 1KiB\n")
	p.cmd.Process.Signal(syscall.SIGHUP)
	testkit.Eventually(t, limit(`"limit":11`), patience)
	testkit.Eventually(t, said(`"changed":["--max-connections=11"]`), patience)
	testkit.Eventually(t, said(`"flags":["--max-payload"]`), patience)
	f.write("log-levle: info\nmax-connections: 12\n")
	p.cmd.Process.Signal(syscall.SIGHUP)
	testkit.Eventually(t, said("did you mean log-level?"), patience)
	if !limit(`"limit":11`)() {
		t.Error("a broken file changed the limit")
	}
	f.write("log-level: error\nmax-connections: 13\n")
	p.cmd.Process.Signal(syscall.SIGHUP)
	testkit.Eventually(t, limit(`"limit":13`), patience)
	p.cmd.Process.Signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if said("draining")() {
		t.Error("at level error it still says that it drains")
	}
}
