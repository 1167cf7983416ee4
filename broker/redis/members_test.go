package redis

import (
	"context"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/brokertest"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// crowded is a test's members by their Broker.
type crowded struct {
	broker.TopicMembers
	b *Broker
}

func TestTopicMembers(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	brokertest.TopicMembers(t, func(t *testing.T) broker.TopicMembers {
		t.Cleanup(func() { r.Do("FLUSHALL") })
		b := openBroker(t, r.URL(), func(o *Options) { o.Lease = shortLease })
		return crowded{b.TopicMembers(), b}
	}, func(m broker.TopicMembers) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := m.(crowded).b.Close(ctx); err != nil {
			t.Error(err)
		}
	})
}

// TestTopicMembersAreToldAgain empties Redis: the members come back.
func TestTopicMembersAreToldAgain(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), func(o *Options) { o.Lease = shortLease })
	n, err := b.TopicMembers().Join(func(string, broker.TopicMember, bool) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Enter("t", broker.TopicMember{User: "ann", Connection: "1"}); err != nil {
		t.Fatal(err)
	}
	there := func() bool { return r.Do("HLEN", "wsd:{t:t}:members") == int64(1) }
	testkit.Eventually(t, there, patience)
	r.Do("FLUSHALL")
	testkit.Eventually(t, there, patience)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.Leave(ctx); err != nil {
		t.Error(err)
	}
}
