package daemon

import (
	"bufio"
	"encoding/json"
	"io"
	"os/exec"
	"testing"
	"time"
)

// crowdTimeout bounds what a crowd is asked for.
const crowdTimeout = 130 * time.Second

// crowdSettings are what js/crowd.mjs reads.
type crowdSettings struct {
	URL        string         `json:"url"`
	Clients    int            `json:"clients"`
	Transports []string       `json:"transports"`
	Cookies    bool           `json:"cookies"` // all from one address, and with the cookies that they get
	Options    map[string]any `json:"options,omitempty"`
}

// crowd is a program with Socket.IO clients, all in one room.
type crowd struct {
	t     *testing.T
	in    io.WriteCloser
	lines chan []byte
}

// member is what happened to a client.
type member struct {
	Transport string
	Notes     [][2]any // publisher and number
	Connects  []struct {
		At        int64 // milliseconds
		Recovered bool
	}
	Disconnects []struct {
		At     int64 // milliseconds
		Reason string
	}
}

// gather starts a crowd and waits until everybody is in the room.
func gather(t *testing.T, s crowdSettings) *crowd {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("%v: make test installs it", err)
	}
	cmd := exec.Command(path, "js/crowd.mjs", string(b))
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{t: t, lines: make(chan []byte, 1)}
	if c.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			c.lines <- append([]byte(nil), lines.Bytes()...)
		}
		close(c.lines)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		c.in.Close()
		for range c.lines { // an answer that nobody has waited for
		}
		select {
		case <-done:
		case <-time.After(crowdTimeout):
			cmd.Process.Kill()
			<-done
		}
	})
	c.ask("ready", nil)
	return c
}

// ask has the crowd do something and returns its answer.
func (c *crowd) ask(what string, with map[string]any) []byte {
	c.t.Helper()
	order := map[string]any{"do": what}
	for k, v := range with {
		order[k] = v
	}
	b, err := json.Marshal(order)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.in.Write(append(b, '\n')); err != nil {
		c.t.Fatal(err)
	}
	select {
	case line, ok := <-c.lines:
		var answer struct{ Error string }
		if err := json.Unmarshal(line, &answer); err != nil || !ok || answer.Error != "" {
			c.t.Fatalf("%s: %s (%v)", what, answer.Error, err)
		}
		return line
	case <-time.After(crowdTimeout):
		c.t.Fatalf("%s: no answer", what)
	}
	return nil
}

// report is what happened to each client so far.
func (c *crowd) report() []member {
	c.t.Helper()
	var answer struct{ Members []member }
	if err := json.Unmarshal(c.ask("report", nil), &answer); err != nil {
		c.t.Fatal(err)
	}
	return answer.Members
}
