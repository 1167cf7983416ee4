package broker_test

import (
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/brokertest"
)

func TestMemoryTopicMembers(t *testing.T) {
	var all broker.MemoryTopicMembers
	brokertest.TopicMembers(t, func(*testing.T) broker.TopicMembers { return &all }, nil)
}
