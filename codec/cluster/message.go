// Package cluster is what the nodes of a Socket.IO cluster tell each other: the
// vocabulary of Node's adapters, and the bytes that each of them makes of it. It
// does no I/O.
//
// The kinds are those of socket.io-adapter's ClusterAdapter, which the sharded
// and the streams adapter send as they are. What the classic adapter asks beyond
// them can be said in them: the ids of the sockets in some rooms (SOCKETS) and
// all rooms (ALL_ROOMS) are in the answers to [FetchSockets], and a join, leave
// or disconnect of one socket has its id as the only room of Options.
//
// # What is written
//
// Bytes are those of Node's current versions, to the order of keys: testdata has
// what they sent. One message that lacks something makes all Node servers deaf,
// ends them, or keeps them spinning, so nothing is written that lacks what its
// kind needs, is not JSON, is nested beyond 1,024 levels, or bears a name that
// means something to clients or servers themselves.
//
// # What is read
//
// Reading takes all that Node takes, with these exceptions. Packets must be events,
// because clients close their connection at others; the name of one must not be
// reserved, for the same reason. A request id of null is none. Rooms that are
// neither text nor numbers are malformed, and numbers become text in decimal
// form: a room 42 of Node is "42" here, but "42" is not 42 to Node. Dates become
// text, undefined becomes null or is left out, and binary data in the description
// of a socket becomes what JSON.stringify makes of a Buffer.
//
// Namespaces are compared where the wire has them beside a channel; UIDs are up
// to the caller, who drops what is its own.
package cluster

import "github.com/fe4bcecb/wsd/codec/sio"

// Kind is what a message asks or answers.
type Kind uint8

// The kinds. Those that end in Response or Ack, and BroadcastClientCount, go to
// the node that asked; the others go to all other nodes of a namespace.
const (
	// Broadcast sends Packet to the sockets that Options names. With a RequestID
	// each node answers with BroadcastClientCount, and with a BroadcastAck for
	// each client's acknowledgement.
	Broadcast Kind = iota + 1
	// SocketsJoin puts the sockets that Options names into Rooms.
	SocketsJoin
	// SocketsLeave takes them out.
	SocketsLeave
	// DisconnectSockets disconnects them, and with Close their connections.
	DisconnectSockets
	// FetchSockets asks for a description of them.
	FetchSockets
	// FetchSocketsResponse answers with Sockets.
	FetchSocketsResponse
	// ServerSideEmit is the event Args (its name first) for the other nodes
	// themselves. With a RequestID they answer.
	ServerSideEmit
	// ServerSideEmitResponse answers with Args.
	ServerSideEmitResponse
	// BroadcastClientCount tells how many clients got a Broadcast: Count.
	BroadcastClientCount
	// BroadcastAck is one client's acknowledgement: Args, one at most.
	BroadcastAck
	// InitialHeartbeat tells that a node has come and wants to hear of the
	// others, Heartbeat that it is there, and AdapterClose that it goes. They are
	// for implementations that count nodes so: no namespace sends or gets them.
	InitialHeartbeat
	Heartbeat
	AdapterClose
)

var kinds = [...]string{
	Broadcast:              "broadcast",
	SocketsJoin:            "sockets join",
	SocketsLeave:           "sockets leave",
	DisconnectSockets:      "disconnect sockets",
	FetchSockets:           "fetch sockets",
	FetchSocketsResponse:   "fetch sockets response",
	ServerSideEmit:         "server-side emit",
	ServerSideEmitResponse: "server-side emit response",
	BroadcastClientCount:   "broadcast client count",
	BroadcastAck:           "broadcast ack",
	InitialHeartbeat:       "initial heartbeat",
	Heartbeat:              "heartbeat",
	AdapterClose:           "adapter close",
}

// String is the kind in words, for logs.
func (k Kind) String() string {
	if int(k) < len(kinds) && kinds[k] != "" {
		return kinds[k]
	}
	return "unknown"
}

// Response reports whether messages of the kind go to the node that asked.
func (k Kind) Response() bool {
	switch k {
	case FetchSocketsResponse, ServerSideEmitResponse, BroadcastClientCount, BroadcastAck:
		return true
	}
	return false
}

// Message is one message between the nodes of a namespace. Nobody changes it, or
// what it points to, once it was sent. Which fields matter depends on Kind.
type Message struct {
	Kind      Kind
	UID       string // of the sending node
	Namespace string
	RequestID string // "" when no answer is wanted
	Offset    string // its place in the log that carried it; "" without one

	Options Options
	Packet  Packet      // Broadcast
	Rooms   []string    // SocketsJoin, SocketsLeave
	Close   bool        // DisconnectSockets
	Sockets []Socket    // FetchSocketsResponse
	Args    sio.Payload // ServerSideEmit and the answers
	Count   int         // BroadcastClientCount
}

// Packet is what a Broadcast carries: its namespace is the message's.
type Packet struct {
	Type    sio.Type
	ID      uint64 // of the sender's acknowledgement; other nodes use their own
	HasID   bool
	Payload sio.Payload
}

// Options say which sockets a message is for: those in any of Rooms (all, when
// there are none) and in none of Except.
type Options struct {
	Rooms, Except []string
	Flags         Flags
}

// Flags change how a Broadcast is sent.
type Flags struct {
	Volatile             bool
	Compress             *bool // nil: not said
	Timeout              int64 // of acknowledgements, in milliseconds; 0: not said
	ExpectSingleResponse bool
}

// Socket describes a socket: the answer to FetchSockets.
type Socket struct {
	ID        string
	Rooms     []string
	Handshake []byte // JSON of Node's shape
	Data      []byte // JSON
}
