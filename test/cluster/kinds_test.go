package cluster

import (
	"os"
	"slices"
)

// kind is a sort of cluster: an adapter with options.
type kind struct {
	name  string
	title string   // in the table
	args  []string // of every server
}

var kinds = []kind{
	{"classic", "classic", []string{"--adapter", "classic"}},
	{"classic-specific", "classic, specific responses", []string{"--adapter", "classic", "--specific-responses"}},
	{"sharded-static", "sharded, static", []string{"--adapter", "sharded", "--subscription-mode", "static"}},
	{"sharded-dynamic", "sharded, dynamic", []string{"--adapter", "sharded", "--subscription-mode", "dynamic"}},
	{"sharded-dynamic-private", "sharded, dynamic-private", []string{"--adapter", "sharded", "--subscription-mode", "dynamic-private"}},
	{"streams", "streams", []string{"--adapter", "streams"}},
	{"streams-4", "streams, streamCount 4", []string{"--adapter", "streams", "--stream-count", "4"}},
}

// some are kinds that stand for all of them where all would take too long; with
// WSD_LONG it is all.
func some(names ...string) []kind {
	if os.Getenv("WSD_LONG") != "" {
		return kinds
	}
	return slices.DeleteFunc(slices.Clone(kinds), func(k kind) bool { return !slices.Contains(names, k.name) })
}

// call is a call of the adapters' API; js/checks/calls.mjs has its check.
type call struct {
	name  string
	title string // in the table
	// not are the kinds whose Node servers can't do it.
	not []string
}

var (
	classicKinds = []string{"classic", "classic-specific"}
	dynamicKinds = []string{"sharded-dynamic", "sharded-dynamic-private"}
	otherKinds   = []string{"sharded-static", "sharded-dynamic", "sharded-dynamic-private", "streams", "streams-4"}
	allKinds     = slices.Concat(classicKinds, otherKinds)
)

var calls = []call{
	{"emit", "`io.emit`", nil},
	{"emitToRoom", "`io.to(room).emit`", nil},
	{"emitToRooms", "`io.to([room, room]).emit`", nil},
	{"emitToSocket", "`io.to(socket.id).emit`", nil},
	{"emitToEmptyRoom", "`io.to(room).emit`, an empty room", nil},
	{"except", "`io.except(room).emit`", nil},
	{"exceptRooms", "`io.except([room, socket.id]).emit`", nil},
	{"roomExcept", "`io.to(room).except(room).emit`", nil},
	{"socketBroadcast", "`socket.broadcast.emit`", nil},
	{"socketTo", "`socket.to(room).emit`", nil},
	{"socketToExcept", "`socket.to([room, room]).except(…).emit`", nil},
	{"socketLocal", "`socket.local.emit` stays on its node", nil},
	{"local", "`io.local.emit` stays on its node", nil},
	{"binary", "binary", nil},
	{"nestedBinary", "binary deep in objects and lists", nil},
	{"kindsOfValues", "every kind of value", nil},
	{"noValues", "an event without arguments", nil},
	{"large", "300 kB of text and of binary", nil},
	{"compress", "`io.compress(false).emit`", nil},
	{"roomNames", "names of rooms with `#`, `*`, spaces, …", nil},
	{"volatile", "`io.volatile.emit`", nil},
	{"order", "200 events in their order", nil},
	{"ack", "`io.to(room).timeout(ms).emitWithAck`, all answer", nil},
	{"ackValues", "— every kind of value in an answer", nil},
	{"ackBinary", "— binary in answers", nil},
	{"ackTimeout", "— somebody does not answer", nil},
	{"ackOfNobody", "— a room without members", nil},
	{"ackExcept", "— with `except`", nil},
	{"fetchSockets", "`io.in(room).fetchSockets`: ids, rooms, data, handshake", nil},
	{"fetchAll", "`io.fetchSockets`", nil},
	{"fetchExcept", "`io.in(room).except(…).fetchSockets`", nil},
	{"fetchNobody", "`io.in(room).fetchSockets`, an empty room", nil},
	{"fetchLocal", "`io.local.fetchSockets` stays on its node", nil},
	{"socketsJoin", "`io.in(room).except(…).socketsJoin`", nil},
	{"allSocketsJoin", "`io.socketsJoin`", nil},
	{"socketsLeave", "`io.in(room).socketsLeave`", nil},
	{"joinThenEmit", "`socketsJoin`, then `emit` at once", dynamicKinds},
	{"disconnectSockets", "`io.in(room).disconnectSockets()`", nil},
	{"disconnectAndClose", "`io.in(room).disconnectSockets(true)`", nil},
	{"remoteEmit", "`remoteSocket.emit`", nil},
	{"remoteJoin", "`remoteSocket.join`", nil},
	{"remoteLeave", "`remoteSocket.leave`", nil},
	{"remoteDisconnect", "`remoteSocket.disconnect`", nil},
	{"serverSideEmit", "`io.serverSideEmit`", nil},
	{"serverSideBinary", "— with binary", classicKinds},
	{"serverSideAck", "`io.serverSideEmitWithAck`", nil},
	{"allRooms", "`adapter.allRooms`", otherKinds},
	// In TestRecovery only.
	{"recovery", "connection state recovery: events, rooms, data, id", allKinds},
	{"recoveryTwice", "— what was recovered has offsets", allKinds},
	{"recoveryRefused", "— refused when the session is gone", allKinds},
}

// broadcastCalls are those without an answer, and tellCalls those that do
// something to sockets; npm's emitter can do both, and more of what crosses
// nodes only.
var (
	broadcastCalls = []string{
		"emit", "emitToRoom", "emitToRooms", "emitToSocket", "emitToEmptyRoom", "except", "exceptRooms", "roomExcept",
		"socketBroadcast", "socketTo", "socketToExcept", "socketLocal", "local",
		"binary", "nestedBinary", "kindsOfValues", "noValues", "large", "compress", "roomNames", "volatile", "order",
	}
	tellCalls = []string{
		"socketsJoin", "allSocketsJoin", "socketsLeave", "joinThenEmit", "disconnectSockets", "disconnectAndClose",
	}
	emitterCalls = append(slices.DeleteFunc(slices.Concat(broadcastCalls, tellCalls), func(name string) bool {
		return slices.Contains([]string{"socketBroadcast", "socketTo", "socketToExcept", "socketLocal", "local"}, name)
	}), "serverSideEmit")
)

// callsOf are the names of the calls that a kind's servers can do.
func callsOf(kind string) (names []string) {
	for _, c := range calls {
		if !slices.Contains(c.not, kind) {
			names = append(names, c.name)
		}
	}
	return names
}
