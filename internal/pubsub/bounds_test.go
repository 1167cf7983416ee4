package pubsub_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/pubsub"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// TestPageIsBoundedInBytes recovers large messages behind small ones: what each
// reading of the log brings is bounded.
func TestPageIsBoundedInBytes(t *testing.T) {
	const small, large = 600, 500
	spy := &logs{
		Topics: &broker.Memory{Durable: durable(small + large)},
		before: func(string) {},
		after: func(h broker.History) {
			size := 0
			for i := range h.Messages {
				size += len(h.Messages[i].Data)
			}
			if size > broker.HistoryBytes {
				t.Errorf("a page of %d bytes", size)
			}
		},
	}
	n := start(t, spy, nil)
	for i := range small + large {
		data := []byte("0")
		if i >= small {
			data = bytes.Repeat(data, 16<<10)
		}
		n.publish("log/a", data)
	}
	c := n.connect("/")
	c.send(`{"op":"subscribe","id":1,"topic":"log/a","recover":{"offset":"0-0"}}`)
	for range small + large {
		c.expect(`{"op":"message","topic":"log/a",*}`)
	}
	c.expect(`{"op":"ok","id":1,"offset":"*","recovered":true}`)
}

// TestQueueIsFullWhileTheLogIsRead loses messages at a loop's queue, before and after
// the log was read for a client: it gets them.
func TestQueueIsFullWhileTheLogIsRead(t *testing.T) {
	gate, open := blocked(t)
	asked, read := make(chan struct{}), make(chan struct{})
	var first sync.Once
	var done sync.Once
	spy := &logs{
		Topics: &broker.Memory{Durable: durable(10)},
		before: func(string) {
			first.Do(func() {
				close(asked)
				<-gate
			})
		},
		after: func(broker.History) { done.Do(func() { close(read) }) },
	}
	n := start(t, spy, nil)
	n.server.SetQueue(1) // nothing fits
	n.publish("log/a", []byte("1"))
	c := n.connect("/")
	c.send(`{"op":"subscribe","id":1,"topic":"log/a","recover":{"offset":"0-0"}}`)
	<-asked
	release := n.hold()
	defer release()
	n.publish("log/a", []byte("2"))
	open()
	<-read
	n.publish("log/a", []byte("3"))
	release()
	for i := 1; i <= 3; i++ {
		c.expect(fmt.Sprintf(`{"op":"message","topic":"log/a","data":%d,"offset":"*"}`, i))
	}
	c.expect(`{"op":"ok","id":1,"offset":"*","recovered":true}`)
	if st := n.server.Stats(); st.Lost != 2 {
		t.Errorf("%d messages did not fit", st.Lost)
	}
}

// TestQueueIsFullOfJoins has more joins come than a loop's queue takes: who wants to
// know of them is told, once.
func TestQueueIsFullOfJoins(t *testing.T) {
	const joins = 100
	m := &members{}
	n := start(t, nil, func(o *pubsub.Options) { o.Members = m })
	n.server.SetQueue(2000)
	c := n.connect("/")
	c.send(`{"op":"subscribe","id":1,"topic":"t","presence":true}`)
	c.expect(`{"op":"ok","id":1,"members":[{"user":"","connection":"*"}],"total":1}`)
	c.send(`{"op":"subscribe","id":2,"topic":"quiet"}`)
	c.expect(`{"op":"ok","id":2}`)
	release := n.hold()
	defer release()
	for i := range joins {
		m.changed("quiet", broker.TopicMember{Connection: fmt.Sprint(i)}, true) // nobody wants to know
		m.changed("t", broker.TopicMember{Connection: fmt.Sprint(i)}, true)
	}
	release()
	testkit.Eventually(t, func() bool { return n.server.Stats().PresenceLost > 0 }, patience)
	told := joins - int(n.server.Stats().PresenceLost)
	if told < 10 || told > 20 {
		t.Errorf("%d joins had room", told)
	}
	for i := range told {
		c.expect(fmt.Sprintf(`{"op":"join","topic":"t","user":"","connection":"%d"}`, i))
	}
	c.expect(`{"op":"gap","topic":"t","reason":"backpressure","lost":0,"presence":true}`)
	m.changed("t", broker.TopicMember{Connection: "late"}, true)
	c.expect(`{"op":"join","topic":"t","user":"","connection":"late"}`)
	m.missed("quiet")
	m.missed("t") // at the broker
	c.expect(`{"op":"gap","topic":"t","reason":"backpressure","lost":0,"presence":true}`)
	c.send(`{"op":"ping","id":3}`)
	c.expect(`{"op":"ok","id":3}`)
}

