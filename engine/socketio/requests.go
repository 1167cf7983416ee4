package socketio

import (
	"context"
	"errors"
	"sync/atomic"
)

// RequestType is what other nodes of a cluster are asked for, or told to do.
type RequestType uint8

// The types. With the last three, and a ServerSideEmit that wants no answer, nobody
// answers: the result tells whether the request is on its way.
const (
	RequestFetchSockets RequestType = iota
	RequestAllRooms
	RequestServerSideEmit
	// RequestAcks is a broadcast that is to be acknowledged.
	RequestAcks
	RequestJoin
	RequestLeave
	RequestDisconnect

	requestTypes = iota
)

func (t RequestType) String() string {
	return [...]string{"fetch_sockets", "all_rooms", "server_side_emit", "acks", "join", "leave", "disconnect"}[t]
}

// RequestResult is what came of a request to other nodes.
type RequestResult uint8

// The results.
const (
	// RequestOK: all answered. For acknowledgements it means that all told how many
	// clients they have: whether these answer is not the nodes' affair.
	RequestOK RequestResult = iota
	// RequestPartial: some answered in time.
	RequestPartial
	// RequestTimeout: none did, or it was not even known in time whom to ask.
	RequestTimeout
	// RequestCanceled: whoever asked did not wait.
	RequestCanceled
	// RequestFailed: the cluster did not take it, or can't tell who is there.
	RequestFailed

	requestResults = iota
)

func (r RequestResult) String() string {
	return [...]string{"ok", "partial", "timeout", "canceled", "failed"}[r]
}

// requestCounts are a server's requests to other nodes.
type requestCounts [requestTypes][requestResults]atomic.Uint64

// count counts a request by the error that it ended with, and by how many nodes had
// answered by then.
func (c *requestCounts) count(t RequestType, err error, answered int) {
	result := RequestFailed
	switch {
	case err == nil:
		result = RequestOK
	case errors.Is(err, ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		result = RequestTimeout
		if answered > 0 {
			result = RequestPartial
		}
	case errors.Is(err, context.Canceled):
		result = RequestCanceled
	}
	c[t][result].Add(1)
}

// snapshot is for Stats.
func (c *requestCounts) snapshot() (s [requestTypes][requestResults]uint64) {
	for t := range c {
		for r := range c[t] {
			s[t][r] = c[t][r].Load()
		}
	}
	return s
}
