package cluster

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

const (
	// hostileMessages is how many bad messages wsd gets.
	hostileMessages = 20_000
	// hostileMemory is what a wsd node may have needed at most, in kB.
	hostileMemory = 768 << 10
	// catchUp is how long the nodes may need to read what was sent.
	catchUp = time.Minute
)

// Messages that nobody sane sends, into every channel and stream that wsd reads:
// what Node sent once, what the nodes send just now, both mutated, and noise. No
// Node server is there: they would not survive it.
func TestHostileMessages(t *testing.T) {
	for i, k := range some("classic", "sharded-dynamic", "streams") {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			r := testkit.StartRedis(t)
			args := append([]string{"--redis-url", r.URL()}, k.args...)
			servers := []*server{newServer(t, wsd, "wsd1", args...), newServer(t, wsd, "wsd2", args...)}
			start(t, servers...)
			suite(t, settings{
				Suite: "harmless", Kind: k.name, Redis: r.URL(), Servers: servers,
				Flows: flowsOf(both, [][2]string{{"wsd1", "wsd2"}, {"wsd2", "wsd1"}}, soundCalls),
				Order: func(t *testing.T, _ string) {
					seed := rand.Uint64()
					t.Logf("seed %d", seed)
					harass(t, r, k, rand.New(rand.NewPCG(seed, uint64(i))))
				},
			}, nil)
			for _, s := range servers {
				s.alive(t)
				if kb := s.peakMemory(t); kb > hostileMemory {
					t.Errorf("%s has needed %d kB", s.Name, kb)
				}
			}
		})
	}
}

var peak = regexp.MustCompile(`VmHWM:\s*(\d+) kB`)

// peakMemory is the most memory that the server has had, in kB.
func (s *server) peakMemory(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := peak.FindSubmatch(status)
	if m == nil {
		t.Fatalf("no VmHWM in %s", status)
	}
	kb, _ := strconv.Atoi(string(m[1]))
	return kb
}

// message is something to publish: a payload for a channel, or the fields of an
// entry for a stream.
type message struct {
	command string // PUBLISH, SPUBLISH, XADD
	target  string
	fields  [][]byte // of an entry: name, value, ...; or one payload
}

// send publishes it.
func (m *message) send(c *redisConn) error {
	args := [][]byte{[]byte(m.command), []byte(m.target)}
	if m.command == "XADD" {
		args = append(args, []byte("*"))
	}
	return c.send(append(args, m.fields...)...)
}

// harass sends bad messages.
func harass(t *testing.T, r *testkit.Redis, k kind, rnd *rand.Rand) {
	t.Helper()
	monitor, sender := dialRedis(t, r.Addr), dialRedis(t, r.Addr)
	defer monitor.conn.Close()
	live := monitor.watch(t, sender.conn.LocalAddr().String())
	old := captured(t)
	targets := listening(t, r, k)
	var recent []message
	mutate := mutator{rnd}
	for n := range hostileMessages {
		for more := true; more; {
			select {
			case m := <-live:
				recent = append(recent, m)
				recent = recent[max(0, len(recent)-64):]
			default:
				more = false
			}
		}
		m := message{command: "PUBLISH"}
		switch {
		case len(recent) > 0 && rnd.IntN(3) > 0: // just now, where it was sent
			m = recent[rnd.IntN(len(recent))]
			m.fields = mutate.fields(m.fields)
		default:
			m = targets[rnd.IntN(len(targets))]
			seed := old[rnd.IntN(len(old))]
			if m.command == "XADD" {
				m.fields = mutate.fields(mutate.entry(seed))
			} else {
				m.fields = mutate.fields([][]byte{seed})
			}
		}
		if err := m.send(sender); err != nil {
			t.Fatal(err)
		}
		if n%100 == 99 { // not more than the nodes can read: this is no test of overload
			sender.drain(t)
			testkit.Eventually(t, func() bool { return unread(r) < 1<<20 }, catchUp)
		}
	}
}

var outputMemory = regexp.MustCompile(` omem=(\d+)`)

