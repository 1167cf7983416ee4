package vectors

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// transcript is what all kinds have in common.
type transcript struct {
	Name          string
	ServerOptions json.RawMessage
	ServerEvents  []event
}

// event is something that a server's handlers saw.
type event map[string]any

// httpTranscript is a series of requests, each on a connection of its own.
type httpTranscript struct {
	transcript
	Steps []step
}

// step is one request and its answer; strings hold bytes as Latin-1.
type step struct {
	Label      string
	Request    string
	Response   string
	Connection string // what ended the reading of the answer

	// Instead of Response, for long ones:
	ResponseHead string
	BodyBytes    int
	BodyStart    string // in hex, with the chunk's size line if there is one

	// Of an upgrade's timeline: what happened on a WebSocket.
	Events []frame
}

// websocketTranscript is the life of one WebSocket connection.
type websocketTranscript struct {
	transcript
	Events []frame
}

// frame is one event on a WebSocket.
type frame struct {
	Dir      string // send, recv, or measure
	Kind     string // http, text, binary, close, pong, rawbytes, tcp-close; of a sent control frame, a description
	Raw      string // of kind http
	Data     string // of kind text
	Hex      string // payload of other frames
	Text     string // of kind rawbytes, as Latin-1
	Code     int
	Reason   string
	Rsv1     bool
	FrameHex string // the whole frame, unless it is long
}

// upgradeTranscript is a session that goes from polling to WebSocket.
type upgradeTranscript struct {
	transcript
	Timeline []step
}

// sessionTranscript is a Socket.IO session behind the Engine.IO handshake, as a
// raw client or as npm socket.io-client led it.
type sessionTranscript struct {
	transcript
	Frames                     []frame
	ReconnectOk                []frame
	ReconnectWithUnknownOffset []frame

	EnginePackets []enginePacket // of the JS client
	Requests      []cookieRequest
}

// enginePacket is an Engine.IO packet between the JS client and its server.
type enginePacket struct {
	From      string // client or server
	Transport string
	Type      string
	Data      any // string, or {"$bin": hex}
	Note      string
}

// cookieRequest is a request of the JS client, as far as cookies go.
type cookieRequest struct {
	Method, Transport string
	HasSid            bool
	Cookie, SetCookie string // with <sid> for the session's id
}

type engineFile struct {
	HTTP      []httpTranscript
	Websocket []websocketTranscript
	Upgrade   []upgradeTranscript
}

type sessionFile struct {
	Sessions []sessionTranscript
}

func loadEngine(t *testing.T) (f engineFile) {
	load(t, "engine-io-http.json", &f)
	return f
}

func loadSessions(t *testing.T) (f sessionFile) {
	load(t, "socket-io-sessions.json", &f)
	return f
}

func load(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

// latin1 is the bytes of a string that holds them as Latin-1.
func latin1(s string) []byte {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return b
}
