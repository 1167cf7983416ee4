package broker

import "context"

// TopicMembers knows which connections are in topics, on every node. It is kept apart from
// Presence, which knows the connections of users.
type TopicMembers interface {
	// Join attaches a node.
	Join(r TopicMembersReceiver) (TopicMembersNode, error)
}

// TopicMembersReceiver is what a node of TopicMembers does with what it is told of the
// topics that it watches. The functions are never called two at a time for one topic,
// and must not block.
type TopicMembersReceiver struct {
	// Changed is told of members that come or go, the node's own included.
	Changed func(topic string, m TopicMember, joined bool)
	// Missed is told where members may have come or gone without Changed: List knows.
	// nil: nobody wants to know.
	Missed func(topic string)
}

// TopicMember is a connection in a topic.
type TopicMember struct {
	User       string // "" for nobody
	Connection string
}

// TopicMembersNode is one node's part in a TopicMembers. Its methods are safe from any
// goroutine, a loop's included: but for those that take a context none blocks. A node
// that has died is forgotten, with its members, when its lease runs out.
type TopicMembersNode interface {
	// Enter and Exit tell that a connection has come into a topic, or gone. They take
	// effect soon, in the order of the calls; what could not be told is told again.
	// Errors are ErrOverflow, ErrUnavailable and ErrClosed.
	Enter(topic string, m TopicMember) error
	Exit(topic, connection string) error
	// Watch has the receiver told of a topic's members from soon on, until Unwatch: of all
	// that changes behind the first List of it.
	Watch(topic string)
	Unwatch(topic string)
	// List returns at most limit members of a topic, and how many there are, about.
	// Errors are ErrUnavailable, ErrClosed and ctx's.
	List(ctx context.Context, topic string, limit int) (members []TopicMember, total int, err error)
	// Leave takes back what Enter told.
	Leave(ctx context.Context) error
}
