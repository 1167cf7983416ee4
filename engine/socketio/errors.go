package socketio

import (
	"errors"

	"github.com/fe4bcecb/wsd/codec/sio"
)

var (
	// ErrReserved says that an event's name is the library's own.
	ErrReserved = sio.ErrReserved
	// ErrOverloaded says that a loop has too much to do, and that the caller is
	// on a loop itself, so that it can't wait.
	ErrOverloaded = errors.New("socketio: too much waits for a loop")
	// ErrOnLoop says that a call would block, and was made on a loop: by a handler
	// under Options.Inline.
	ErrOnLoop = errors.New("socketio: not to be called on a loop")
	// ErrTimeout says that an answer did not come in time.
	ErrTimeout = errors.New("operation has timed out")
	// ErrDisconnected says that the socket's connection has ended.
	ErrDisconnected = errors.New("socket has been disconnected")
	// ErrOffline says that a user has no connection.
	ErrOffline = errors.New("socketio: the user is offline")
	// ErrAcked says that an event was acknowledged before, or wants none.
	ErrAcked = errors.New("socketio: nothing to acknowledge")
	// ErrNoArgument says that an event has fewer arguments than were asked for.
	ErrNoArgument = errors.New("socketio: the event has no such argument")
	// ErrAttachments says that a packet would have more attachments than clients
	// take. See Options.MaxAttachments.
	ErrAttachments = errors.New("socketio: too many attachments")
	// ErrOptions says that Options are out of range.
	ErrOptions = errors.New("socketio: bad options")
)

// ServerError is why a server was not told of a user's event.
type ServerError struct {
	Server string // Options.ServerID
	Err    error
}

func (e *ServerError) Error() string { return "server " + e.Server + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *ServerError) Unwrap() error { return e.Err }

// Refusal is a middleware's error with data for the client.
type Refusal struct {
	Message string
	Data    any // nil: none
}

func (r *Refusal) Error() string { return r.Message }

// Refuse is an error for a middleware to return: the client's connect_error has
// the message, and data as its data.
func Refuse(message string, data any) error { return &Refusal{message, data} }
