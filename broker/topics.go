// Package broker carries messages between nodes. It defines the seam and the
// in-memory implementation; docs/architecture.md gives its guarantees.
package broker

import (
	"context"
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
	// ErrNoHistory says that a topic keeps no history.
	ErrNoHistory = errors.New("broker: topic keeps no history")
	// ErrOffset says that an offset is none of this broker's.
	ErrOffset = errors.New("broker: malformed offset")
)

// HistoryBytes is how much data of messages a reply of Node.History has at most, but
// for a single message that is longer.
const HistoryBytes = 256 << 10

// Message is one publication.
type Message struct {
	Topic string
	// Data is the payload as the publisher sent it, without framing. It is
	// valid until the call that carries it returns.
	Data []byte
	// Binary tells a binary message from a text.
	Binary bool
	// Offset is the message's place in its topic's log, on delivery; "" for a
	// topic that keeps no history.
	Offset string
}

// TopicsReceiver is what a node of Topics does with what it is given.
type TopicsReceiver struct {
	// Deliver receives a message that another node published. It is called in
	// the order of each publisher, never by two goroutines for one topic at a
	// time, and must not block.
	Deliver func(Message)
	// Own receives the node's own messages of topics that keep history, while it is
	// subscribed to them, where Deliver would have received another node's: both
	// together come in the order of the log. nil: they are not wanted.
	Own func(Message)
	// Gap is told when messages of a topic were lost; topic "" stands for every
	// topic that is subscribed to. It is called where Deliver would have been,
	// and must not block. nil: nobody wants to know.
	Gap func(topic string, g Gap)
}

// Topics carries raw topics between nodes. Every method is safe from any
// goroutine, and none blocks on the network unless it takes a context: an event
// loop calls them.
//
// Messages of one publisher arrive in the order of its Publish calls. A message
// arrives at most once, at every node whose subscription was established
// before it was published, and never at the node that published it. What is lost
// on the way is told by TopicsReceiver.Gap and counted in Health.Lost.
type Topics interface {
	// Join attaches a node: from now on r gets what it subscribes to.
	Join(r TopicsReceiver) (Node, error)
	// Close detaches all nodes.
	Close() error
}

// Node is one node's membership.
type Node interface {
	// Subscribe asks for a topic's messages; the engine calls it at the first
	// local subscriber. It takes effect soon, in order with Unsubscribe.
	Subscribe(topic string)
	// Ready returns when the subscription of a topic has taken effect: what is
	// published from then on is delivered. Errors are ErrClosed, also for a topic
	// that is not subscribed to, or no longer, and ctx's. It blocks: not to be
	// called on a loop.
	Ready(ctx context.Context, topic string) error
	// Unsubscribe says that no local subscriber is left. An implementation may
	// release the topic late.
	Unsubscribe(topic string)
	// Publish hands a message to the other nodes. ErrOverflow, ErrUnavailable
	// and ErrClosed mean that it was not taken; nil that it is on its way.
	Publish(Message) error
	// PublishWait is Publish that returns when the broker has the message. offset
	// is its place in the topic's log, "" for a topic that keeps no history. An
	// error other than ErrOverflow, ErrUnavailable and ErrClosed (ctx's, say)
	// leaves open whether the broker took it. It blocks: not to be called on a
	// loop.
	PublishWait(ctx context.Context, m Message) (offset string, err error)
	// PublishThen is PublishWait that does not block: done, unless there is an error,
	// is called once, in the order of the topic's publications, perhaps before
	// PublishThen returns and perhaps on a goroutine of the broker: it must not block.
	PublishThen(m Message, done func(offset string, err error)) error
	// Keeps reports whether a topic keeps history.
	Keeps(topic string) bool
	// History returns what a topic's log keeps after an offset ("": from its
	// beginning), the oldest first, at most limit messages and HistoryBytes (the
	// newest, if since is ""). The offset "0-0" is before any log's first message.
	// Errors are ErrNoHistory for a topic that keeps none, ErrOffset, ErrUnavailable,
	// ErrClosed and ctx's. It blocks: not to be called on a loop.
	History(ctx context.Context, topic, since string, limit int) (History, error)
	// Health tells whether messages really pass.
	Health() Health
	// Leave ends the membership. Deliver is not called after it returns.
	Leave() error
}

// History is a part of a topic's log.
type History struct {
	Messages []Message
	// Complete is true when nothing is missing between the offset that was asked
	// for and the first message; it is false when the log was trimmed beyond it,
	// or began anew: the messages are then what the log has. Where no offset was
	// asked for, it is true when the messages begin with the log's first.
	Complete bool
	// More is true when the limit, or HistoryBytes, kept some of the newest back.
	More bool
	// Last is the offset of the log's newest message, perhaps one that is kept no
	// longer; "" when there is none.
	Last string
}

// Retention is how much of a topic's history is kept; at least one is above 0.
type Retention struct {
	Messages int           // the newest ones, about; 0: any number
	Age      time.Duration // not older than this, about; 0: any age
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
	// Gaps counts the times that messages were lost, or may have been: what
	// receivers were told as Gap.
	Gaps uint64
}
