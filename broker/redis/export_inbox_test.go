package redis

import (
	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
)

// Inbox is an inbox with the bounds of the test's choice.
type Inbox struct{ in *inbox }

// ParcelSize is what a parcel counts for beside what it carries.
const ParcelSize = parcelSize

func NewInbox(messages, bytes int, r broker.ClusterReceiver, open func(channel, payload string) *cluster.Message) Inbox {
	b := &Broker{opts: Options{QueueMessages: messages, QueueBytes: bytes}}
	return Inbox{b.newInbox(r, open)}
}

func (i Inbox) Message(channel, payload string) { i.in.message(channel, payload) }
func (i Inbox) Put(m *cluster.Message) bool     { return i.in.put(m) }
func (i Inbox) Gap(g broker.Gap)                { i.in.gap(g) }
func (i Inbox) Counts() (lost, gaps uint64)     { return i.in.counts() }
func (i Inbox) Close()                          { i.in.close() }
func (i Inbox) Idle() bool {
	i.in.mu.Lock()
	defer i.in.mu.Unlock()
	return !i.in.running
}
