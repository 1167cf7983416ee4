package broker

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/fe4bcecb/wsd/codec/cluster"
)

// MaxUserLen is the longest id of a user in bytes.
const MaxUserLen = 256

// ErrUser is an id of a user that is empty, longer than MaxUserLen, or would
// collide with a key that has a meaning of its own ("connections").
var ErrUser = errors.New("broker: illegal user id")

// ErrServer is a server's name that is empty, longer than MaxServerLen, or
// another node's.
var ErrServer = errors.New("broker: the server's name is not usable")

// MaxServerLen is the longest name of a server in bytes.
const MaxServerLen = 256

// CheckServer returns ErrServer for a name that no server may have.
func CheckServer(name string) error {
	if name == "" || len(name) > MaxServerLen {
		return ErrServer
	}
	return nil
}

// CheckUser returns ErrUser for an id that no user may have.
func CheckUser(id string) error {
	if id == "" || len(id) > MaxUserLen || id == "connections" {
		return ErrUser
	}
	return nil
}

// Presence knows which users are connected where, on every node, and carries
// messages to single nodes.
type Presence interface {
	// Join attaches a node by its server's name, which is unique among the nodes.
	// direct gets what other nodes send to this one, never two at a time; it must
	// not block for long. Join does not block. The error is ErrServer, ErrClosed or
	// the implementation's. Where only a server can tell that the name is another
	// node's, Health says so, and the node is not among the Servers.
	Join(server string, direct func(*cluster.Message)) (PresenceNode, error)
}

// PresenceNode is one node's part in a Presence. Its methods are safe from any
// goroutine, a loop's included: but for those that take a context none blocks.
//
// A user is online while one of its connections is, on any node. A node that has
// died is forgotten, with its users, when its lease runs out.
type PresenceNode interface {
	// Enter and Exit tell that a connection of a user has come or gone. They take
	// effect soon, in the order of the calls. A connection that enters again has a
	// new At; Exit of one that has not entered does nothing. Errors are ErrUser, ErrOverflow,
	// ErrUnavailable and ErrClosed. What could not be told is told again when the
	// broker is back.
	Enter(user, connection string, at time.Time) error
	Exit(user, connection string) error
	// Lookup returns a user's connections, on every node, the oldest first. The
	// answer may be as old as the implementation's staleness bound. Errors are
	// ErrUser, ErrUnavailable, ErrClosed and ctx's.
	Lookup(ctx context.Context, user string) ([]Connection, error)
	// Servers returns the nodes that are alive, this one included.
	Servers(ctx context.Context) ([]ServerInfo, error)
	// Send hands a message, a complete cluster.Broadcast, to one node's direct, in
	// the order of the calls. The message is not changed afterwards. Errors are
	// ErrOverflow, ErrUnavailable, ErrClosed and cluster.ErrMessage; nil means that
	// it is on its way. A node that is not there gets nothing.
	Send(server string, m *cluster.Message) error
	// SendThen is Send that tells what becomes of the message: done, unless there is an
	// error, is called once, with what [ClusterNode].PublishThen says of errors, perhaps
	// before SendThen returns and perhaps on a goroutine of the broker: it must not block.
	SendThen(server string, m *cluster.Message, done func(error)) error
	// Health tells whether the node's lease stands.
	Health() Health
	// Leave takes back what Enter told, and the lease. An error means that others
	// forget this node only when its lease runs out. Calling it again does nothing.
	Leave(ctx context.Context) error
}

// Connection is one connection of a user.
type Connection struct {
	ID     string // of the socket
	Server string // the node's name
	At     time.Time
	// Foreign is true where no node of a Presence has told of it, but a program
	// that writes the same keys, such as a Node server.
	Foreign bool
}

// CompareConnections puts the oldest first; connections of one moment are in the
// order of their ids.
func CompareConnections(a, b Connection) int {
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
}

// ServerInfo describes a node.
type ServerInfo struct {
	Name    string
	Started time.Time
	// UIDs are the node's names in the namespaces of a Cluster, by namespace.
	UIDs map[string]string
}
