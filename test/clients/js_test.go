package clients

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// jsClients are the clients of js/run.mjs.
var jsClients = []string{"ws", "undici", "chromium"}

// jsTimeout bounds one run of a client; a browser starts slowly on a busy machine.
const jsTimeout = 90 * time.Second

// target is one server for js/run.mjs; see js/checks.mjs.
type target struct {
	Name         string `json:"name"`
	URL          string `json:"url"`
	Compressed   bool   `json:"compressed"`
	Plain        bool   `json:"plain"` // do not offer compression; ws only
	Topic        string `json:"topic"`
	Milliseconds int    `json:"milliseconds"`
	Origin       string `json:"origin,omitempty"` // of the page, for Chromium
	Code         int    `json:"code"`
}

// js is a running client.
type js struct {
	cmd *exec.Cmd
	out *bufio.Scanner
}

func startJS(t *testing.T, client, check string, targets ...target) *js {
	t.Helper()
	args := []string{"js/run.mjs", client, check}
	for _, target := range targets {
		b, err := json.Marshal(target)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, string(b))
	}
	return startNode(t, client == "chromium", args...)
}

// startNode runs a script of js/, which may start Chromium.
func startNode(t *testing.T, browser bool, args ...string) *js {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), jsTimeout)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program(t, "node"), args...)
	cmd.Env = os.Environ()
	if browser {
		cmd.Env = append(cmd.Env, "WSD_CHROMIUM="+program(t, "chromium"), "WSD_CHROMIUM_PROFILE="+t.TempDir())
	}
	// Told to end, the client takes its browser along; killed, the browser
	// notices the closed pipe.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &js{cmd, bufio.NewScanner(out)}
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: make test installs it", err)
	}
	return path
}

// line waits for a line of output.
func (j *js) line(t *testing.T) string {
	t.Helper()
	if !j.out.Scan() {
		t.Fatalf("the client ended: %v", j.cmd.Wait())
	}
	return j.out.Text()
}

// finish reports the client's problems.
func (j *js) finish(t *testing.T) {
	t.Helper()
	var problems []string
	if err := json.Unmarshal([]byte(j.line(t)), &problems); err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
	if err := j.cmd.Wait(); (err == nil) != (len(problems) == 0) {
		t.Errorf("%d problems, and %v", len(problems), err)
	}
}

func TestJSClients(t *testing.T) {
	var targets []target
	for _, mode := range modes {
		p := serve(t, "--compression", mode)
		targets = append(targets, target{Name: mode, URL: "ws://" + p.Addr, Compressed: mode != "off"})
	}
	for _, client := range jsClients {
		t.Run(client, func(t *testing.T) {
			all := append([]target(nil), targets...)
			if client == "ws" {
				plain := targets[1]
				plain.Name, plain.Plain, plain.Compressed = "shared, none offered", true, false
				all = append(all, plain)
			}
			for i := range all {
				all[i].Topic = fmt.Sprintf("%s-%d", client, i)
			}
			startJS(t, client, "checks", all...).finish(t)
		})
	}
}

// Clients answer pings by themselves, and so outlive the idle timeout.
func TestJSIdle(t *testing.T) {
	p := serve(t, "--idle-timeout", "6s")
	var all []*js
	for _, client := range jsClients {
		all = append(all, startJS(t, client, "idle", target{Name: "idle", URL: "ws://" + p.Addr, Milliseconds: 9000}))
	}
	for _, j := range all {
		j.finish(t)
	}
}

func TestJSServerGoesAway(t *testing.T) {
	for _, client := range jsClients {
		t.Run(client, func(t *testing.T) {
			p := serve(t)
			j := startJS(t, client, "drain", target{Name: "drain", URL: "ws://" + p.Addr})
			if s := j.line(t); s != "ready" {
				t.Fatal(s)
			}
			p.Signal(t, syscall.SIGTERM)
			j.finish(t)
			if code := p.Wait(t); code != 0 {
				t.Errorf("exit code %d\n%s", code, p.Log())
			}
		})
	}
}

// A page of another origin is refused, and a full server says so by close code.
func TestJSRefused(t *testing.T) {
	own, foreign := serve(t), serve(t)
	full := serve(t, "--max-connections", "1")
	synced(dial(t, "gorilla", full.Addr, "/echo", false))
	startJS(t, "chromium", "refused",
		target{Name: "foreign origin", URL: "ws://" + own.Addr, Origin: "http://" + foreign.Addr},
		target{Name: "full", URL: "ws://" + full.Addr, Code: 1008},
	).finish(t)
}
