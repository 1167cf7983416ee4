package vectors

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fe4bcecb/wsd/test/rawws"
)

// deviation is where wsd differs from Node on purpose. What is set replaces
// the transcript's; the rest holds for wsd too.
type deviation struct {
	why          string
	steps        []step
	edit         func(*step)
	frames       []frame  // of a WebSocket, behind the upgrade request; of a session, all
	replace      []string // pairs of hex in binary packets of the server
	serverEvents []event
	splits       bool // packets are in other polls than the transcript's
}

// deviations are by the transcript's name.
var deviations = map[string]deviation{
	// HTTP
	"polling session: handshake, connect, events, close": {
		why:    "a GET takes all that is queued when it is answered, and an event leaves with its attachments: any split is legal",
		splits: true,
	},
	"invalid Origin header byte": {
		why: "the refusal says what is wrong",
		steps: []step{{
			Request:    request("GET", "/socket.io/?EIO=4&transport=polling", "Origin: http://a\x01b"),
			Response:   response("400 Bad Request", "forbidden byte in a field value", "Connection: close", "Content-Type: text/plain; charset=utf-8"),
			Connection: closed,
		}},
	},
	"path without trailing slash is not captured": {
		why: "the 404 is that of Go's standard library",
		steps: []step{{
			Request: request("GET", "/socket.io?EIO=4&transport=polling"),
			Response: response("404 Not Found", "404 page not found\n",
				"Content-Type: text/plain; charset=utf-8", "X-Content-Type-Options: nosniff"),
			Connection: complete,
		}},
	},
	"JSONP handshake (?j=0)": {
		why: "JSONP is not served: j is an unknown parameter",
		steps: []step{{
			Request: request("GET", "/socket.io/?EIO=4&transport=polling&j=0"),
			Response: response("200 OK", openPacket("v83XND_a_0vHvZNUAAAG"),
				"Content-Type: text/plain; charset=UTF-8", "Cache-Control: no-store"),
			Connection: complete,
		}},
	},
	"cors origin array, not matching: GET": {
		why: "a list of one origin is that origin: the browser compares it with the page's",
		steps: []step{{
			Request: request("GET", "/socket.io/?EIO=4&transport=polling", "Origin: http://evil.com"),
			Response: response("200 OK", openPacket("eY4vOk2EtHUh_RLbAAAM"),
				"Access-Control-Allow-Origin: http://example.com", "Vary: Origin",
				"Content-Type: text/plain; charset=UTF-8", "Cache-Control: no-store"),
			Connection: complete,
		}},
	},
	"GET /socket.io/socket.io.js (serveClient, body cut)": {
		why: "the library has no client to serve, as Node's with serveClient: false",
		steps: []step{{
			Request:    request("HEAD", "/socket.io/socket.io.js"),
			Response:   response("400 Bad Request", "", "Content-Type: application/json"),
			Connection: complete,
		}},
		serverEvents: []event{{"event": "engine connection_error", "code": 0}},
	},
	"If-None-Match on the client bundle": {
		why: "the library has no client to serve, as Node's with serveClient: false",
		steps: []step{{
			Request: request("GET", "/socket.io/socket.io.min.js", `If-None-Match: "4.8.4"`),
			Response: response("400 Bad Request", `{"code":0,"message":"Transport unknown"}`,
				"Content-Type: application/json"),
			Connection: complete,
		}},
		serverEvents: []event{{"event": "engine connection_error", "code": 0}},
	},
	"POST larger than maxHttpBufferSize": {
		why: "the reason phrase is Go's: it has no meaning (RFC 9112 4)",
		edit: func(s *step) {
			s.Response = strings.Replace(s.Response, "413 Payload Too Large", "413 Request Entity Too Large", 1)
		},
	},

	// WebSocket
	"ws: EIO=3 refused (note: after the 101!)": {
		why: "the refusal comes instead of the 101, not behind it",
		frames: []frame{
			{Dir: "recv", Kind: "http", Raw: response("400 Bad Request", "Unsupported protocol version", "Connection: close", "Content-Type: text/html")},
			{Dir: "recv", Kind: "tcp-close"},
		},
	},
	"ws: other path (destroyUpgrade after 1000 ms)": {
		why: "whoever serves the path answers at once",
		steps: []step{{
			Request:    rawws.Request("localhost", "/other/?EIO=4&transport=websocket"),
			Response:   response("404 Not Found", ""),
			Connection: complete,
		}},
	},
	"ws: message larger than maxHttpBufferSize": {
		why: "the Close frame says why",
		frames: []frame{
			{Dir: "recv", Kind: "http", Raw: switching},
			{Dir: "recv", Kind: "text", Data: `0{"sid":"7ngZvL2ONKK5hjJ9AAAl","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":100}`},
			{Dir: "send", Kind: "text", Data: "4" + strings.Repeat("a", 100)},
			{Dir: "recv", Kind: "close", Code: 1009, Reason: "message too big"},
			{Dir: "recv", Kind: "tcp-close"},
		},
	},
	"ws: invalid UTF-8 text": {
		why: "the Close frame says why",
		frames: []frame{
			{Dir: "recv", Kind: "http", Raw: switching},
			{Dir: "recv", Kind: "text", Data: openPacketOf("zorPfH8clF349VRhAAAr", "[]")},
			{Dir: "send", Kind: "text frame 34fffe", Hex: "34fffe"},
			{Dir: "recv", Kind: "close", Code: 1007, Reason: "text is not UTF-8"},
			{Dir: "recv", Kind: "tcp-close"},
		},
	},

	// upgrades
	"POST and GET in flight when '5' arrives": {
		why: "a GET during the upgrade is answered at once, not within 100 ms: none is parked when 5 arrives",
		steps: []step{{
			Request:    request("GET", "/socket.io/?EIO=4&transport=polling&sid=8fyUe2gfv8MeETrtAAA8"),
			Response:   response("200 OK", "6", "Content-Type: text/plain; charset=UTF-8", "Cache-Control: no-store"),
			Connection: complete,
		}},
	},

	// sessions
	"JS client: msgpack parser, websocket": {
		why: "values are JSON's: what is undefined is left out or nil, and a Date is text",
		replace: slices.Concat(noPID, []string{
			"94a3737276d40000c40108d7000000019aaf70da7b",
			"94a3737276c0c40108b8" + hexString([]byte("2025-11-23T06:40:00.123Z")),
		}),
	},
	"JS client: msgpack parser, polling (b + base64)": {
		why:     "values are JSON's: what is undefined is left out",
		replace: noPID,
	},
}

// noPID replaces {sid, pid: undefined} by {sid}.
var noPID = []string{"82a3736964", "81a3736964", "a3706964d40000", ""}

// request is a request without a body.
func request(method, target string, fields ...string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\n%s\r\n\r\n", method, target, strings.Join(append([]string{"Host: localhost"}, fields...), "\r\n"))
}

// response is an answer with a body of a stated length.
func response(status, body string, fields ...string) string {
	fields = append(fields, fmt.Sprint("Content-Length: ", len(body)))
	return fmt.Sprintf("HTTP/1.1 %s\r\n%s\r\n\r\n%s", status, strings.Join(fields, "\r\n"), body)
}

func openPacket(sid string) string { return openPacketOf(sid, `["websocket"]`) }

func openPacketOf(sid, upgrades string) string {
	return fmt.Sprintf(`0{"sid":%q,"upgrades":%s,"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`, sid, upgrades)
}
