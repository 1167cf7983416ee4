package engineio

import (
	"errors"
	"fmt"
	"net/http"
)

var (
	// ErrOptions says that Options contradict each other or are out of range.
	ErrOptions = errors.New("engineio: bad options")
	// ErrMounted says that a Server was mounted twice.
	ErrMounted = errors.New("engineio: the server is mounted already")
)

// RequestError refuses a request: the client gets Status and, over HTTP, JSON
// with Code and Message; over WebSocket status 400 and Message. 429 and those from 500 on are the same
// everywhere, with a Retry-After of a few seconds.
type RequestError struct {
	Status  int
	Code    int
	Message string
}

func (e *RequestError) Error() string {
	return fmt.Sprintf("engineio: %s (code %d)", e.Message, e.Code)
}

// comesBack reports whether the client is to try again later: over WebSocket too it
// gets the status then.
func (e *RequestError) comesBack() bool {
	return e.Status >= http.StatusInternalServerError || e.Status == http.StatusTooManyRequests
}

// Forbidden is what AllowRequest returns to refuse a client; "" stands for the
// standard message.
func Forbidden(message string) *RequestError {
	if message == "" {
		message = "Forbidden"
	}
	return &RequestError{403, 4, message}
}

// The refusals of the protocol.
var (
	refuseTransport = &RequestError{400, 0, "Transport unknown"}
	refuseSID       = &RequestError{400, 1, "Session ID unknown"}
	refuseMethod    = &RequestError{400, 2, "Bad handshake method"}
	refuseRequest   = &RequestError{400, 3, "Bad request"}
	refuseForbidden = Forbidden("")
	refuseVersion   = &RequestError{400, 5, "Unsupported protocol version"}
	refuseCapacity  = &RequestError{503, 4, "Server at capacity"}
	refuseClosing   = &RequestError{503, 4, "Server is shutting down"}
)

// Reason says why a session ended, in Node's words.
type Reason string

// The reasons.
const (
	TransportClose Reason = "transport close"
	TransportError Reason = "transport error"
	PingTimeout    Reason = "ping timeout"
	ParseError     Reason = "parse error"
	ForcedClose    Reason = "forced close"
	ShuttingDown   Reason = "server shutting down"
)
