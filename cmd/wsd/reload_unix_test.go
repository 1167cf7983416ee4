//go:build unix

package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// SIGHUP that comes while wsd reads its configuration for the first time neither ends
// it nor is lost: it reads again as soon as it serves. Each reading is held up here, as
// long as nobody writes into the pipe that the file is.
func TestHangupWhileItStarts(t *testing.T) {
	dir := t.TempDir()
	file, next, pid := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "next"), filepath.Join(dir, "pid")
	for _, name := range []string{file, next} {
		if err := syscall.Mkfifo(name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	give := func(text string, meanwhile func() error) error {
		f, err := os.OpenFile(file, os.O_WRONLY, 0) // waits until it is being read
		if err != nil {
			return err
		}
		err = meanwhile()
		_, failed := io.WriteString(f, text)
		return errors.Join(err, failed, f.Close())
	}
	given := make(chan error, 1)
	go func() {
		given <- errors.Join(give("max-connections: 10\n", func() error {
			text, err := os.ReadFile(pid)
			n, bad := strconv.Atoi(strings.TrimSpace(string(text)))
			return errors.Join(err, bad, os.Rename(next, file), syscall.Kill(n, syscall.SIGHUP))
		}), give("max-connections: 11\n", func() error { return nil }))
	}()
	t.Cleanup(func() { // whoever waits, whatever has become of wsd
		if f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0); err == nil {
			f.Close()
		}
	})
	cmd := exec.Command("sh", "-c", `echo $$ >"$0" && exec "$@"`, pid, os.Args[0],
		"serve", "--config", file, "--listen", "127.0.0.1:0", "--admin-listen", "off", "--loops", "1")
	cmd.Env = append(os.Environ(), asMain+"=1")
	p := spawnCommand(t, cmd)
	testkit.Eventually(t, func() bool { return strings.Contains(p.stderr.String(), `"changed":["--max-connections=11"]`) }, patience)
	if err := <-given; err != nil {
		t.Error(err)
	}
}
