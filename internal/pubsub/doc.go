// Package pubsub is the protocol wsd.json.v1: publish and subscribe in JSON
// envelopes over a WebSocket, with acknowledgements, history, gaps and presence.
// docs/protocol.md describes it.
package pubsub

// Protocol is the WebSocket subprotocol that a client must offer.
const Protocol = "wsd.json.v1"

// code is why a request is refused.
type code uint8

const (
	badRequest code = iota
	unauthorized
	forbidden
	tooLarge
	limit
	unknownOp
	unavailable
	expired
	codes
)

var codeNames = [codes]string{"bad_request", "unauthorized", "forbidden", "too_large", "limit", "unknown_op", "unavailable", "expired"}

func (c code) String() string { return codeNames[c] }

// failure is a refusal of a request.
type failure struct {
	code code
	text string
}
