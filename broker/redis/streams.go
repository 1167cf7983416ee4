package redis

import "github.com/fe4bcecb/wsd/broker"

func newStreamsNode(b *Broker, namespace string, r broker.ClusterReceiver) (broker.ClusterNode, error) {
	panic("H5")
}
