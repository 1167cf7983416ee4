package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// suiteTimeout bounds one suite.
const suiteTimeout = 5 * time.Minute

// settings are what js/run.mjs reads.
type settings struct {
	Suite   string    `json:"suite"`
	Kind    string    `json:"kind"` // of adapter
	Redis   string    `json:"redis"`
	Servers []*server `json:"servers"`
	Flows   []flow    `json:"flows"`
	Proxy   string    `json:"proxy,omitempty"` // its URL

	// Order does what a suite asks for while it runs.
	Order func(t *testing.T, name string) `json:"-"`
}

// flow is a direction: calls are made at one server, and observed at another.
type flow struct {
	From  string   `json:"from"` // "emitter": npm's emitter, not a server
	To    string   `json:"to"`
	Nsp   string   `json:"nsp"`
	Calls []string `json:"calls"`
}

// line is what a suite prints.
type line struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Nsp   string `json:"nsp"`
	Call  string `json:"call"`
	MS    int64  `json:"ms"`
	Error string `json:"error"`
	Do    string `json:"do"`
	Done  bool   `json:"done"`
}

// name is call/direction, and the namespace unless it is "/".
func (l *line) name() string {
	name := l.Call + "/" + l.From + "-" + l.To
	if l.Nsp != "/" {
		name += l.Nsp
	}
	return name
}

// suite runs a suite of js/suites.mjs; each check is a subtest, and told to seen.
func suite(t *testing.T, s settings, seen func(*line)) {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), suiteTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, lookPath(t, "node"), "js/run.mjs", string(b))
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
	done := report(t, s, out, in, seen)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the suite ended: %v", err)
	} else if !done {
		t.Error("the suite ended before its time")
	}
}

// report makes a subtest of each check and reports whether the suite came to its end.
func report(t *testing.T, s settings, out io.Reader, in io.Writer, seen func(*line)) (done bool) {
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
			if seen != nil {
				seen(&l)
			}
			t.Run(l.name(), func(t *testing.T) {
				t.Logf("%d ms", l.MS)
				if l.Error != "" {
					t.Error(l.Error)
				}
			})
		}
	}
	return done
}
