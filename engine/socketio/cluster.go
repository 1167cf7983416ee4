package socketio

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
)

// joinCluster makes the namespace one of its name on several nodes. Called when
// the namespace begins, with the server's mu held.
func (n *Namespace) joinCluster() error {
	c := n.server.opts.Cluster
	if c == nil || n.server.closed {
		n.openStore(nil)
		return nil
	}
	n.requests.init()
	n.opened = map[string]int{}
	n.joined = make(chan struct{})
	node, err := c.Join(n.name, broker.ClusterReceiver{Deliver: n.receive, Gap: n.gap})
	if err != nil {
		n.openStore(nil)
		return err
	}
	n.node = node
	if private, ok := node.(broker.ClusterPrivate); ok {
		n.ownRooms = private.OwnRooms()
	}
	n.openStore(node)
	close(n.joined)
	return nil
}

// leaveCluster ends what joinCluster began.
func (n *Namespace) leaveCluster() {
	if n.node != nil {
		n.node.Leave()
	}
}

// message is what other nodes are told of a broadcast.
func (b Broadcast) message(kind cluster.Kind, payload sio.Payload) *cluster.Message {
	m := &cluster.Message{
		Kind:      kind,
		UID:       b.nsp.node.UID(),
		Namespace: b.nsp.name,
		Options: cluster.Options{
			Rooms:  b.rooms,
			Except: b.except,
			Flags:  cluster.Flags{Volatile: b.volatile, Timeout: b.timeout.Milliseconds(), ExpectSingleResponse: b.single},
		},
	}
	if b.uncompressed {
		no := false
		m.Options.Flags.Compress = &no
	}
	if kind == cluster.Broadcast {
		m.Packet = cluster.Packet{Type: sio.Event, Payload: payload}
	}
	return m
}

// told is the broadcast that another node asks for.
func (n *Namespace) told(o *cluster.Options) Broadcast {
	return Broadcast{
		nsp:          n,
		rooms:        o.Rooms,
		except:       o.Except,
		local:        true,
		foreign:      true,
		volatile:     o.Flags.Volatile,
		uncompressed: o.Flags.Compress != nil && !*o.Flags.Compress,
		timeout:      time.Duration(o.Flags.Timeout) * time.Millisecond,
		single:       o.Flags.ExpectSingleResponse,
	}
}

// receive does what another node asks for. It does not block: it runs where the
// broker delivers.
func (n *Namespace) receive(m *cluster.Message) {
	<-n.joined // the first message may come before Join has returned
	b := n.told(&m.Options)
	var err error
	switch m.Kind {
	case cluster.Broadcast:
		if m.Packet.Type != sio.Event {
			n.server.clusterRefused.Add(1)
			return
		}
		if m.RequestID != "" {
			err = n.broadcastForNode(b, m)
			break
		}
		if n.store != nil {
			err = n.store.receive(b, m)
			break
		}
		err = b.deliverPayload(m.Packet.Payload)
	case cluster.SocketsJoin:
		err = b.SocketsJoin(m.Rooms...)
	case cluster.SocketsLeave:
		err = b.SocketsLeave(m.Rooms...)
	case cluster.DisconnectSockets:
		err = b.DisconnectSockets(m.Close)
	case cluster.FetchSockets:
		go n.tellNode(b, m)
	case cluster.ServerSideEmit:
		n.serverSide.receive(n, m)
	case cluster.FetchSocketsResponse, cluster.ServerSideEmitResponse, cluster.BroadcastClientCount, cluster.BroadcastAck:
		n.requests.answer(m)
	}
	if err != nil {
		n.server.clusterLost.Add(1)
	}
}

// broadcastForNode sends an event whose acknowledgements another node wants.
func (n *Namespace) broadcastForNode(b Broadcast, m *cluster.Message) error {
	id := n.nextAckID()
	respond := func(x *cluster.Message) {
		x.UID, x.Namespace, x.RequestID = n.node.UID(), n.name, m.RequestID
		if n.node.Respond(m.UID, x) != nil {
			n.server.clusterLost.Add(1)
		}
	}
	time.AfterFunc(b.patience(), func() { n.forgetAcks(id) })
	return b.deliverAcked(m.Packet.Payload, id, func(args []sio.Value, err error) {
		if err != nil {
			return
		}
		var answer []any
		if len(args) > 0 {
			answer = []any{args[0]}
		}
		payload, err := n.encodeArgs(answer)
		if err != nil {
			n.server.clusterLost.Add(1)
			return
		}
		respond(&cluster.Message{Kind: cluster.BroadcastAck, Args: payload})
	}, func(error) { n.server.clusterLost.Add(1) }, func(clients int) {
		respond(&cluster.Message{Kind: cluster.BroadcastClientCount, Count: clients})
	})
}