// unread is how many bytes Redis holds for subscribers that have not read them yet.
func unread(r *testkit.Redis) (n int) {
	for line := range strings.Lines(fmt.Sprint(r.Do("CLIENT", "LIST", "TYPE", "pubsub"))) {
		if m := outputMemory.FindStringSubmatch(line); m != nil {
			bytes, _ := strconv.Atoi(m[1])
			n += bytes
		}
	}
	return n
}

// listening are the channels and streams that the nodes read.
func listening(t *testing.T, r *testkit.Redis, k kind) (targets []message) {
	t.Helper()
	add := func(command string, names any) {
		for _, name := range names.([]any) {
			targets = append(targets, message{command: command, target: fmt.Sprint(name)})
		}
	}
	add("PUBLISH", r.Do("PUBSUB", "CHANNELS"))
	add("SPUBLISH", r.Do("PUBSUB", "SHARDCHANNELS"))
	if strings.HasPrefix(k.name, "classic") {
		for _, nsp := range both { // by pattern
			add("PUBLISH", []any{"socket.io#" + nsp + "#", "socket.io#" + nsp + "#r0#", "socket.io#" + nsp + "#none#"})
		}
	}
	if strings.HasPrefix(k.name, "streams") {
		add("XADD", r.Do("KEYS", "socket.io*"))
	}
	if len(targets) < 4 {
		t.Fatalf("nobody reads anything but %v", targets)
	}
	return targets
}

// captured are payloads that Node's servers have sent, and ill ones made of them.
func captured(t *testing.T) (payloads [][]byte) {
	t.Helper()
	files, err := filepath.Glob("../../codec/cluster/testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	var find func(v any)
	find = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				find(x)
			}
		case map[string]any:
			for key, x := range v {
				text, ok := x.(string)
				if b, err := hex.DecodeString(text); ok && key == "payload" && err == nil && len(b) > 0 {
					payloads = append(payloads, b)
					continue
				}
				find(x)
			}
		}
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		find(v)
	}
	if len(payloads) < 100 {
		t.Fatalf("%d payloads", len(payloads))
	}
	return payloads
}

// mutator makes ill messages of sound ones.
type mutator struct{ rnd *rand.Rand }

// entry is an entry of a stream around some data.
func (m mutator) entry(data []byte) [][]byte {
	nsp := both[m.rnd.IntN(2)]
	return [][]byte{
		[]byte("uid"), []byte("0123456789abcdef"), []byte("nsp"), []byte(nsp),
		[]byte("type"), strconv.AppendInt(nil, int64(m.rnd.IntN(15)), 10), []byte("data"), data,
	}
}

// fields are some fields, changed or not: seldom their number, often a value.
func (m mutator) fields(of [][]byte) [][]byte {
	fields := make([][]byte, len(of))
	for i, f := range of {
		fields[i] = f
		if i%2 == len(of)%2 { // a name
			continue
		}
		if len(of) == 1 || m.rnd.IntN(3) == 0 {
			fields[i] = m.payload(f)
		}
	}
	if len(fields) > 2 && m.rnd.IntN(8) == 0 {
		at := 2 * m.rnd.IntN(len(fields)/2)
		fields = append(fields[:at:at], fields[at+2:]...)
	}
	return fields
}

// payload is p, mutated.
func (m mutator) payload(p []byte) []byte {
	p = bytes.Clone(p)
	for range m.rnd.IntN(4) {
		at := m.rnd.IntN(len(p) + 1)
		switch m.rnd.IntN(8) {
		case 0, 1: // a bit
			if at < len(p) {
				p[at] ^= 1 << m.rnd.IntN(8)
			}
		case 2: // its end is missing
			p = p[:at]
		case 3: // something is inserted
			p = append(p[:at:at], append(m.noise(16), p[at:]...)...)
		case 4: // a length of four billion: str32, bin32, array32, map32, ext32
			head := []byte{[]byte{0xdb, 0xc6, 0xdd, 0xdf, 0xc9}[m.rnd.IntN(5)]}
			head = binary.BigEndian.AppendUint32(head, ^uint32(0)-uint32(m.rnd.IntN(2)))
			p = append(p[:at:at], append(head, p[at:]...)...)
		case 5: // a part comes twice
			if at < len(p) {
				p = append(p, p[at:]...)
			}
		case 6: // depth
			nest := bytes.Repeat([]byte{[]byte{'[', '{', 0x91, 0x81}[m.rnd.IntN(4)]}, m.rnd.IntN(5000))
			p = append(p[:at:at], append(nest, p[at:]...)...)
		case 7:
			if m.rnd.IntN(8) == 0 {
				p = m.noise(300)
			}
		}
		if len(p) > 64<<10 {
			p = p[:64<<10]
		}
	}
	return p
}

