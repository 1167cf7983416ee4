package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/internal/conv"
)

const (
	// A room that sockets were told to join is for joinGrace reached by the channel
	// that everybody has: the subscriptions to its own need their time. maxGraces
	// bounds how many rooms are.
	joinGrace = 2 * time.Second
	maxGraces = 4096
)

// shardedNode is a membership in the wire format of @socket.io/redis-adapter's
// createShardedAdapter: sharded channels for the namespace, each node, and, by
// the mode, each room.
//
// Rooms with channels of their own have a price. On a Redis Cluster these are on
// other servers than the namespace's, so that order is kept in each channel only.
// And a room can't be heard before the server has subscribed to it: what Node's
// servers send to it within a millisecond or so after its first socket joined is
// missed, as among themselves. What wsd sends where it knows of a join takes the
// namespace's channel for a while, see joinGrace. Static has neither price.
type shardedNode struct {
	*member
	channels cluster.Channels
	public   string // channels, as they are
	own      string
	mode     SubscriptionMode
	graces   *aged[struct{}] // rooms
	echo     *cluster.Echo   // what this node itself published

	roomsMu sync.Mutex
	rooms   map[string]*subscription // roomsMu; nil after Leave
}

func newShardedNode(b *Broker, namespace string, r broker.ClusterReceiver) broker.ClusterNode {
	n := &shardedNode{
		channels: cluster.Channels{Prefix: b.opts.Prefix, Namespace: namespace},
		mode:     b.opts.SubscriptionMode,
		graces:   newAged[struct{}](maxGraces, joinGrace),
		rooms:    map[string]*subscription{},
	}
	n.member = b.newMember(namespace, shardedUID(), r, n.open)
	n.public, n.own = n.channels.Broadcast(), n.channels.Node(n.uid)
	n.echo = cluster.NewEcho(n.uid, namespace)
	n.attach(n, address{sharded, n.public}, address{sharded, n.own})
	return n
}

// shardedUID makes a name in the form of Node's.
func shardedUID() string {
	var b [8]byte
	// crypto/rand.Read never fails.
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// OwnRooms implements broker.ClusterPrivate.
func (n *shardedNode) OwnRooms() bool { return n.mode == DynamicPrivate }

// Publish implements broker.ClusterNode.
func (n *shardedNode) Publish(m *cluster.Message) error {
	if err := n.check(m, false); err != nil {
		return err
	}
	payload, err := cluster.AppendSharded(nil, m)
	if err != nil {
		return err
	}
	if m.Kind == cluster.SocketsJoin {
		n.grace(m.Rooms)
	}
	return n.send(sharded, n.channelOf(m), payload)
}

// PublishThen implements broker.ClusterNode.
func (n *shardedNode) PublishThen(m *cluster.Message, done func(offset string, err error)) error {
	if err := n.checkEvent(m); err != nil {
		return err
	}
	payload, err := cluster.AppendSharded(nil, m)
	if err != nil {
		return err
	}
	then, err := n.sentThen(done)
	if err != nil {
		return err
	}
	return n.sendThen(sharded, n.channelOf(m), payload, then)
}

// channelOf is where a message is published. With a request it is for all: they
// are who is counted.
func (n *shardedNode) channelOf(m *cluster.Message) string {
	if n.mode == Static || m.Kind != cluster.Broadcast || m.RequestID != "" || len(m.Options.Rooms) != 1 {
		return n.public
	}
	room := m.Options.Rooms[0]
	if n.mode == Dynamic && utf16Len(room) == sidLength || n.graces.has(room) {
		return n.public
	}
	return n.channels.Room(room)
}

// utf16Len is a string's length as JavaScript has it.
func utf16Len(s string) int {
	n := 0
	for _, r := range s {
		if n++; r > 0xffff {
			n++
		}
	}
	return n
}

// grace notes rooms that sockets are told to join.
func (n *shardedNode) grace(rooms []string) {
	if n.mode == Static {
		return
	}
	for _, room := range rooms {
		n.graces.put(room, struct{}{})
	}
}

// Respond implements broker.ClusterNode.
func (n *shardedNode) Respond(uid string, m *cluster.Message) error {
	if err := n.check(m, true); err != nil || uid == n.uid {
		return err
	}
	payload, err := cluster.AppendSharded(nil, m)
	if err != nil {
		return err
	}
	return n.send(sharded, n.channels.Node(uid), payload)
}

// Members implements broker.ClusterNode.
func (n *shardedNode) Members(ctx context.Context) (broker.Members, error) {
	return n.members(ctx, sharded, n.channels.Node)
}

// RoomJoined implements broker.ClusterNode.
func (n *shardedNode) RoomJoined(room string) {
	channel := n.channels.Room(room)
	if n.mode == Static || channel == n.own {
		return
	}
	n.roomsMu.Lock()
	defer n.roomsMu.Unlock()
	if n.rooms != nil && n.rooms[room] == nil {
		n.rooms[room] = n.b.hub.subscribe(sharded, channel, n)
	}
}

// RoomLeft implements broker.ClusterNode.
func (n *shardedNode) RoomLeft(room string) {
	n.roomsMu.Lock()
	defer n.roomsMu.Unlock()
	if s := n.rooms[room]; s != nil {
		s.release(true)
		delete(n.rooms, room)
	}
}

// Leave implements broker.ClusterNode.
func (n *shardedNode) Leave() {
	if !n.leave() {
		return
	}
	n.roomsMu.Lock()
	defer n.roomsMu.Unlock()
	for _, s := range n.rooms {
		s.release(false)
	}
	n.rooms = nil
}

// message implements listener. What the node itself published comes back.
func (n *shardedNode) message(channel, payload string) {
	if !n.echo.Envelope(conv.Bytes(payload)) {
		n.inbox.message(channel, payload)
	}
}

// gap implements listener.
func (n *shardedNode) gap(g broker.Gap) { n.inbox.gap(g) }

// open decodes what arrived, on any of the channels.
func (n *shardedNode) open(_, payload string) *cluster.Message {
	m, err := cluster.ParseSharded(conv.Bytes(payload))
	if err != nil {
		n.skip(err)
		return nil
	}
	if m.UID == n.uid || m.Namespace != n.namespace {
		return nil
	}
	switch m.Kind {
	case cluster.InitialHeartbeat, cluster.Heartbeat, cluster.AdapterClose:
		return nil // of adapters that count otherwise
	case cluster.SocketsJoin:
		n.grace(m.Rooms)
	}
	n.heard(m.UID)
	return m
}
