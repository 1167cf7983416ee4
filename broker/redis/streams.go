package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
)

// streamsNode is a membership in the wire of @socket.io/redis-streams-adapter 0.3:
// broadcasts, joins, leaves and disconnects go through a stream, requests and
// answers by pub/sub. Nodes of its version 0.2 have everything in the stream; see
// bridge.
//
// All that a node sends goes through one lane, so it is in order on each of the
// two ways; in a Redis Cluster, where these may lead to different servers, a
// request waits for the answers to the entries before it. Where the ways meet
// again, fence keeps it behind those.
type streamsNode struct {
	*member
	channels cluster.Channels
	kind     channelKind
	stream   string    // where its entries go
	streams  []string  // where those of its namespace may be: stream is the first
	readers  []*reader // of streams
	own      ownEntries
	fence    fence
	bridge   bridge
}

func newStreamsNode(b *Broker, namespace string, r broker.ClusterReceiver) (broker.ClusterNode, error) {
	n := &streamsNode{
		channels: cluster.Channels{Prefix: b.opts.Prefix, Namespace: namespace},
		stream:   cluster.StreamName(b.opts.StreamName, b.opts.StreamCount, namespace),
	}
	n.streams = []string{n.stream}
	if other := cluster.NodeStreamName(b.opts.StreamName, b.opts.StreamCount, namespace); other != n.stream {
		n.streams = append(n.streams, other)
	}
	if b.opts.ShardedPubSub {
		n.kind = sharded
	}
	n.member = b.newMember(namespace, newUID(), r, n.open)
	n.own.init(n.inbox, &n.lost)
	n.fence.init(n)
	n.bridge.init(n)
	if err := b.streams.join(n); err != nil {
		n.leave()
		return nil, err
	}
	n.attach(n, address{n.kind, n.channels.Broadcast()}, address{n.kind, n.channels.Node(n.uid)})
	return n, nil
}

// newUID makes a name as ClusterAdapter does: 16 hexadecimal digits.
func newUID() string {
	var b [8]byte
	// crypto/rand.Read never fails.
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// ephemeral reports whether a message goes by pub/sub, and is gone then.
func ephemeral(m *cluster.Message) bool {
	switch m.Kind {
	case cluster.Broadcast:
		return m.RequestID != ""
	case cluster.SocketsJoin, cluster.SocketsLeave, cluster.DisconnectSockets:
		return false
	}
	return true
}

// Publish implements broker.ClusterNode.
func (n *streamsNode) Publish(m *cluster.Message) error {
	if err := n.check(m, false); err != nil {
		return err
	}
	if !ephemeral(m) || n.bridge.take() {
		return n.add(m, nil)
	}
	payload, err := cluster.AppendStreams(nil, m)
	if err != nil {
		return err
	}
	send := func() error { return n.send(n.kind, n.channels.Broadcast(), payload) }
	if !n.b.clustered() {
		return send()
	}
	return n.own.behind(n.b.opts.QueueMessages, n.b.opts.QueueBytes, len(payload), send)
}

// PublishThen implements broker.ClusterNode. Unlike Append it does not wait until the
// entry is read.
func (n *streamsNode) PublishThen(m *cluster.Message, done func(offset string, err error)) error {
	if err := n.checkEvent(m); err != nil {
		return err
	}
	e, err := cluster.MakeEntry(m, n.b.opts.OnlyPlaintext)
	if err != nil {
		return err
	}
	return n.addEntry(e, nil, done)
}

// Respond implements broker.ClusterNode.
func (n *streamsNode) Respond(uid string, m *cluster.Message) error {
	if err := n.check(m, true); err != nil {
		return err
	}
	if n.bridge.asked.has(uid) {
		return n.add(m, nil)
	}
	payload, err := cluster.AppendStreams(nil, m)
	if err != nil {
		return err
	}
	return n.send(n.kind, n.channels.Node(uid), payload)
}

// Append implements broker.ClusterLog.
func (n *streamsNode) Append(m *cluster.Message, done func(offset string, err error)) error {
	if err := n.checkEvent(m); err != nil {
		return err
	}
	return n.add(m, done)
}

// add puts a message into the stream. done, if not nil, is called on the inbox's
// goroutine.
func (n *streamsNode) add(m *cluster.Message, done func(offset string, err error)) error {
	e, err := cluster.MakeEntry(m, n.b.opts.OnlyPlaintext)
	if err != nil {
		return err
	}
	return n.addEntry(e, done, nil)
}

// addEntry is add for what is an entry already. taken, if not nil, is called on the
// lane's goroutine when the server has answered.
func (n *streamsNode) addEntry(e cluster.Entry, done, taken func(offset string, err error)) error {
	own := &ownEntry{done: done, print: printOf(e)}
	most := strconv.Itoa(n.b.opts.StreamMaxLen)
	size := len(n.stream) + len(e.UID) + len(e.Namespace) + len(e.Data)
	err := n.own.push(own, n.b.opts.QueueMessages, func() error {
		return n.lane.push(size, func(b rueidis.Builder) rueidis.Completed {
			add := b.Xadd().Key(n.stream).Maxlen().Almost().Threshold(most).Id("*").
				FieldValue().FieldValue("uid", e.UID).FieldValue("nsp", e.Namespace).FieldValue("type", e.Type)
			if e.Data != "" {
				add = add.FieldValue("data", e.Data)
			}
			return add.Build()
		}, func(r rueidis.RedisResult) {
			n.sent(r)
			offset, err := added(r)
			n.own.answer(own, offset, err)
			if taken != nil {
				taken(offset, err)
			}
		})
	})
	if err != nil {
		n.lost.Add(1)
	}
	return err
}

// added is the answer to XADD. The error wraps broker.ErrUnavailable if the stream
// surely has not got the entry; any other leaves that open.
func added(r rueidis.RedisResult) (offset string, err error) {
	if err := transportError(r); err != nil {
		return "", fmt.Errorf("redis: appending to the log: %w", err)
	}
	if offset, err = r.ToString(); err != nil {
		return "", notTaken(fmt.Errorf("redis: appending to the log: %w", err))
	}
	return offset, nil
}

// Members implements broker.ClusterNode: the nodes of version 0.3 and the wsd
// nodes are counted by their subscriptions, those of version 0.2 by heartbeats.
func (n *streamsNode) Members(ctx context.Context) (broker.Members, error) {
	if err := n.begun(ctx); err != nil {
		return broker.Members{}, err
	}
	all, err := n.members(ctx, n.kind, n.channels.Node)
	if err != nil {
		return broker.Members{}, err
	}
	old := n.bridge.nodes.keys()
	all.Others += len(old)
	all.UIDs = append(all.UIDs, old...)
	return all, nil
}

// begun waits until the node's streams are read.
func (n *streamsNode) begun(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.ctx, cancel)()
	for _, r := range n.readers {
		if err := r.reach(ctx, cluster.ID{}); err != nil {
			if n.ctx.Err() != nil {
				return broker.ErrClosed
			}
			return err
		}
	}
	return nil
}

