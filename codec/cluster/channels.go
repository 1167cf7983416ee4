package cluster

import "strings"

// Channels are the names of the channels of one namespace: those of the classic,
// the sharded and the streams adapter, which are the same but for what is sent
// through them. Adapters of different kinds must not share a Prefix.
type Channels struct {
	Prefix    string // Node's default: "socket.io"
	Namespace string // with its slash
}

// Broadcast is the channel for all nodes: of broadcasts with the classic adapter,
// of everything public with the others.
func (c Channels) Broadcast() string { return c.Prefix + "#" + c.Namespace + "#" }

// Room is the channel of broadcasts to just one room.
func (c Channels) Room(room string) string { return c.Broadcast() + room + "#" }

// Node is the channel of the answers to a node, with the sharded and the streams
// adapter.
func (c Channels) Node(uid string) string { return c.Room(uid) }

// Pattern matches Broadcast and all of Room. Node does not escape what is special
// in a pattern, and so gets what is for others; it looks again on arrival.
func (c Channels) Pattern() string { return glob.Replace(c.Broadcast()) + "*" }

// glob escapes what is special to PSUBSCRIBE.
var glob = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

// Request is the channel of the classic adapter's requests.
func (c Channels) Request() string { return c.Prefix + "-request#" + c.Namespace + "#" }

// Response is the channel of the classic adapter's responses, to all nodes.
func (c Channels) Response() string { return c.Prefix + "-response#" + c.Namespace + "#" }

// NodeResponse is the channel of responses to one node only: every classic node
// from 7.1 on listens there, and answers there if it is told to.
func (c Channels) NodeResponse(uid string) string { return c.Response() + uid + "#" }

// RoomOf returns the room of a channel that Pattern matched: "" is the channel
// of all rooms. ok is false if the channel is not the namespace's.
func (c Channels) RoomOf(channel string) (room string, ok bool) {
	rest, ok := strings.CutPrefix(channel, c.Prefix)
	if !ok {
		return "", false
	}
	if rest, ok = strings.CutPrefix(rest, "#"); !ok {
		return "", false
	}
	if rest, ok = strings.CutPrefix(rest, c.Namespace); !ok {
		return "", false
	}
	if rest, ok = strings.CutPrefix(rest, "#"); !ok || rest == "" {
		return "", ok
	}
	return strings.CutSuffix(rest, "#")
}
