package broker_test

import (
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/brokertest"
)

func TestMemoryPresenceSuite(t *testing.T) {
	brokertest.Presence(t, func(*testing.T) brokertest.PresenceCluster {
		p := broker.NewMemoryPresence()
		return brokertest.PresenceCluster{Process: func() broker.Presence { return p }}
	})
}
