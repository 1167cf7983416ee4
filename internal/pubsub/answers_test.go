package pubsub_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/pubsub"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// TestRefusedSubscriptionEnds has no subscription stand of which a client was told
// that it was refused.
func TestRefusedSubscriptionEnds(t *testing.T) {
	const again = `{"op":"ok","id":99,"members":[{"user":"","connection":"*"}],"total":1}`
	t.Run("members can't be asked for", func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		m := &members{list: func(int) ([]broker.TopicMember, int, error) {
			if down.Load() {
				return nil, 0, broker.ErrUnavailable
			}
			return nil, 0, nil
		}}
		n := start(t, nil, func(o *pubsub.Options) { o.Members = m })
		c := n.connect("/")
		c.send(`{"op":"subscribe","id":1,"topic":"t","presence":true}`)
		c.expect(`{"op":"error","id":1,"code":"unavailable","message":"*"}`)
		if st := n.server.Stats(); st.Subscriptions != 0 {
			t.Errorf("%d subscriptions", st.Subscriptions)
		}
		down.Store(false)
		c.send(`{"op":"subscribe","id":99,"topic":"t","presence":true}`)
		c.expect(again)
	})
	t.Run("too many requests wait", func(t *testing.T) {
		gate, open := blocked(t)
		m := &members{list: func(int) ([]broker.TopicMember, int, error) {
			<-gate
			return nil, 0, nil
		}}
		n := start(t, nil, func(o *pubsub.Options) { o.Members, o.MaxTopics = m, 1 })
		c := n.connect("/")
		for id := range 10 { // one that runs, 9 that wait
			c.send(`{"op":"presence","id":%d,"topic":"t"}`, id)
		}
		c.send(`{"op":"subscribe","id":10,"topic":"t","presence":true}`)
		c.expect(`{"op":"error","id":10,"code":"limit","message":"too many requests wait"}`)
		open()
		for id := range 10 {
			c.expect(fmt.Sprintf(`{"op":"ok","id":%d,"members":[],"total":0}`, id))
		}
		c.send(`{"op":"subscribe","id":99,"topic":"t","presence":true}`)
		c.expect(again)
	})
}

// TestSubscribeIsAnswered ends subscriptions before they stand: the requests are
// answered, once.
func TestSubscribeIsAnswered(t *testing.T) {
	t.Run("unsubscribe", func(t *testing.T) {
		gate, open := blocked(t)
		m := &members{list: func(int) ([]broker.TopicMember, int, error) {
			<-gate
			return nil, 0, nil
		}}
		n := start(t, nil, func(o *pubsub.Options) { o.Members = m })
		c := n.connect("/")
		c.send(`{"op":"subscribe","id":1,"topic":"t","presence":true}`)
		c.send(`{"op":"unsubscribe","id":2,"topic":"t"}`)
		c.expect(`{"op":"error","id":1,"code":"bad_request","message":"*"}`)
		c.expect(`{"op":"ok","id":2}`)
		c.send(`{"op":"subscribe","topic":"t","presence":true}`)
		c.send(`{"op":"unsubscribe","topic":"t"}`)
		open()
		c.send(`{"op":"presence","id":3,"topic":"t"}`)
		c.expect(`{"op":"ok","id":3,"members":[],"total":0}`)
	})
	t.Run("auth", func(t *testing.T) {
		gate, open := blocked(t)
		n := start(t, nil, func(o *pubsub.Options) {
			o.Members = &broker.MemoryTopicMembers{}
			o.Renew = func(*engine.Conn, string) pubsub.Renewal {
				return func(context.Context) (func() pubsub.Account, error) {
					<-gate
					return func() pubsub.Account {
						return pubsub.Account{Subscribe: func(topic string) bool { return false }}
					}, nil
				}
			}
		})
		c := n.connect("/")
		c.send(`{"op":"subscribe","id":1,"topic":"t"}`)
		c.expect(`{"op":"ok","id":1}`)
		c.send(`{"op":"auth","id":2,"token":"x"}`)
		c.send(`{"op":"subscribe","id":3,"topic":"u","presence":true}`) // asks behind auth
		c.send(`{"op":"ping","id":4}`)
		c.expect(`{"op":"ok","id":4}`)
		open()
		c.expect(`{"op":"ok","id":2}`)
		got := map[string]bool{c.text(): true, c.text(): true}
		for _, want := range []string{`"topic":"t",`, `"id":3,"topic":"u",`} {
			if !got[`{"op":"error",`+want+`"code":"forbidden","message":"not allowed to stay subscribed to this topic"}`] {
				t.Errorf("%v: want one with %s", got, want)
			}
		}
		c.send(`{"op":"ping","id":5}`)
		c.expect(`{"op":"ok","id":5}`)
	})
}

// TestLongAnswers asks for members more often than a slow reader reads: it gets all.
func TestLongAnswers(t *testing.T) {
	const asked = 60
	present := make([]broker.TopicMember, 1000)
	for i := range present {
		present[i] = broker.TopicMember{User: strings.Repeat("u", 250), Connection: fmt.Sprint(i)}
	}
	m := &members{list: func(limit int) ([]broker.TopicMember, int, error) { return present[:limit], len(present), nil }}
	n := start(t, nil, func(o *pubsub.Options) { o.Members = m })
	c := n.connect("/")
	for id := range asked {
		c.send(`{"op":"presence","id":%d,"topic":"t"}`, id)
		c.send(`{"op":"ping","id":%d}`, asked+id)
	}
	testkit.Eventually(t, func() bool {
		slow := func(l engine.LoopStats) bool { return l.BackpressureEvents > 0 }
		return slices.ContainsFunc(n.app.Stats().Loops, slow)
	}, patience)
	next := 0
	for range 2 * asked {
		m := c.next()
		if m["op"] != "ok" {
			t.Fatalf("%v", m)
		}
		if list, is := m["members"].([]any); is {
			if len(list) != len(present) || m["id"] != float64(next) {
				t.Fatalf("%d members, id %v instead of %d", len(list), m["id"], next)
			}
			next++
		}
	}
	if next != asked {
		t.Errorf("%d of %d answers", next, asked)
	}
}
