package vectors

import (
	"encoding/json"
	"testing"
)

// server is a Socket.IO server under replay, with one of the apps.
type server interface {
	addr() string // host:port

	emit(t *testing.T, e emission)
	join(t *testing.T, socket, room string)
	kick(t *testing.T, close bool) // disconnects all sockets
	shutdown(t *testing.T)         // closes the server, as Node's io.close()

	// parked says whether a GET, or a POST whose body is incomplete, waits at
	// the server in the session.
	parked(t *testing.T, method, sid string) bool
	// sessions is the number of open Engine.IO sessions.
	sessions(t *testing.T) int

	// events are what the handlers saw so far, numbered by socket; see numbered.
	events(t *testing.T) []event
	// observed reduces an event of the transcript to what this server's API
	// tells of it; nil: nothing.
	observed(e event) event

	close(t *testing.T)
}

// setup says which server a transcript had, beyond its serverOptions.
type setup struct {
	style   string // transport or sessions: what is recorded
	app     string // of apps.mjs and apps_test.go
	options json.RawMessage
	refuse  *refusal // allowRequest refuses
	msgpack bool
	// attachments is what wsd's MaxAttachments is set to: by default it does not
	// emit more than clients take, as Node does.
	attachments int
}

// refusal is what allowRequest says; an empty message is Forbidden.
type refusal struct {
	Message string `json:"message,omitempty"`
}

// emission is an event that the server sends on its own, to a socket, to a room
// or to all.
type emission struct {
	Socket   string `json:"socket,omitempty"`
	Room     string `json:"room,omitempty"`
	Volatile bool   `json:"volatile,omitempty"`
	Ack      bool   `json:"ack,omitempty"`
	Args     []any  `json:"args"` // []byte as bin
}

// bin is an argument of bytes.
type bin []byte

func (b bin) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"$bin": hexString(b)})
}

// targets are the servers of every replay.
var targets = []struct {
	name  string
	start func(*testing.T, setup) server
}{
	{"node", startNode},
	{"wsd", startWSD},
	{"wsd inline", startInlineWSD},
}
