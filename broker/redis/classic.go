package redis

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/internal/conv"
)

const (
	// maxRequests and requestLife bound the questions that a node keeps in mind:
	// its own, whose answers it looks for among those of all nodes, and others'
	// that are answered in a form of their own.
	maxRequests = 64 << 10
	requestLife = 10 * time.Minute
)

// classicNode is a membership in the wire format of @socket.io/redis-adapter's
// createAdapter: broadcasts on a channel of the namespace or of a room, heard by
// a pattern; requests and responses on channels of their own.
//
// Node's servers take their own requests to join, leave and disconnect from the
// wire, too; here those were carried out before they were published.
type classicNode struct {
	*member
	channels   cluster.Channels
	broadcasts string // channels, as they are
	requests   string
	responses  string
	own        string // responses to this node alone

	asked *aged[struct{}]      // ids of own requests
	odd   *aged[classicOrigin] // others' requests with odd answers, by classicKey
	rooms *classicRooms

	echo *cluster.Echo // what this node itself published
}

// classicOrigin is a question whose answer is not what its message says.
type classicOrigin struct {
	answer cluster.ClassicAnswer
	// then is what to do when the answer is that there is such a socket.
	then *cluster.Message
}

// classicKey is a request's: ids of two nodes might be the same.
func classicKey(uid, request string) string { return uid + "\x00" + request }

func newClassicNode(b *Broker, namespace string, r broker.ClusterReceiver) broker.ClusterNode {
	n := &classicNode{
		channels: cluster.Channels{Prefix: b.opts.Prefix, Namespace: namespace},
		asked:    newAged[struct{}](maxRequests, requestLife),
		odd:      newAged[classicOrigin](maxRequests, requestLife),
		rooms:    newClassicRooms(),
	}
	n.member = b.newMember(namespace, classicUID(), r, n.open)
	n.broadcasts, n.requests = n.channels.Broadcast(), n.channels.Request()
	n.responses, n.own = n.channels.Response(), n.channels.NodeResponse(n.uid)
	n.echo = cluster.NewEcho(n.uid, namespace)
	n.attach(n, address{plain, n.requests},
		address{pattern, n.channels.Pattern()}, address{plain, n.responses}, address{plain, n.own})
	return n
}

// classicUID makes a name in the form of Node's.
func classicUID() string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var b [6]byte
	// crypto/rand.Read never fails.
	_, _ = rand.Read(b[:])
	for i, x := range b {
		b[i] = letters[x%64]
	}
	return string(b[:])
}

// Publish implements broker.ClusterNode.
func (n *classicNode) Publish(m *cluster.Message) error {
	if err := n.check(m, false); err != nil {
		return err
	}
	if m.Kind == cluster.Broadcast && m.RequestID == "" {
		return n.broadcast(m, n.done)
	}
	payload, err := cluster.AppendClassicRequest(nil, m)
	if err != nil {
		return err
	}
	if m.Kind == cluster.SocketsJoin {
		n.rooms.expect(m.Rooms)
	}
	if m.RequestID != "" {
		n.asked.put(m.RequestID, struct{}{})
	}
	return n.send(plain, n.requests, payload)
}

// PublishThen implements broker.ClusterNode.
func (n *classicNode) PublishThen(m *cluster.Message, done func(offset string, err error)) error {
	if err := n.checkEvent(m); err != nil {
		return err
	}
	then, err := n.sentThen(done)
	if err != nil {
		return err
	}
	return n.broadcast(m, then)
}

// broadcast publishes a broadcast that asks for no answers.
func (n *classicNode) broadcast(m *cluster.Message, done func(rueidis.RedisResult)) error {
	payload, err := cluster.AppendClassicBroadcast(nil, m)
	if err != nil {
		return err
	}
	channel := n.broadcasts
	if len(m.Options.Rooms) == 1 {
		channel = n.channels.Room(m.Options.Rooms[0])
	}
	return n.sendThen(plain, channel, payload, done)
}

