package redis

import (
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/codec/cluster"
)

// How a node of version 0.2 counts others, and is counted.
const (
	beatInterval = 5 * time.Second  // of its heartbeats
	beatTimeout  = 10 * time.Second // of its silence
	maxBridged   = 256              // nodes
)

// bridgeMark is the data of this node's heartbeats, which no server reads: by it
// wsd nodes know that another one needs no bridge.
const bridgeMark = `{"bridge":"0.3"}`

// bridge makes a node of version 0.3 a member for those of version 0.2, which have
// everything in the stream and count each other by heartbeats there. Servers of
// 0.3 do not do that: between them and those of 0.2 requests time out.
//
// Without a node of 0.2 nothing is sent: a cluster of 0.3 has no heartbeats. As
// soon as one is heard of, which takes its heartbeat interval of 5 s at most,
//   - the node sends heartbeats, so that it is waited for;
//   - requests that come by the stream are answered there;
//   - it sends its own requests through the stream in place of pub/sub. Servers of
//     0.3 obey those as well, and answer by pub/sub, so each server gets a request
//     once. It must never go both ways.
//   - Members counts the nodes of 0.2.
//
// One thing remains, as it is among servers of 0.2 themselves: Node's recovery
// replays broadcasts with acknowledgement that are in the stream.
type bridge struct {
	n     *streamsNode
	nodes *aged[struct{}] // of version 0.2, by uid
	peers *aged[struct{}] // that are bridges as well
	asked *aged[struct{}] // that sent requests through the stream, and are none

	mu    sync.Mutex
	last  time.Time // mu; of the last heartbeat
	owed  bool      // mu; somebody wants one
	spoke time.Time // mu; of the last request through the stream
}

func (b *bridge) init(n *streamsNode) {
	b.n = n
	b.nodes = newAged[struct{}](maxBridged, beatTimeout)
	b.peers = newAged[struct{}](maxBridged, beatTimeout)
	b.asked = newAged[struct{}](maxBridged, nameLife)
}

// active reports whether there is a node of version 0.2.
func (b *bridge) active() bool { return !b.nodes.empty() }

// arrive looks at what was read from the stream. It reports whether the node's
// receiver gets it, too.
func (b *bridge) arrive(m *cluster.Message, e cluster.Entry) bool {
	if b.nodes.has(m.UID) {
		b.nodes.put(m.UID, struct{}{}) // whatever it says: it is there
	}
	switch {
	case m.Kind == cluster.InitialHeartbeat, m.Kind == cluster.Heartbeat:
		if e.Data == bridgeMark {
			b.peers.put(m.UID, struct{}{})
			b.asked.take(m.UID)
			b.nodes.take(m.UID)
		} else {
			b.meet(m)
		}
		return false
	case m.Kind == cluster.AdapterClose:
		b.nodes.take(m.UID)
		return false
	case m.Kind.Response():
		return b.awaits()
	case ephemeral(m) && !b.peers.has(m.UID):
		b.asked.put(m.UID, struct{}{})
	}
	return true
}

// publishes notes that a node uses pub/sub, which those of version 0.2 lack:
// whoever made it look like one lied.
func (b *bridge) publishes(uid string) { b.nodes.take(uid) }

// take reports whether a request goes through the stream.
func (b *bridge) take() bool {
	if !b.active() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spoke = time.Now()
	return true
}

// awaits reports whether answers in the stream may be to this node: most are not.
func (b *bridge) awaits() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.spoke.IsZero() && time.Since(b.spoke) < nameLife
}

// meet notes a node of version 0.2. All nodes answer the first heartbeat of one:
// so the first one that this node meets tells it of all others.
func (b *bridge) meet(m *cluster.Message) {
	if m.UID == "" || m.UID == emitterUID {
		return
	}
	first := !b.active()
	b.nodes.put(m.UID, struct{}{})
	if first {
		b.send(cluster.InitialHeartbeat, time.Now())
	} else if m.Kind == cluster.InitialHeartbeat {
		b.mu.Lock()
		b.owed = true
		b.mu.Unlock()
		b.beat(time.Now())
	}
}

// beat sends a heartbeat if it is time for one. However many want one, it is one
// in a second.
func (b *bridge) beat(now time.Time) {
	b.mu.Lock()
	since := now.Sub(b.last)
	due := since >= beatInterval || b.owed && since >= time.Second
	b.mu.Unlock()
	if due && b.active() {
		b.send(cluster.Heartbeat, now)
	}
}

// leave tells that the node goes.
func (b *bridge) leave() {
	if b.active() {
		b.send(cluster.AdapterClose, time.Now())
	}
}

// send puts a heartbeat into the stream. What does not get there is made up for by
// the next one.
func (b *bridge) send(kind cluster.Kind, now time.Time) {
	b.mu.Lock()
	b.last, b.owed = now, false
	b.mu.Unlock()
	e, err := cluster.MakeEntry(&cluster.Message{Kind: kind, UID: b.n.uid, Namespace: b.n.namespace}, true)
	if err == nil {
		e.Data = bridgeMark
		_ = b.n.addEntry(e, nil, nil)
	}
}
