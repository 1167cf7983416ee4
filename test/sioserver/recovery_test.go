package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// mover is a client that goes from one server to another and stays who it is.
type mover struct {
	*client
	sid, pid, offset string
	next             []int // number of each sender's next event
	count            int
}

// arrive connects to a server as whoever it was before, and reads up to the
// answer.
func (m *mover) arrive(t *testing.T, address string) {
	t.Helper()
	m.client = dial(t, address, "/socket.io/")
	auth := ""
	if m.pid != "" {
		auth = fmt.Sprintf(`{"pid":%q,"offset":%q}`, m.pid, m.offset)
	}
	m.send("40" + auth)
	for {
		text := m.text()
		var hello struct{ SID, PID string }
		if rest, ok := strings.CutPrefix(text, "40"); ok {
			if err := json.Unmarshal([]byte(rest), &hello); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if m.pid != "" && (hello.PID != m.pid || hello.SID != m.sid) {
				t.Fatalf("it is a new socket: %s", text)
			}
			m.sid, m.pid = hello.SID, hello.PID
			return
		}
		m.take(t, text)
	}
}

// take checks an event ["n", sender, number, offset?] against those before; others
// only have their offset.
func (m *mover) take(t *testing.T, text string) {
	t.Helper()
	var args []any
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "42")), &args); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if offset, ok := args[len(args)-1].(string); ok {
		m.offset = offset
	}
	if args[0] != "n" {
		return
	}
	sender, number := int(args[1].(float64)), int(args[2].(float64))
	if number != m.next[sender] {
		t.Fatalf("got %s, want %d of sender %d", text, m.next[sender], sender)
	}
	m.next[sender]++
	m.count++
}

// While clients of both servers send, one that moves between them misses nothing,
// gets nothing twice, and each sender's events in order.
func TestRecoveryOverStreams(t *testing.T) {
	const events, senders, moves = 1500, 2, 12
	redis := testkit.StartRedis(t)
	for _, flags := range [][]string{nil, {"--stream-count", "3", "--namespaces", "/"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			flags := append([]string{"--adapter", "streams", "--redis-url", redis.URL(), "--recovery", "1m", "--stream-name", t.Name()}, flags...)
			servers := []string{start(t, append(flags, "--server-id", "a")...), start(t, append(flags, "--server-id", "b")...)}

			m := &mover{next: make([]int, senders)}
			m.arrive(t, servers[0])
			m.take(t, m.text()) // "auth", with an offset
			m.call(`"far:join","room"`, "null")

			var sent atomic.Int64
			var all sync.WaitGroup
			for sender := range senders {
				c := dial(t, servers[sender], "/socket.io/")
				c.send("40")
				c.text() // the answer
				c.text() // "auth"
				all.Go(func() {
					for i := range events {
						event := fmt.Sprintf(`["far:toOthers",{"rooms":["room"],"event":"n","args":[%d,%d]}]`, sender, i)
						if i%10 == 0 {
							c.send("421" + event)
							c.text() // not faster than the server takes them
						} else {
							c.send("42" + event)
						}
						sent.Add(1)
					}
				})
			}
			for move := range moves {
				// It goes in the midst of what is sent.
				want := int64((move + 1) * events * senders / (moves + 2))
				testkit.Eventually(t, func() bool { return sent.Load() >= want }, patience)
				for range min(50, int(sent.Load())-m.count) {
					m.take(t, m.text())
				}
				m.conn.CloseNow()
				testkit.Eventually(t, func() bool { return redis.Do("EXISTS", "sio:session:"+m.pid) == int64(1) }, patience)
				m.arrive(t, servers[(move+1)%len(servers)])
			}
			all.Wait()
			for m.count < events*senders {
				m.take(t, m.text())
			}
		})
	}
}