// RoomJoined implements broker.ClusterNode: every node reads the whole stream.
func (n *streamsNode) RoomJoined(string) {}

// RoomLeft implements broker.ClusterNode.
func (n *streamsNode) RoomLeft(string) {}

// Health implements broker.ClusterNode.
func (n *streamsNode) Health() broker.Health {
	h := n.member.Health()
	for _, r := range n.readers {
		if err := r.state(); h.Up && err != nil {
			h.Up, h.Reason = false, "stream "+r.stream+" is not read: "+err.Error()
		}
	}
	return h
}

// Leave implements broker.ClusterNode.
func (n *streamsNode) Leave() {
	if n.ctx.Err() == nil {
		n.bridge.leave()
	}
	if n.leave() {
		n.b.streams.leave(n)
		n.own.close()
	}
}

// arrive takes a message that was read from the stream. Call on the reader's
// goroutine.
func (n *streamsNode) arrive(ctx context.Context, m *cluster.Message, e cluster.Entry) {
	if !n.bridge.arrive(m, e) {
		return
	}
	n.heard(m.UID)
	if m.Kind != cluster.Broadcast || m.RequestID != "" {
		plain := *m
		plain.Offset = "" // nothing that recovery replays
		m = &plain
	}
	n.inbox.offer(ctx, m, inboxPatience)
}

// message implements listener: what came by pub/sub. Answers need no fence: they
// are in order among themselves.
func (n *streamsNode) message(channel, payload string) {
	if channel == n.channels.Broadcast() {
		n.fence.message(channel, payload)
	} else {
		n.inbox.message(channel, payload)
	}
}

// gap implements listener: requests and answers may have been lost. What is in the
// stream was not.
func (n *streamsNode) gap(g broker.Gap) { n.inbox.gap(g) }

// open decodes what came by pub/sub, on the inbox's goroutine.
func (n *streamsNode) open(_, payload string) *cluster.Message {
	m, err := cluster.ParseStreams([]byte(payload))
	switch {
	case err != nil:
		n.skip(err)
		return nil
	case m.UID == n.uid, m.Namespace != n.namespace:
		return nil
	}
	n.bridge.publishes(m.UID)
	n.heard(m.UID)
	return m
}