// noise is up to n random bytes.
func (m mutator) noise(n int) []byte {
	b := make([]byte, m.rnd.IntN(n))
	for i := range b {
		b[i] = byte(m.rnd.Uint32())
	}
	return b
}

// redisConn is a connection to Redis, bytes only.
type redisConn struct {
	conn net.Conn
	in   *bufio.Reader
	out  *bufio.Writer
	sent int // commands whose answers were not read
}

func dialRedis(t *testing.T, addr string) *redisConn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, startTimeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &redisConn{conn: conn, in: bufio.NewReaderSize(conn, 1<<20), out: bufio.NewWriter(conn)}
}

func (c *redisConn) send(args ...[]byte) error {
	fmt.Fprintf(c.out, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(c.out, "$%d\r\n", len(a))
		c.out.Write(a)
		c.out.WriteString("\r\n")
	}
	c.sent++
	if c.out.Buffered() < 2<<10 {
		return nil
	}
	return c.out.Flush()
}

// drain reads the answers, none of which has lines in it.
func (c *redisConn) drain(t *testing.T) {
	t.Helper()
	if err := c.out.Flush(); err != nil {
		t.Fatal(err)
	}
	c.conn.SetReadDeadline(time.Now().Add(stopTimeout))
	for ; c.sent > 0; c.sent-- {
		answer, err := c.in.ReadString('\n')
		if err == nil && answer[0] == '$' {
			_, err = c.in.ReadString('\n') // the id of an entry
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// longLine is what a line of MONITOR may have to be looked at.
const longLine = 16 << 10

// watch reads what others publish, but for those of an address.
func (c *redisConn) watch(t *testing.T, but string) <-chan message {
	t.Helper()
	if err := c.send([]byte("MONITOR")); err != nil {
		t.Fatal(err)
	}
	if err := c.out.Flush(); err != nil {
		t.Fatal(err)
	}
	live := make(chan message, 256)
	go func() {
		for {
			line, err := c.in.ReadString('\n')
			if err != nil {
				return // the test is over
			}
			// +1700000000.000000 [0 127.0.0.1:40000] "PUBLISH" "channel" "payload"
			_, rest, _ := strings.Cut(line, "[0 ")
			from, command, ok := strings.Cut(rest, "] ")
			if !ok || from == but || len(line) > longLine {
				continue
			}
			m, ok := parseCommand(strings.TrimSuffix(command, "\r\n"))
			if !ok {
				continue
			}
			select {
			case live <- m:
			default: // enough of them
			}
		}
	}()
	return live
}

// parseCommand reads a command as MONITOR shows it; not ok: it publishes nothing.
func parseCommand(text string) (m message, ok bool) {
	var args []string
	for text != "" {
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			return m, false
		}
		arg, err := strconv.Unquote(quoted)
		if err != nil {
			return m, false
		}
		args = append(args, arg)
		text = strings.TrimPrefix(text[len(quoted):], " ")
	}
	if len(args) < 3 {
		return m, false
	}
	m = message{command: strings.ToUpper(args[0]), target: args[1]}
	from := 2
	switch m.command {
	case "PUBLISH", "SPUBLISH":
	case "XADD":
		for from < len(args) && args[from] != "*" {
			from++
		}
		from++
	default:
		return m, false
	}
	for _, a := range args[min(from, len(args)):] {
		m.fields = append(m.fields, []byte(a))
	}
	return m, len(m.fields) > 0
}