// Respond implements broker.ClusterNode.
func (n *classicNode) Respond(uid string, m *cluster.Message) error {
	if err := n.check(m, true); err != nil || uid == n.uid {
		return err
	}
	answer := cluster.ClassicAcks
	switch m.Kind {
	case cluster.ServerSideEmitResponse:
		answer = cluster.ClassicEvent
	case cluster.FetchSocketsResponse:
		answer = cluster.ClassicFetch
		if o, ok := n.odd.take(classicKey(uid, m.RequestID)); ok {
			answer = o.answer
			if o.then != nil && (len(m.Sockets) == 0 || !n.inbox.put(o.then)) {
				return nil // the node of that socket answers
			}
		}
	}
	payload, err := cluster.AppendClassicResponse(nil, m, answer)
	if err != nil {
		return err
	}
	channel := n.responses
	// Acknowledgements of server-side events always go to all, and a node without
	// a name has no channel of its own.
	if n.b.opts.SpecificResponses && uid != "" && answer != cluster.ClassicEvent {
		channel = n.channels.NodeResponse(uid)
	}
	return n.send(plain, channel, payload)
}

// Members implements broker.ClusterNode.
func (n *classicNode) Members(ctx context.Context) (broker.Members, error) {
	return n.members(ctx, plain, n.channels.NodeResponse)
}

// RoomJoined implements broker.ClusterNode. The pattern hears every room: what
// is told decides which messages are worth decoding.
func (n *classicNode) RoomJoined(room string) { n.rooms.join(room) }

// RoomLeft implements broker.ClusterNode.
func (n *classicNode) RoomLeft(room string) { n.rooms.leave(room) }

// Leave implements broker.ClusterNode.
func (n *classicNode) Leave() { n.leave() }

// message implements listener. What the node itself published comes back.
func (n *classicNode) message(channel, payload string) {
	if !n.echo.Broadcast(conv.Bytes(payload)) {
		n.inbox.message(channel, payload)
	}
}

// gap implements listener.
func (n *classicNode) gap(g broker.Gap) { n.inbox.gap(g) }

// open decodes what arrived. It runs on the inbox's goroutine: a room is asked
// for in the order of what was told to join it.
func (n *classicNode) open(channel, payload string) *cluster.Message {
	var m *cluster.Message
	var err error
	switch channel {
	case n.requests:
		m, err = n.openRequest(conv.Bytes(payload))
	case n.responses, n.own:
		if n.asked.empty() {
			return nil
		}
		m, err = cluster.ParseClassicResponse(conv.Bytes(payload), n.namespace)
		if err == nil && !n.asked.has(m.RequestID) {
			return nil // an answer to another node
		}
	default:
		room, ok := n.channels.RoomOf(channel)
		if !ok || !n.rooms.wants(room) {
			return nil
		}
		m, err = cluster.ParseClassicBroadcast(conv.Bytes(payload), n.namespace)
	}
	switch {
	case err != nil:
		n.skip(err)
		return nil
	case m == nil || m.UID == n.uid:
		return nil
	}
	n.heard(m.UID)
	return m
}

// openRequest decodes a question, and keeps in mind how to answer one that is
// not of the vocabulary; nil if it is the node's own.
func (n *classicNode) openRequest(payload []byte) (*cluster.Message, error) {
	r, err := cluster.ParseClassicRequest(payload, n.namespace)
	if err != nil || r.Message.UID == n.uid {
		return nil, err
	}
	m := r.Message
	switch r.Answer {
	case cluster.ClassicSockets, cluster.ClassicRooms:
		n.odd.put(classicKey(m.UID, m.RequestID), classicOrigin{answer: r.Answer})
	case cluster.ClassicDone:
		// Only the node of the socket answers: it is asked for first.
		ask := &cluster.Message{
			Kind: cluster.FetchSockets, UID: m.UID, Namespace: m.Namespace, RequestID: m.RequestID,
			Options: cluster.Options{Rooms: m.Options.Rooms},
		}
		then := *m
		then.RequestID = ""
		n.odd.put(classicKey(m.UID, m.RequestID), classicOrigin{r.Answer, &then})
		m = ask
	}
	if r.Message.Kind == cluster.SocketsJoin {
		n.rooms.expect(r.Message.Rooms)
	}
	return m, nil
}