// TestSlowReaderMissesJoins has a client not read while others join: what waits for it
// is bounded, and when it reads it is told that presence is out of date.
func TestSlowReaderMissesJoins(t *testing.T) {
	const backpressure, missed = 4 << 10, 5000
	const turn = 128 << 10 // what may be sent before the connection is found slow
	m := &members{}
	var conn atomic.Pointer[engine.Conn]
	n := start(t, nil, func(o *pubsub.Options) {
		clientOf := o.ClientOf
		o.Members, o.MaxBackpressure = m, backpressure
		o.ClientOf = func(ws *engine.Conn) *pubsub.Client {
			conn.Store(ws)
			return clientOf(ws)
		}
	})
	c := n.connect("/")
	for id, topic := range []string{"t", "also", "quiet"} {
		c.send(`{"op":"subscribe","id":%d,"topic":%q,"presence":%v}`, id, topic, topic != "quiet")
		if ok := c.next(); ok["op"] != "ok" {
			t.Fatal(ok)
		}
	}
	joins := 0
	for n.server.Stats().PresenceDropped < missed {
		for range 100 {
			m.changed("t", broker.TopicMember{User: strings.Repeat("u", 300), Connection: fmt.Sprint(joins)}, true)
			joins++
		}
		n.hold()()
	}
	amount := make(chan int, 1)
	conn.Load().Loop().Post(func() { amount <- conn.Load().BufferedAmount() })
	if waits := <-amount; waits > backpressure+turn {
		t.Errorf("%d bytes wait", waits)
	}
	told, next, gap := joins-int(n.server.Stats().PresenceDropped), 0, false
	for told > 0 || !gap {
		text := c.text()
		if gap = text == `{"op":"gap","topic":"t","reason":"backpressure","lost":0,"presence":true}`; gap {
			next = -1
			continue
		}
		told--
		var m struct{ Op, Connection string }
		_ = json.Unmarshal([]byte(text), &m)
		i, err := strconv.Atoi(m.Connection)
		if m.Op != "join" || err != nil || i != next && next >= 0 {
			t.Fatalf("%s where number %d was due", text, next)
		}
		next = i + 1
	}
	c.send(`{"op":"presence","id":9,"topic":"t"}`)
	c.expect(`{"op":"ok","id":9,"members":[{"user":"","connection":"*"}],"total":1}`)
}

// TestGapsOfManyTopics has a slow reader miss a message of each topic, whose names
// together are longer than an answer may be: it is told of all.
func TestGapsOfManyTopics(t *testing.T) {
	const topics = 128
	n := start(t, nil, func(o *pubsub.Options) { o.MaxBackpressure = 4 << 10 })
	c := n.connect("/")
	name := func(i int) string { return fmt.Sprintf("%d%s", i, strings.Repeat("\x01", 1000)) }
	for i := range topics {
		quoted, _ := json.Marshal(name(i))
		c.send(`{"op":"subscribe","id":%d,"topic":%s}`, i, quoted)
		c.expect(fmt.Sprintf(`{"op":"ok","id":%d}`, i))
	}
	large := []byte(`"` + strings.Repeat("x", 16<<10-2) + `"`)
	sent, dropped := 0, 0
	for ; dropped < 2*topics; dropped = int(n.server.Stats().Dropped) {
		n.publish(name(sent%topics), large)
		sent++
		n.hold()()
	}
	told := 0
	gaps := map[string]bool{}
	for told < dropped {
		m := c.next()
		if m["op"] == "gap" {
			told += int(m["lost"].(float64))
			gaps[m["topic"].(string)] = true
		}
	}
	if len(gaps) != topics {
		t.Errorf("gaps of %d topics", len(gaps))
	}
	c.send(`{"op":"ping","id":999}`)
	for c.next()["id"] != 999.0 {
	}
}
