// Package broker carries messages between nodes. It defines the seam and the
// in-memory implementation; docs/architecture.md gives its guarantees.
package broker

import (
	"errors"
	"time"
)

var (
	// ErrClosed says that the broker was closed.
	ErrClosed = errors.New("broker: closed")
	// ErrOverflow says that the broker's bounded queue is full: the message was
	// not taken and reaches no other node.
	ErrOverflow = errors.New("broker: queue full")
	// ErrUnavailable says that the broker cannot reach the other nodes.
	ErrUnavailable = errors.New("broker: unavailable")
)

// Message is one publication.
type Message struct {
	Topic string
	// Data is the payload as the publisher sent it, without framing. It is
	// valid until the call that carries it returns.
	Data []byte
	// Binary tells a binary message from a text.
	Binary bool
}

// Deliver receives a message that another node published. It is called in the
// order of each publisher, never by two goroutines for one topic at a time, and
// must not block.
type Deliver func(Message)

// Topics carries raw topics between nodes. Every method is safe from any
// goroutine, and none blocks on the network: an event loop calls them.
//
// Messages of one publisher arrive in the order of its Publish calls. A message
// arrives at most once, at every node whose subscription was established
// before it was published, and never at the node that published it.
type Topics interface {
	// Join attaches a node: from now on deliver gets what it subscribes to.
	Join(deliver Deliver) (Node, error)
	// Close detaches all nodes.
	Close() error
}

// Node is one node's membership.
type Node interface {
	// Subscribe asks for a topic's messages; the engine calls it at the first
	// local subscriber. It takes effect soon, in order with Unsubscribe.
	Subscribe(topic string)
	// Unsubscribe says that no local subscriber is left. An implementation may
	// release the topic late.
	Unsubscribe(topic string)
	// Publish hands a message to the other nodes. ErrOverflow, ErrUnavailable
	// and ErrClosed mean that it was not taken.
	Publish(Message) error
	// Health tells whether messages really pass.
	Health() Health
	// Leave ends the membership. deliver is not called after it returns.
	Leave() error
}

// Health is a node's view of its broker.
type Health struct {
	// Up is true while messages pass to and from the other nodes.
	Up bool
	// Reason says in one sentence why Up is false.
	Reason string
	// Lag is the time that a probe last took through the publish path and back;
	// zero where publishing is a function call.
	Lag time.Duration
	// Lost counts messages that were refused or known to be missed.
	Lost uint64
}
