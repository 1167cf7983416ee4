package pubsub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/internal/pubsub"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// openRedis connects a node.
func openRedis(t *testing.T, r *testkit.Redis) *redis.Broker {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b, err := redis.Open(ctx, redis.Options{URLs: []string{r.URL()}, Server: "s", Durable: durable(100_000), Lease: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return b
}

// sequencePublishers publish so many messages each.
const (
	sequencePublishers = 4
	sequenceMessages   = 300
	sequenceReaders    = 4
)

// TestNothingLostNothingTwice has publishers on two nodes, by the protocol and bare,
// and readers that break off and come back at random places. Each reader gets every
// message once, those of a publisher in its order, and all readers get all in one
// order.
func TestNothingLostNothingTwice(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		var b broker.Memory
		b.Durable = durable(100_000)
		checkSequences(t, start(t, &b, nil), start(t, &b, nil))
	})
	t.Run("Redis", func(t *testing.T) {
		r := testkit.StartRedis(t)
		checkSequences(t, start(t, openRedis(t, r).Topics(), nil), start(t, openRedis(t, r).Topics(), nil))
	})
	t.Run("slow readers", func(t *testing.T) {
		b := broker.Memory{Durable: durable(100_000)}
		small := func(o *pubsub.Options) { o.MaxBackpressure = 512 }
		checkSequences(t, start(t, &b, small), start(t, &b, small))
	})
}

func checkSequences(t *testing.T, nodes ...*node) {
	const topic = "log/sequence"
	total := sequencePublishers * sequenceMessages
	var wg sync.WaitGroup
	orders := make([][]string, sequenceReaders)
	ready := make(chan struct{}, sequenceReaders)
	for i := range sequenceReaders {
		wg.Go(func() {
			r := reader{t: t, node: nodes[i%len(nodes)], topic: topic, offset: "0-0", breaks: 37 + 50*i}
			orders[i] = r.read(total, ready)
		})
	}
	for range sequenceReaders {
		<-ready
	}
	for i := range sequencePublishers {
		n := nodes[i/2%len(nodes)]
		wg.Go(func() {
			if i%2 == 0 {
				publishAcknowledged(t, n, topic, i)
				return
			}
			bare := n.dial("/bare/" + topic)
			for k := range sequenceMessages {
				bare.send("[%d,%d]", i, k)
			}
		})
	}
	wg.Wait()
	for i, order := range orders {
		if len(order) != total {
			t.Errorf("reader %d got %d messages of %d", i, len(order), total)
			continue
		}
		next := [sequencePublishers]int{}
		for k, text := range order {
			if text != orders[0][k] {
				t.Fatalf("reader %d got %s in place %d, where reader 0 got %s", i, text, k, orders[0][k])
			}
			var m [2]int
			_ = json.Unmarshal([]byte(text), &m)
			if m[1] != next[m[0]] {
				t.Fatalf("reader %d: %s where number %d was due", i, text, next[m[0]])
			}
			next[m[0]]++
		}
	}
}

// publishAcknowledged publishes some at a time, and has each acknowledged in order.
func publishAcknowledged(t *testing.T, n *node, topic string, number int) {
	c := n.connect("/")
	for k := range sequenceMessages {
		c.send(`{"op":"publish","id":%d,"topic":%q,"data":[%d,%d]}`, k, topic, number, k)
		if k%16 != 15 && k != sequenceMessages-1 {
			continue
		}
		for i := k - k%16; i <= k; i++ {
			if m := c.next(); m["op"] != "ok" || m["id"] != float64(i) || m["offset"] == "" {
				t.Errorf("instead of ok %d: %v", i, m)
				return
			}
		}
	}
}

// reader is a subscriber that breaks off now and then, and comes back.
type reader struct {
	t      *testing.T
	node   *node
	topic  string
	offset string
	breaks int // after so many messages
}

// read returns the messages in their order.
func (r *reader) read(total int, ready chan<- struct{}) (order []string) {
	for first := true; len(order) < total; first = false {
		c := r.node.connect("/")
		c.send(`{"op":"subscribe","id":1,"topic":%q,"recover":{"offset":%q}}`, r.topic, r.offset)
		for n := 0; len(order) < total && (n < r.breaks || first && n == 0); {
			text, err := c.read()
			if err != nil {
				r.t.Errorf("after %d messages: %v", len(order), err)
				return order
			}
			var m struct {
				Op, Offset string
				Recovered  *bool
				Data       json.RawMessage
			}
			_ = json.Unmarshal([]byte(text), &m)
			switch {
			case m.Op == "message":
				order = append(order, string(m.Data))
				r.offset = m.Offset
				n++
			case m.Op == "ok" && m.Recovered != nil && *m.Recovered:
				if first {
					ready <- struct{}{}
				}
			default:
				r.t.Errorf("after %d messages: %s", len(order), text)
				return order
			}
		}
		_ = wsutil.WriteClientMessage(c.conn, ws.OpClose, nil)
		c.conn.Close()
	}
	return order
}

// TestPresenceAcrossNodes follows members of two nodes, one of which dies.
func TestPresenceAcrossNodes(t *testing.T) {
	r := testkit.StartRedis(t)
	one, two := openRedis(t, r), openRedis(t, r)
	a := start(t, one.Topics(), func(o *pubsub.Options) { o.Members = one.TopicMembers() })
	b := start(t, two.Topics(), func(o *pubsub.Options) { o.Members = two.TopicMembers() })
	watcher := a.connect("/?user=ann")
	watcher.send(`{"op":"subscribe","id":1,"topic":"t","presence":true}`)
	watcher.expect(`{"op":"ok","id":1,"members":[{"user":"ann","connection":"*"}],"total":1}`)
	// The watch takes effect soon.
	awaitEvent := func(op string) map[string]any {
		for {
			m := watcher.next()
			if m["op"] == op {
				return m
			}
		}
	}
	var bob *client
	joined := make(chan map[string]any, 1)
	go func() { joined <- awaitEvent("join") }()
	for m := map[string]any(nil); m == nil && !t.Failed(); {
		bob = b.connect("/?user=bob")
		bob.send(`{"op":"subscribe","id":1,"topic":"t"}`)
		bob.expect(`{"op":"ok","id":1}`)
		select {
		case m = <-joined:
			if m["user"] != "bob" || m["topic"] != "t" {
				t.Errorf("%v", m)
			}
		case <-time.After(time.Second):
			bob.conn.Close()
		}
	}
	testkit.Eventually(t, func() bool {
		bob.send(`{"op":"presence","id":2,"topic":"t"}`)
		m := bob.next()
		return fmt.Sprint(m["total"]) == "2"
	}, patience)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b.died = true
	if err := two.Close(ctx); err != nil { // as if it had died: nothing is taken back
		t.Fatal(err)
	}
	if m := awaitEvent("leave"); m["user"] != "bob" {
		t.Errorf("%v", m)
	}
}
