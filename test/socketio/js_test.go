package socketio

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// suiteTimeout bounds one suite; browsers start slowly on a busy machine.
const suiteTimeout = 3 * time.Minute

// clients are the versions of socket.io-client, newest first.
var clients = []string{"4", "3", "2"}

// transports are the ways to connect; upgrade is polling at first.
var transports = []string{"websocket", "polling", "upgrade"}

// settings are what js/run.mjs and py/run.py read.
type settings struct {
	Suite      string   `json:"suite"`
	Client     string   `json:"client,omitempty"`
	Transports []string `json:"transports,omitempty"`
	Every      []string `json:"every,omitempty"` // transports that a check uses together
	Only       []string `json:"only,omitempty"`  // the checks; none: all
	URL        string   `json:"url"`
	PID        int      `json:"pid,omitempty"`     // of the server
	Clients    int      `json:"clients,omitempty"` // of a storm
	Limit      int64    `json:"limit,omitempty"`   // of one check, in milliseconds
	Page       int      `json:"page,omitempty"`    // the port of pages
	Bundles    []bundle `json:"bundles,omitempty"`
	Secret     string   `json:"secret,omitempty"` // of tokens

	// Browser says that the suite needs one.
	Browser bool `json:"-"`
	// Order does what a suite asks for while it runs.
	Order func(t *testing.T, name string) `json:"-"`
}

// line is what a suite prints.
type line struct {
	Test  string `json:"test"`
	MS    int64  `json:"ms"`
	Error string `json:"error"`
	Do    string `json:"do"`
	Done  bool   `json:"done"`
}

// js runs a suite of js/suites.mjs; each check is a subtest.
func js(t *testing.T, s settings) {
	t.Helper()
	modules(t)
	suite(t, s, lookPath(t, "node"), "js/run.mjs")
}

func suite(t *testing.T, s settings, program string, args ...string) {
	t.Helper()
	if s.Transports == nil {
		s.Transports = transports
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), suiteTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(args, string(b))...)
	cmd.Env = os.Environ()
	if s.Browser {
		cmd.Env = append(cmd.Env, "WSD_CHROMIUM="+lookPath(t, "chromium", "chromium-browser"), "WSD_CHROMIUM_PROFILE="+t.TempDir())
	}
	// Told to end, a suite takes its browser along; killed, the browser notices
	// the closed pipe.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := report(t, s, out, in)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the suite ended: %v", err)
	} else if !done {
		t.Error("the suite ended before its time")
	}
}

// report makes a subtest of each check and reports whether the suite came to its end.
func report(t *testing.T, s settings, out io.Reader, in io.Writer) (done bool) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Errorf("%v: %s", err, lines.Bytes())
			continue
		}
		switch {
		case l.Done:
			done = true
		case l.Do != "":
			s.Order(t, l.Do)
			if _, err := io.WriteString(in, "\n"); err != nil {
				t.Error(err)
			}
		default:
			t.Run(l.Test, func(t *testing.T) {
				t.Logf("%d ms", l.MS)
				if l.Error != "" {
					t.Error(l.Error)
				}
			})
		}
	}
	return done
}
