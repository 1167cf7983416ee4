package redis

import (
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/brokertest"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestTopicsSuite(t *testing.T) {
	server := testkit.StartRedis(t)
	brokertest.Topics(t, func(t *testing.T) func() broker.Topics {
		server.Do("FLUSHALL")
		return func() broker.Topics {
			return openBroker(t, server.URL(), func(o *Options) { o.Durable = brokertest.Durable }).Topics()
		}
	})
}
