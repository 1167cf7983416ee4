package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// Codes of errors, for programs.
const (
	CodeBadRequest   = "bad_request"
	CodeUnauthorized = "unauthorized"
	CodeForbidden    = "forbidden"
	CodeNotFound     = "not_found"
	CodeMethod       = "method_not_allowed"
	CodeConflict     = "conflict"
	CodeTooLarge     = "too_large"
	CodeContentType  = "unsupported_media_type"
	CodeLimit        = "limit"
	CodeInternal     = "internal"
	CodeUnavailable  = "unavailable"
)

// Error is an answer that is no success.
type Error struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
	// Published is how many messages of a batch are out; nil: it is no batch.
	Published *int `json:"published,omitempty"`
	// Servers are those of a user that an event did not get to, or perhaps not.
	Servers []string `json:"servers,omitempty"`
}

func (e *Error) Error() string { return e.Message }

func badRequest(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: CodeBadRequest, Message: fmt.Sprintf(format, args...)}
}

func notFound(message string) *Error {
	return &Error{Status: http.StatusNotFound, Code: CodeNotFound, Message: message}
}

func conflict(message string) *Error {
	return &Error{Status: http.StatusConflict, Code: CodeConflict, Message: message}
}

func unavailable(format string, args ...any) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Code: CodeUnavailable, Message: fmt.Sprintf(format, args...)}
}

// asError is what a client is told of err.
func asError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, engine.ErrTopic):
		return badRequest("the topic is empty, or longer than %d bytes", engine.MaxTopicLen)
	case errors.Is(err, broker.ErrUser):
		return badRequest("the user's id is empty, longer than %d bytes, or not allowed", broker.MaxUserLen)
	case errors.Is(err, socketio.ErrReserved):
		return badRequest("the event's name is one of Socket.IO's own")
	case errors.Is(err, sio.ErrReserved):
		return badRequest("the event's name is one of Socket.IO's own")
	case errors.Is(err, socketio.ErrOffline):
		return notFound("the user has no connection")
	case errors.Is(err, engine.ErrShutdown), errors.Is(err, broker.ErrClosed):
		return unavailable("the server is shutting down")
	case errors.Is(err, broker.ErrUnavailable):
		return unavailable("the broker is not reached")
	case errors.Is(err, broker.ErrOverflow), errors.Is(err, engine.ErrOverloaded), errors.Is(err, socketio.ErrOverloaded):
		return unavailable("too much waits already: try again")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, socketio.ErrTimeout):
		return unavailable("it took too long: whether it was done is open")
	case errors.Is(err, context.Canceled):
		return unavailable("the client has gone: whether it was done is open")
	}
	return unavailable("%v", err)
}

// WriteError answers a request with an error, as this API does.
func WriteError(w http.ResponseWriter, status int, code, message string) {
	writeError(w, &Error{Status: status, Code: code, Message: message})
}

func writeError(w http.ResponseWriter, e *Error) {
	body, err := json.Marshal(struct {
		Error *Error `json:"error"`
	}{e})
	if err != nil {
		body = []byte(`{"error":{"code":"internal","message":"internal error"}}`) // not reached: e is strings
	}
	if e.Status == http.StatusServiceUnavailable || e.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	writeBody(w, e.Status, body)
}

// writeBody answers with JSON.
func writeBody(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client may be gone
}
