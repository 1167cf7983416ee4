package api

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

const (
	// maxAckTimeout bounds how long acknowledgements are awaited.
	maxAckTimeout = time.Minute
	// maxRooms bounds the rooms, and the exceptions, of one request.
	maxRooms = 1000
	// maxArgs bounds the arguments of an event.
	maxArgs = 1000
)

// EmitRequest is the body of POST /v1/emit.
type EmitRequest struct {
	Namespace string            `json:"nsp,omitempty"` // "": /
	Rooms     []string          `json:"rooms,omitempty"`
	Except    []string          `json:"except,omitempty"`
	User      string            `json:"user,omitempty"` // instead of rooms
	Event     string            `json:"event"`
	Args      []json.RawMessage `json:"args,omitempty"`
	Volatile  bool              `json:"volatile,omitempty"`
	Local     bool              `json:"local,omitempty"`
	Ack       *Ack              `json:"ack,omitempty"`
	ID        string            `json:"id,omitempty"` // idempotency key
}

// Ack asks for acknowledgements.
type Ack struct {
	Timeout string `json:"timeout,omitempty"` // "": --request-timeout
}

// Emitted tells of an event.
type Emitted struct {
	// Confirmed is true: the broker has the event, or no other server is to get it. Where
	// acknowledgements were asked for, every server has said that it has the event.
	Confirmed bool `json:"confirmed,omitempty"`
	// Offset is its place in the log of the streams adapter; "": there is none.
	Offset string `json:"offset,omitempty"`
	// Answers are the acknowledgements' first arguments, where they were asked for.
	Answers []json.RawMessage `json:"answers,omitzero"`
	// Complete is false where some clients did not acknowledge in time.
	Complete *bool `json:"complete,omitempty"`
}

func (a *API) emit(ctx context.Context, req *EmitRequest) (any, error) {
	n, err := a.namespace(req.Namespace)
	if err != nil {
		return nil, err
	}
	wait, err := req.check()
	if err != nil {
		return nil, err
	}
	if !req.Local {
		if err := a.reachable(); err != nil {
			return nil, err
		}
	}
	args := make([]any, len(req.Args))
	for i, text := range req.Args {
		args[i] = sio.RawValue(text)
	}
	b := n.To(req.Rooms...).Except(req.Except...)
	if req.User != "" {
		b = n.To(socketio.UserRoom(req.User))
	}
	if req.Volatile {
		b = b.Volatile()
	}
	if req.Local {
		b = b.Local()
	}
	if req.Ack != nil {
		return gather(ctx, b.Timeout(wait), req.Event, args)
	}
	// Whoever asked may leave: what is begun is done.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), brokerTimeout)
	defer cancel()
	var offset string
	if req.User != "" {
		offset, err = n.SendToUserWait(ctx, req.User, req.Event, args...)
	} else {
		offset, err = b.EmitWait(ctx, req.Event, args...)
	}
	return Emitted{Confirmed: true, Offset: offset}, naming(err, untaken(err))
}

// naming adds the servers that err names to what a client is told of it.
func naming(err, told error) error {
	servers := serversIn(nil, err)
	if len(servers) == 0 {
		return told
	}
	e := *asError(told)
	e.Servers = servers
	return &e
}

// serversIn appends the servers that an error names, each once.
func serversIn(servers []string, err error) []string {
	switch x := err.(type) {
	case *socketio.ServerError:
		if !slices.Contains(servers, x.Server) {
			servers = append(servers, x.Server)
		}
	case interface{ Unwrap() []error }:
		for _, err := range x.Unwrap() {
			servers = serversIn(servers, err)
		}
	}
	return servers
}

// untaken has an error tell who may have got the event in spite of it.
func untaken(err error) error {
	switch {
	case errors.Is(err, broker.ErrUnavailable), errors.Is(err, broker.ErrOverflow):
		return unavailable("the broker did not take the event: clients of this server may have it, those of others have not, or not all")
	case errors.Is(err, context.DeadlineExceeded):
		return unavailable("the broker did not answer in time: whether clients of other servers get the event is open")
	}
	return err
}

// gather emits an event and awaits its acknowledgements.
func gather(ctx context.Context, b *socketio.Broadcast, event string, args []any) (any, error) {
	values, err := b.EmitWithAck(context.WithoutCancel(ctx), event, args...)
	complete := err == nil
	_, partial := err.(*socketio.PartialError) // as it is: joined with something worse, that counts
	switch {
	case err == nil, err == socketio.ErrTimeout, partial:
	case errors.Is(err, broker.ErrUnavailable), errors.Is(err, broker.ErrOverflow), errors.Is(err, context.DeadlineExceeded):
		return nil, unavailable("the broker did not take the event, or did not tell which servers get it: whether clients have it is open")
	default:
		return nil, err
	}
	out := Emitted{Confirmed: !partial, Answers: make([]json.RawMessage, 0, len(values)), Complete: &complete}
	for _, v := range values {
		text, ok := v.JSON()
		if !ok {
			text = []byte(`null`) // bytes, for which JSON has no form
		}
		out.Answers = append(out.Answers, json.RawMessage(text))
	}
	return out, nil
}

// check refuses a request that can't be meant. wait is the time for acknowledgements;
// 0: as the server does.
func (req *EmitRequest) check() (wait time.Duration, err error) {
	switch {
	case req.Event == "":
		return 0, badRequest("event is missing")
	case sio.IsReserved(req.Event):
		return 0, socketio.ErrReserved
	case len(req.Args) > maxArgs:
		return 0, badRequest("%d arguments, at most %d", len(req.Args), maxArgs)
	case len(req.Rooms) > maxRooms || len(req.Except) > maxRooms:
		return 0, badRequest("at most %d rooms", maxRooms)
	case req.User != "" && (len(req.Rooms) > 0 || len(req.Except) > 0 || req.Volatile || req.Local):
		return 0, badRequest("user goes with none of rooms, except, volatile and local")
	case req.Ack != nil && req.Volatile:
		return 0, badRequest("a volatile event is not acknowledged")
	case req.User != "":
		err = broker.CheckUser(req.User)
	}
	if err != nil || req.Ack == nil || req.Ack.Timeout == "" {
		return 0, err
	}
	wait, err = time.ParseDuration(req.Ack.Timeout)
	if err != nil || wait <= 0 || wait > maxAckTimeout {
		return 0, badRequest("ack.timeout: want a duration such as 5s, at most %v", maxAckTimeout)
	}
	return wait, nil
}

// namespace is one that exists.
func (a *API) namespace(name string) (*socketio.Namespace, error) {
	if name == "" {
		name = "/"
	}
	if n := a.opts.IO.Find(name); n != nil {
		return n, nil
	}
	return nil, notFound("there is no such namespace here")
}
