package broker

import (
	"context"

	"github.com/fe4bcecb/wsd/codec/cluster"
)

// Cluster carries Socket.IO messages between nodes: broadcasts, and questions
// with their answers. An implementation chooses the bytes. Its methods are safe
// from any goroutine.
//
// Messages that one node publishes in a namespace arrive at every other node in
// the order of the Publish calls, and answers of one node to another in the order
// of its Respond calls; nothing is said of one against the other. A message
// arrives at most once, at the nodes that had joined before it was published, and
// never at the node that sent it. Namespaces do not hear each other.
type Cluster interface {
	// Join attaches a node to a namespace. A namespace of one process is one node:
	// joined twice, it is two.
	//
	// deliver gets the messages of the other nodes, never two at a time, and
	// perhaps before Join has returned. All of them passed [cluster.Message.Check].
	// It must not change a message, nor block for long: the node's other messages
	// wait behind it. It may keep a message, and call the methods of the node.
	//
	// The error is ErrClosed, ErrUnavailable or the implementation's.
	Join(namespace string, deliver func(*cluster.Message)) (ClusterNode, error)
}

// ClusterNode is a node's membership in one namespace of a Cluster. Its methods
// are safe from any goroutine, a loop's included: but for Nodes none blocks.
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
	// Respond sends an answer to the node that asked, by Message.UID of its
	// question. If that has left, nothing happens. Errors and the rest are as for
	// Publish.
	Respond(uid string, m *cluster.Message) error
	// Nodes is how many other nodes will answer a question that is published now.
	// It may ask a server: not to be called on a loop. Errors are ErrUnavailable,
	// ErrClosed and ctx's.
	Nodes(ctx context.Context) (int, error)
	// RoomJoined and RoomLeft tell that a room has its first member on this node,
	// or lost its last one, in this order for each room: an implementation may
	// subscribe room by room. The room of a socket's own id is not told.
	RoomJoined(room string)
	RoomLeft(room string)
	// Health tells whether messages really pass. Lost counts those that were
	// refused or dropped for this node.
	Health() Health
	// Leave ends the membership. Messages that wait for deliver are dropped; one
	// call of it at most is still under way when Leave returns. It may be called
	// twice, and from deliver.
	Leave()
}
