package pubsub_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/pubsub"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// TestPageIsBoundedInBytes recovers large messages behind small ones: what is kept
// of each reading of the log is bounded.
func TestPageIsBoundedInBytes(t *testing.T) {
	const small, large, most = 600, 500, 256 << 10
	var mu sync.Mutex
	var reads []string
	spy := &logs{
		Topics: &broker.Memory{Durable: durable(small + large)},
		before: func(since string) {
			mu.Lock()
			defer mu.Unlock()
			reads = append(reads, since)
		},
		after: func(broker.History) {},
	}
	n := start(t, spy, nil)
	sizes := map[string]int{} // of what the log has up to an offset
	total := 0
	for i := range small + large {
		data := []byte("0")
		if i >= small {
			data = bytes.Repeat(data, 16<<10)
		}
		total += len(data)
		sizes[n.publish("log/a", data)] = total
	}
	c := n.connect("/")
	c.send(`{"op":"subscribe","id":1,"topic":"log/a","recover":{"offset":"0-0"}}`)
	for range small + large {
		c.expect(`{"op":"message","topic":"log/a",*}`)
	}
	c.expect(`{"op":"ok","id":1,"offset":"*","recovered":true}`)
	mu.Lock()
	defer mu.Unlock()
	for i := 1; i < len(reads); i++ {
		if page := sizes[reads[i]] - sizes[reads[i-1]]; page > most {
			t.Errorf("a page of %d bytes", page)
		}
	}
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

// TestQueueIsFullOfJoins has more joins come than a loop's queue takes.
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
	c.send(`{"op":"ping","id":3}`)
	c.expect(`{"op":"ok","id":3}`)
}
