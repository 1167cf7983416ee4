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

// presences is what the suite needs.
func presences(t *testing.T, r *testkit.Redis, edit func(*Options)) brokertest.PresenceCluster {
	return brokertest.PresenceCluster{
		Process: func() broker.Presence {
			b := openBroker(t, r.URL(), func(o *Options) {
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
		Entry: func(user string) (*broker.Connection, string) { return readByNode(r, user) },
	}
}

// readByNode is what a Node server reads of a user.
func readByNode(r *testkit.Redis, user string) (newest *broker.Connection, owner string) {
	owner, _ = r.Do("HGET", "user:connections", user).(string)
	id, _ := r.Do("HGET", "user:"+user, "socketId").(string)
	server, _ := r.Do("HGET", "user:"+user, "serverId").(string)
	status, _ := r.Do("HGET", "user:"+user, "status").(string)
	if server == "" && id == "" && status == "" {
		return nil, owner
	}
	if status != "online" {
		server += " (" + status + ")"
	}
	return &broker.Connection{ID: id, Server: server}, owner
}

func TestPresenceSuite(t *testing.T) {
	brokertest.Presence(t, func(t *testing.T) brokertest.PresenceCluster {
		return presences(t, testkit.StartRedis(t), nil)
	})
}

func TestPresenceSuiteWithoutTracking(t *testing.T) {
	if testing.Short() {
		t.Skip("the suite again")
	}
	brokertest.Presence(t, func(t *testing.T) brokertest.PresenceCluster {
		return presences(t, testkit.StartRedis(t), func(o *Options) { o.NoTracking = true })
	})
}
