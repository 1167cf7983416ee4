package redis

import (
	"context"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/brokertest"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// shortLease is one that can be waited for.
const shortLease = 3 * time.Second

// present is a test's presences by their Broker.
type present struct {
	broker.Presence
	b *Broker
}

// presences is what the suite needs. at is the server that has a key.
func presences(t *testing.T, url string, at func(key string) *testkit.Redis, edit func(*Options)) brokertest.PresenceCluster {
	return brokertest.PresenceCluster{
		Process: func() broker.Presence {
			b := openBroker(t, url, func(o *Options) {
				o.Lease = shortLease
				if edit != nil {
					edit(o)
				}
			})
			return present{b.Presence(), b}
		},
		Kill: func(p broker.Presence) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := p.(present).b.Close(ctx); err != nil {
				t.Error(err)
			}
		},
		Entry: func(user string) (*broker.Connection, string) { return readEntry(at, user) },
	}
}

// only is the place of all keys of a single server.
func only(r *testkit.Redis) func(string) *testkit.Redis {
	return func(string) *testkit.Redis { return r }
}

// readByNode is what a Node server reads of a user.
func readByNode(r *testkit.Redis, user string) (newest *broker.Connection, owner string) {
	return readEntry(only(r), user)
}

func readEntry(at func(key string) *testkit.Redis, user string) (newest *broker.Connection, owner string) {
	get := func(key, field string) string {
		value, _ := at(key).Do("HGET", key, field).(string)
		return value
	}
	owner = get("user:connections", user)
	id, server, status := get("user:"+user, "socketId"), get("user:"+user, "serverId"), get("user:"+user, "status")
	if server == "" && id == "" && status == "" {
		return nil, owner
	}
	if status != "online" {
		server += " (" + status + ")"
	}
	return &broker.Connection{ID: id, Server: server}, owner
}

func TestPresenceSuite(t *testing.T) {
	t.Parallel()
	brokertest.Presence(t, func(t *testing.T) brokertest.PresenceCluster {
		r := testkit.StartRedis(t)
		return presences(t, r.URL(), only(r), nil)
	})
}

func TestPresenceSuiteWithoutTracking(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the suite again")
	}
	brokertest.Presence(t, func(t *testing.T) brokertest.PresenceCluster {
		r := testkit.StartRedis(t)
		return presences(t, r.URL(), only(r), func(o *Options) { o.NoTracking, o.LookupTTL = true, 50*time.Millisecond })
	})
}
