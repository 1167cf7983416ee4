package vectors

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// nodeTimeout bounds an answer of the Node process; its start is slow on a busy machine.
const nodeTimeout = 30 * time.Second

// node is the process that runs all of Node's servers; TestMain starts it.
var node nodeProcess

type nodeProcess struct {
	mu      sync.Mutex
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan nodeAnswer
	last    int // id of the last command and number of the last server
}

type nodeAnswer struct {
	ID       int
	Error    string
	Port     int
	Parked   bool
	Sessions int
	Events   []event
}

// nodeServer is one server of the process.
type nodeServer struct {
	number int
	port   int
}

func startNode(t *testing.T, s setup) server {
	t.Helper()
	n := &nodeServer{number: node.number()}
	cmd := map[string]any{"style": s.style, "msgpack": s.msgpack}
	if s.app != "" {
		cmd["app"] = s.app
	}
	if s.options != nil {
		cmd["options"] = s.options
	}
	if s.refuse != nil {
		cmd["refuse"] = s.refuse
	}
	n.port = n.do(t, "boot", cmd).Port
	return n
}

// do runs an operation of server.mjs.
func (n *nodeServer) do(t *testing.T, op string, args map[string]any) nodeAnswer {
	t.Helper()
	cmd := map[string]any{"op": op, "server": n.number}
	for k, v := range args {
		cmd[k] = v
	}
	a, err := node.do(cmd)
	if err != nil {
		t.Fatalf("node %s: %v", op, err)
	}
	return a
}

func (n *nodeServer) addr() string { return fmt.Sprintf("127.0.0.1:%d", n.port) }

func (n *nodeServer) emit(t *testing.T, e emission) {
	t.Helper()
	n.do(t, "emit", map[string]any{"emission": e})
}

func (n *nodeServer) join(t *testing.T, socket, room string) {
	t.Helper()
	n.do(t, "join", map[string]any{"socket": socket, "room": room})
}

func (n *nodeServer) kick(t *testing.T, close bool) {
	t.Helper()
	n.do(t, "kick", map[string]any{"close": close})
}

func (n *nodeServer) shutdown(t *testing.T) {
	t.Helper()
	n.do(t, "shutdown", nil)
}

func (n *nodeServer) parked(t *testing.T, _, sid string) bool {
	t.Helper()
	return n.do(t, "parked", map[string]any{"sid": sid}).Parked
}

func (n *nodeServer) sessions(t *testing.T) int {
	t.Helper()
	return n.do(t, "sessions", nil).Sessions
}

func (n *nodeServer) events(t *testing.T) []event {
	t.Helper()
	return numbered(n.do(t, "events", nil).Events)
}

func (n *nodeServer) observed(e event) event { return e }

func (n *nodeServer) close(t *testing.T) {
	t.Helper()
	n.do(t, "close", nil)
}

func (p *nodeProcess) number() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	return p.last
}

// do sends a command and waits for its answer; commands do not overlap.
func (p *nodeProcess) do(cmd map[string]any) (nodeAnswer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	cmd["id"] = p.last
	b, err := json.Marshal(cmd)
	if err != nil {
		return nodeAnswer{}, err
	}
	if _, err := p.in.Write(append(b, '\n')); err != nil {
		return nodeAnswer{}, err
	}
	select {
	case a, ok := <-p.answers:
		switch {
		case !ok:
			return a, errors.New("the process has ended")
		case a.ID != p.last:
			return a, fmt.Errorf("answer %d to command %d", a.ID, p.last)
		case a.Error != "":
			return a, errors.New(a.Error)
		}
		return a, nil
	case <-time.After(nodeTimeout):
		return nodeAnswer{}, fmt.Errorf("no answer within %v", nodeTimeout)
	}
}

func (p *nodeProcess) start() error {
	cmd := exec.Command("node", "js/server.mjs")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: make test installs it", err)
	}
	p.cmd, p.in, p.answers = cmd, in, make(chan nodeAnswer)
	go p.read(out)
	return nil
}

func (p *nodeProcess) read(out io.Reader) {
	defer close(p.answers)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var a nodeAnswer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			a.Error = fmt.Sprintf("%v: %s", err, lines.Bytes())
		}
		p.answers <- a
	}
}

// stop ends the process with its standard input.
func (p *nodeProcess) stop() {
	p.in.Close()
	kill := time.AfterFunc(nodeTimeout, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	for range p.answers {
	}
	p.cmd.Wait()
}
