package faults

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// netns is a network namespace: a machine of its own, as far as packets go, with a
// cable to this one.
type netns struct {
	t            *testing.T
	name         string
	here, inside string // the addresses of the cable's ends
}

// newNetns makes one until the test ends. Root may, on Linux; who can't be says so
// by WSD_NO_ROOT.
func newNetns(t *testing.T) *netns {
	t.Helper()
	if os.Getenv("WSD_NO_ROOT") != "" {
		t.Skip("WSD_NO_ROOT is set: no network namespaces")
	}
	number := rand.IntN(1 << 14)
	n := &netns{
		t: t, name: fmt.Sprintf("wsd%d", number),
		here:   fmt.Sprintf("10.253.%d.%d", number>>6, number&63*4+1),
		inside: fmt.Sprintf("10.253.%d.%d", number>>6, number&63*4+2),
	}
	n.run("ip", "netns", "add", n.name)
	t.Cleanup(func() { n.run("ip", "netns", "del", n.name) })
	n.run("ip", "link", "add", n.name, "type", "veth", "peer", "name", "eth0", "netns", n.name)
	n.run("ip", "addr", "add", n.here+"/30", "dev", n.name)
	n.run("ip", "link", "set", n.name, "up")
	n.run("ip", "-n", n.name, "addr", "add", n.inside+"/30", "dev", "eth0")
	n.run("ip", "-n", n.name, "link", "set", "eth0", "up")
	n.run("ip", "-n", n.name, "link", "set", "lo", "up")
	return n
}

func (n *netns) run(argv ...string) {
	n.t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		n.t.Fatalf("%s: %v: %s\nNetwork namespaces need root, iproute2 and iptables; WSD_NO_ROOT=1 does without.", strings.Join(argv, " "), err, out)
	}
}

// redis starts a server that is reached from both sides, and returns its URL.
func (n *netns) redis() (r *testkit.Redis, url string) {
	n.t.Helper()
	r = testkit.StartRedis(n.t, "--bind", "127.0.0.1", n.here, "--protected-mode", "no")
	return r, fmt.Sprintf("redis://%s:%d", n.here, r.Port)
}

// place starts a node inside.
func (n *netns) place(_ *testing.T, argv []string) site {
	return site{address: n.inside + ":0", line: append([]string{"ip", "netns", "exec", n.name}, argv...)}
}

// rule adds a rule to a chain inside, and returns what takes it away.
func (n *netns) rule(chain string, match ...string) (drop func()) {
	n.t.Helper()
	change := func(how string) {
		n.run(append(append([]string{"ip", "netns", "exec", n.name, "iptables", "-w", how, chain, "-p", "tcp"}, match...), "-j", "DROP")...)
	}
	change("-A")
	return func() { change("-D") }
}

// cut lets no packets to and from a server's port through, until heal is called.
func (n *netns) cut(port int) (heal func()) {
	n.t.Helper()
	out := n.rule("OUTPUT", "--dport", strconv.Itoa(port))
	in := n.rule("INPUT", "--sport", strconv.Itoa(port))
	return func() {
		out()
		in()
	}
}

// deafen lets no packets in by the connections with which nodes listen to a
// server, and returns how many these are.
func (n *netns) deafen(r *testkit.Redis) int {
	n.t.Helper()
	list, _ := r.Do("CLIENT", "LIST").(string)
	count := 0
	for line := range strings.Lines(list) {
		fields := map[string]string{}
		for field := range strings.FieldsSeq(line) {
			name, value, _ := strings.Cut(field, "=")
			fields[name] = value
		}
		host, port, err := net.SplitHostPort(fields["addr"])
		listens := fields["sub"] != "0" || fields["psub"] != "0" || fields["ssub"] != "0" || strings.HasPrefix(fields["cmd"], "xread")
		if err == nil && host == n.inside && listens {
			n.rule("INPUT", "--sport", strconv.Itoa(r.Port), "--dport", port)
			count++
		}
	}
	return count
}
