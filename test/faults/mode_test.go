package faults

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// mode is a way of delivery between nodes.
type mode struct {
	name  string
	topic string   // of wsd; "": a room of Socket.IO
	args  []string // of each node
	// log is the key of what is kept; "": messages are gone when a connection is.
	log string
	// read takes a message from an entry of the log.
	read func(fields map[string]string) (from string, number int, ok bool)
	// marks: subscribers are told of a gap in its place.
	marks bool
}

// logLen is more than a test sends.
const logLen = "1000000"

// The modes. Those of one Redis do not hear each other.
var (
	classic = &mode{
		name: "classic", marks: true,
		args: []string{"--adapter", "classic", "--channel-prefix", "classic"},
	}
	sharded = &mode{
		name: "sharded", marks: true,
		args: []string{"--adapter", "sharded", "--channel-prefix", "sharded"},
	}
	streams = &mode{
		name: "streams", marks: true, log: "streams", read: readEvent,
		args: []string{"--adapter", "streams", "--channel-prefix", "streams", "--stream-name", "streams", "--stream-max-len", logLen},
	}
	// Events of a node's own wait for the stream, and what it tells its clients
	// waits behind them: gaps have no place.
	recovery = &mode{
		name: "recovery", log: "recovery", read: readEvent,
		args: []string{"--adapter", "streams", "--channel-prefix", "recovery", "--stream-name", "recovery", "--stream-max-len", logLen, "--recovery", "2m"},
	}
	plain = &mode{
		name: "plain", topic: "plain",
		args: []string{"--adapter", "classic", "--channel-prefix", "plain"},
	}
	durable = &mode{
		name: "durable", topic: "durable", log: "wsd:{t:durable}:log", read: readMessage,
		args: []string{"--adapter", "classic", "--channel-prefix", "durable", "--durable", "durable=" + logLen},
	}
	everyMode = []*mode{classic, sharded, streams, recovery, plain, durable}
	// pubsub are those whose messages are gone with a connection.
	pubsub = []*mode{classic, sharded, plain}
)

// site is where a node listens (port 0: any), and the command line that starts it there.
type site struct {
	address string
	line    []string
	foreign bool // the program is npm's
}

// place finds the site of a node. argv starts it on this machine, but for --listen.
type place func(t *testing.T, argv []string) site

// onLoopback starts a node as it is.
func onLoopback(_ *testing.T, argv []string) site { return site{address: "127.0.0.1:0", line: argv} }

// node starts one.
func (m *mode) node(t *testing.T, name, url string, at place) *server {
	t.Helper()
	argv := []string{program("sioserver")}
	if m.topic != "" {
		argv = []string{program("wsd"), "serve", "--admin-listen", "127.0.0.1:0", "--anonymous", "--drain-lb-wait", "0s"}
	}
	x := at(t, append(append(argv, m.args...), "--redis-url", url, "--server-id", name))
	s := launch(t, name, x)
	s.topics = m.topic != ""
	return s
}

// kept are the numbers that a server has, by publisher; nil for a mode that keeps
// nothing.
func (m *mode) kept(redis *testkit.Redis) map[string]map[int]bool {
	if m.log == "" {
		return nil
	}
	all := map[string]map[int]bool{}
	entries, _ := redis.Do("XRANGE", m.log, "-", "+").([]any)
	for _, e := range entries {
		fields := map[string]string{}
		list := e.([]any)[1].([]any)
		for i := 0; i+1 < len(list); i += 2 {
			fields[list[i].(string)] = list[i+1].(string)
		}
		from, number, ok := m.read(fields)
		if !ok {
			continue
		}
		if all[from] == nil {
			all[from] = map[int]bool{}
		}
		all[from][number] = true
	}
	return all
}

// readEvent reads an entry of the streams adapter.
func readEvent(fields map[string]string) (from string, number int, ok bool) {
	var broadcast struct {
		Packet struct{ Data []any }
	}
	if json.Unmarshal([]byte(fields["data"]), &broadcast) != nil {
		return "", 0, false
	}
	args := broadcast.Packet.Data
	if len(args) < 3 || args[0] != "n" {
		return "", 0, false
	}
	n, ok := args[2].(float64)
	return fmt.Sprint(args[1]), int(n), ok
}

// readMessage reads an entry of a durable topic.
func readMessage(fields map[string]string) (from string, number int, ok bool) {
	from, digits, _ := strings.Cut(fields["d"], " ")
	n, err := strconv.Atoi(digits)
	return from, n, err == nil
}