// tellNode answers FetchSockets.
func (n *Namespace) tellNode(b Broadcast, m *cluster.Message) {
	ctx, cancel := context.WithTimeout(context.Background(), b.patience())
	defer cancel()
	sockets, err := b.fetchLocal(ctx)
	if err != nil {
		return // the asking node's own timeout tells
	}
	x := &cluster.Message{Kind: cluster.FetchSocketsResponse, UID: n.node.UID(), Namespace: n.name, RequestID: m.RequestID}
	x.Sockets = make([]cluster.Socket, len(sockets))
	for i, s := range sockets {
		x.Sockets[i] = s.describe()
	}
	if n.node.Respond(m.UID, x) != nil {
		n.server.clusterLost.Add(1)
	}
}

// requests are the questions to other nodes that are open.
type requests struct {
	mu      sync.Mutex
	pending map[string]answerer
}

// answerer takes the answers to one request.
type answerer interface{ take(*cluster.Message) }

func (r *requests) init() { r.pending = map[string]answerer{} }

// open registers a request and returns its id.
func (r *requests) open(a answerer) string {
	var b [8]byte
	// crypto/rand.Read never fails.
	_, _ = rand.Read(b[:])
	id := hex.EncodeToString(b[:])
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending[id] = a
	return id
}

func (r *requests) close(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pending, id)
}

// answer hands an answer to whoever asked; late ones are nobody's.
func (r *requests) answer(m *cluster.Message) {
	r.mu.Lock()
	a := r.pending[m.RequestID]
	r.mu.Unlock()
	if a != nil {
		a.take(m)
	}
}

// take hears of another node's clients.
func (c *collector) take(m *cluster.Message) {
	switch m.Kind {
	case cluster.BroadcastClientCount:
		c.heard(m.UID, m.Count)
	case cluster.BroadcastAck:
		c.answer(m.UID, m.Args.Args())
	}
}

// inquiry gathers one answer of each other node.
type inquiry struct {
	done chan struct{} // closed when all have answered

	mu      sync.Mutex
	roll    roll
	answers []*cluster.Message
}

// take keeps an answer that counts.
func (q *inquiry) take(m *cluster.Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.roll.answer(m.UID) {
		return
	}
	q.answers = append(q.answers, m)
	if q.roll.complete() {
		close(q.done)
	}
}

// result is what has come, and err or the roll's, if that is a timeout.
func (q *inquiry) result(err error) ([]*cluster.Message, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if errors.Is(err, ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
		err = q.roll.timeout()
	}
	return slices.Clip(q.answers), err
}

// ask puts a question to all other nodes and waits for their answers. The error
// is a *PartialError, ctx's or the cluster's, which comes at once.
func (n *Namespace) ask(ctx context.Context, t RequestType, m *cluster.Message) ([]*cluster.Message, error) {
	answers, err := n.askNodes(ctx, m)
	n.server.requestCounts.count(t, err, len(answers))
	return answers, err
}

// askNodes is ask that does not count.
func (n *Namespace) askNodes(ctx context.Context, m *cluster.Message) ([]*cluster.Message, error) {
	members, err := n.node.Members(ctx)
	if err != nil || members.Others == 0 {
		if errors.Is(err, context.DeadlineExceeded) {
			err = ErrTimeout
		}
		return nil, err
	}
	q := &inquiry{done: make(chan struct{})}
	q.roll.call(members)
	m.RequestID = n.requests.open(q)
	defer n.requests.close(m.RequestID)
	if err := n.node.Publish(m); err != nil {
		return nil, err
	}
	select {
	case <-q.done:
		return q.result(nil)
	case <-ctx.Done():
		return q.result(context.Cause(ctx))
	}
}

// roomOpened and roomClosed count the loops on which a room has members, and the
// joins that have not reached theirs, so that a broker may subscribe to a room at
// its first member of this node.
func (n *Namespace) roomOpened(name string) {
	if n.node == nil {
		return
	}
	n.openedMu.Lock()
	defer n.openedMu.Unlock()
	if n.opened[name]++; n.opened[name] == 1 {
		n.node.RoomJoined(name)
	}
}

func (n *Namespace) roomClosed(name string) {
	if n.node == nil {
		return
	}
	n.openedMu.Lock()
	defer n.openedMu.Unlock()
	if n.opened[name]--; n.opened[name] == 0 {
		delete(n.opened, name)
		n.node.RoomLeft(name)
	}
}

// roomsOpened and roomsClosed tell of several rooms.
func (n *Namespace) roomsOpened(names []string) {
	for _, name := range names {
		n.roomOpened(name)
	}
}

func (n *Namespace) roomsClosed(names []string) {
	for _, name := range names {
		n.roomClosed(name)
	}
}

// clusterState is a namespace's part in a cluster.
type clusterState struct {
	joined   chan struct{} // closed when node is set
	requests requests
	openedMu sync.Mutex
	opened   map[string]int // openedMu: loops with members, by room, and joins on their way
	ownRooms bool           // the broker wants to know of the rooms of sockets' ids
}

// clusterCounts are a server's losses between nodes, and its requests to them.
type clusterCounts struct {
	clusterLost    atomic.Uint64 // messages that could not be carried out or answered
	clusterRefused atomic.Uint64 // messages that made no sense
	clusterGaps    atomic.Uint64
	clusterGapLost atomic.Uint64
	requestCounts  requestCounts
}
