package broker

import (
	"context"

	"github.com/fe4bcecb/wsd/codec/cluster"
)

// Cluster carries Socket.IO messages between nodes: broadcasts, and questions
// with their answers. An implementation chooses the bytes.
type Cluster interface {
	// Join attaches a node to a namespace. deliver gets the messages of the other
	// nodes, in order per sender, never two at a time, and answers to this node's
	// questions. It must not block for long, and does not: it hands on to loops.
	// It must not change a message.
	Join(namespace string, deliver func(*cluster.Message)) (ClusterNode, error)
}

// ClusterNode is a node's membership in one namespace of a Cluster. Its methods
// are safe from any goroutine, a loop's included: but for Nodes none blocks.
type ClusterNode interface {
	// UID is the node's name in this namespace, as Message.UID has it.
	UID() string
	// Publish sends a message to all other nodes of the namespace, those of one
	// caller in the order of the calls. Errors are ErrOverflow, ErrUnavailable
	// and ErrClosed; nil means that it is on its way, not that anybody got it.
	Publish(m *cluster.Message) error
	// Respond sends an answer to one node. Errors are Publish's.
	Respond(uid string, m *cluster.Message) error
	// Nodes is how many other nodes will answer a question. It may ask a server:
	// not to be called on a loop.
	Nodes(ctx context.Context) (int, error)
	// RoomJoined and RoomLeft tell that a room has its first member on this node,
	// or lost its last one: an implementation may subscribe room by room.
	RoomJoined(room string)
	RoomLeft(room string)
	// Health is like Node's.
	Health() Health
	// Leave ends the membership. deliver is not called after it has returned,
	// except that a call which already runs goes on. It may be called twice.
	Leave()
}
