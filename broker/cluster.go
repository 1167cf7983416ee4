package broker

import (
	"context"
	"errors"
	"time"

	"github.com/fe4bcecb/wsd/codec/cluster"
)

// Cluster carries Socket.IO messages between nodes: broadcasts, and questions
// with their answers. An implementation chooses the bytes. Its methods are safe
// from any goroutine.
//
// Messages that one node publishes in a namespace arrive at every other node in
// the order of the Publish calls, and answers of one node to another in the order
// of its Respond calls; nothing is said of one against the other. Where requests
// have a way of their own, as in the wire of Node's streams adapter, they keep the
// order among themselves, and do not come before what was published before them,
// but what was published after one may.
//
// A message arrives at most once, at the nodes that had joined before it was
// published, and never at the node that sent it. Namespaces do not hear each other.
type Cluster interface {
	// Join attaches a node to a namespace. A namespace of one process is one node:
	// joined twice, it is two.
	//
	// It does not block: what the membership needs of a server follows soon.
	//
	// The error is ErrClosed or the implementation's.
	Join(namespace string, r ClusterReceiver) (ClusterNode, error)
}

// ClusterReceiver is what a node does with what it is given.
type ClusterReceiver struct {
	// Deliver gets the messages of the other nodes, never two at a time, and
	// perhaps before Join has returned. All of them passed [cluster.Message.Check].
	// It must not change a message, nor block for long: the node's other messages
	// wait behind it. It may keep a message, and call the methods of the node.
	Deliver func(*cluster.Message)
	// Gap is told when messages were lost, in their place among the calls of
	// Deliver. nil: nobody wants to know.
	Gap func(Gap)
}

// Members are the other nodes of a namespace that will answer a question.
type Members struct {
	// Others is how many.
	Others int
	// UIDs are those whose names are known; Node's servers need not be among them.
	UIDs []string
}

// ClusterNode is a node's membership in one namespace of a Cluster. Its methods
// are safe from any goroutine, a loop's included: but for Members none blocks.
type ClusterNode interface {
	// UID is the node's name in this namespace, as Message.UID has it. It is never
	// empty, and never that of another node.
	UID() string
	// Publish sends a message, whose UID and Namespace are the node's, to all other
	// nodes of the namespace. The message belongs to the cluster from then on:
	// neither it nor what it points to is changed again.
	//
	// Errors are ErrOverflow, ErrUnavailable, ErrClosed after Leave, and
	// cluster.ErrMessage for one that is incomplete or an answer. nil means that it
	// is on its way, not that anybody got it; with ErrOverflow some may have.
	Publish(m *cluster.Message) error
	// PublishThen is Publish of a Broadcast that asks for no answers, whose sender
	// wants to know what becomes of it: done, unless there is an error, is called
	// once, with "" or the offset in a [ClusterLog] when the broker has taken the
	// message. Its error wraps ErrUnavailable or ErrClosed if the broker surely has
	// not; any other leaves that open. That the other nodes got it nobody tells.
	//
	// Calls of done come in the order of the calls, perhaps before PublishThen
	// returns and perhaps on a goroutine of the broker: it must not block.
	PublishThen(m *cluster.Message, done func(offset string, err error)) error
	// Respond sends an answer to the node that asked, by Message.UID of its
	// question. If that has left, nothing happens. Errors and the rest are as for
	// Publish.
	Respond(uid string, m *cluster.Message) error
	// Members tells which other nodes will answer a question that is published now.
	// It may ask a server, and waits until answers can reach this node: not to be
	// called on a loop. Errors are ErrUnavailable, ErrClosed and ctx's.
	Members(ctx context.Context) (Members, error)
	// RoomJoined and RoomLeft tell that a room has its first member on this node,
	// or lost its last one, in this order for each room: an implementation may
	// subscribe room by room. The room of a socket's own id is not told, but to a
	// [ClusterPrivate].
	RoomJoined(room string)
	RoomLeft(room string)
	// Health tells whether messages really pass. Lost counts those that were
	// refused or dropped for this node.
	Health() Health
	// Leave ends the membership. Messages that wait for Deliver are dropped; one
	// call of it at most is still under way when Leave returns. It may be called
	// twice, and from Deliver.
	Leave()
}

// ClusterPrivate is a [ClusterNode] that may subscribe to the rooms of sockets'
// own ids, too.
type ClusterPrivate interface {
	ClusterNode
	// OwnRooms reports whether RoomJoined and RoomLeft shall tell of these. It says
	// the same as long as the node lives.
	OwnRooms() bool
}

// ClusterLog is a [ClusterNode] that keeps what is broadcast for a while, and the
// sessions of clients that went away: connection state recovery works on any
// node then. Broadcasts that are delivered and ask for no answers carry their
// Offset: an id like a Redis stream's, "<milliseconds>-<number>", that grows along
// the log.
type ClusterLog interface {
	ClusterNode
	// Append is Publish of a Broadcast that asks for no answers. done is called
	// once, with the message's offset, when the log has it; with an error when it
	// has not, or that is not known. Calls of done come in the order of the calls
	// of Append, not while Append runs, and must not block. An error of Append
	// means that done is not called.
	//
	// done is called in the message's place among the calls of Deliver, so that a
	// node is told of all messages in the order of their offsets: a client that got
	// one has got all before it that were for it, and may ask for what came after.
	Append(m *cluster.Message, done func(offset string, err error)) error
	// StoreSession keeps the state of a client that went away, for at most ttl.
	// Like Publish it does not wait; losses are counted.
	StoreSession(s *cluster.Session, ttl time.Duration) error
	// RestoreSession takes a session, and reads what was broadcast after an
	// offset. Nobody gets a session twice. The error is ErrNoSession if there is
	// none or the log does not reach back, ErrOffset for no offset of this log,
	// ErrUnavailable, ErrClosed or ctx's. It blocks: not to be called on a loop.
	RestoreSession(ctx context.Context, pid, offset string) (*cluster.Session, Missed, error)
	// MissedSince reads on from Missed.Last, for the same session. Errors are
	// RestoreSession's.
	MissedSince(ctx context.Context, s *cluster.Session, offset string) (Missed, error)
}

// Missed is what a session has not got.
type Missed struct {
	// Messages are the broadcasts for the session's rooms, each with its Offset,
	// in the order of the log. Volatile ones and those that ask for answers are
	// not among them.
	Messages []*cluster.Message
	// Last is how far the log was read: everything up to this offset that was for
	// the session is in Messages, or was there before.
	Last string
}

// ErrNoSession says that a session can't be restored.
var ErrNoSession = errors.New("broker: no such session, or its messages are gone")
