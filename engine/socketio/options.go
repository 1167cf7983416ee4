package socketio

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// Defaults of Options.
const (
	DefaultConnectTimeout   = 45 * time.Second
	DefaultRequestTimeout   = 5 * time.Second
	DefaultMaxPending       = 16 << 20
	DefaultMaxPacket        = 16 << 20
	DefaultMaxNamespaces    = 10_000
	DefaultMaxClientSockets = 128
	attachmentsTimeout      = 60 * time.Second
)

// Parser is how packets are encoded; clients must use the same.
type Parser uint8

const (
	// JSON is the default parser: text, with binary attachments.
	JSON Parser = iota
	// Msgpack is socket.io-msgpack-parser's.
	Msgpack
)

// Options are a Server's. The zero value has the defaults of Node's server.
type Options struct {
	// Engine are the options of the connections below.
	Engine engineio.Options
	// ConnectTimeout closes a connection that has joined no namespace; 0: 45 s.
	ConnectTimeout time.Duration
	// Parser of packets.
	Parser Parser
	// Recovery switches connection state recovery on; nil: off.
	Recovery *RecoveryOptions
	// Inline runs handlers and middleware on the loop of their socket: less work
	// for each event, but one that blocks stalls every socket of that loop. An
	// event's arguments are then valid only until its handler returns.
	Inline bool
	// MaxAttachments bounds the attachments of a packet, both ways; 0: 10, which
	// is what stock clients take.
	MaxAttachments int
	// MaxPacket bounds a packet with its attachments, in bytes; 0: 16 MiB.
	MaxPacket int
	// MaxPending bounds the events of a socket that wait for its handlers, in
	// bytes; 0: 16 MiB. Beyond it the connection is closed.
	MaxPending int
	// MaxClientSockets bounds the namespaces that one connection may join, with those
	// that it has left while handlers still run; 0: 128. Beyond it the connection is
	// closed.
	MaxClientSockets int
	// MaxNamespaces bounds the namespaces that OfPattern and OfFunc make; 0:
	// 10,000.
	MaxNamespaces int
	// CleanupEmptyNamespaces removes those when their last socket has left.
	CleanupEmptyNamespaces bool
	// Cluster joins this server with others; nil: it is alone.
	Cluster broker.Cluster
	// Presence knows the users of all servers; see Socket.SetUser. nil: this server
	// knows its own.
	Presence broker.Presence
	// ServerID is this server's name in Presence, unique among all servers, Node's
	// included; "": Engine.ServerID.
	ServerID string
	// RequestTimeout is how long answers of other nodes, and acknowledgements of
	// a broadcast, are awaited; 0: 5 s.
	RequestTimeout time.Duration
	// Admit is asked about each packet of a client, a packet with attachments when it
	// is complete. false drops it; Admit may close the session as well. It runs on the
	// session's loop and must not block. nil: all are handled.
	Admit func(s *engineio.Session, p *sio.Packet) bool
	// Logger gets what an operator should know, never a line per event; nil:
	// slog.Default.
	Logger *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	duration := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	number := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	duration(&o.ConnectTimeout, DefaultConnectTimeout)
	duration(&o.RequestTimeout, DefaultRequestTimeout)
	number(&o.MaxAttachments, sio.MaxAttachments)
	number(&o.MaxPacket, DefaultMaxPacket)
	number(&o.MaxPending, DefaultMaxPending)
	number(&o.MaxClientSockets, DefaultMaxClientSockets)
	number(&o.MaxNamespaces, DefaultMaxNamespaces)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Engine.Logger == nil {
		o.Engine.Logger = o.Logger
	}
	if o.ConnectTimeout < 0 || o.RequestTimeout < 0 ||
		min(o.MaxAttachments, o.MaxPacket, o.MaxPending, o.MaxClientSockets, o.MaxNamespaces) < 0 {
		return o, fmt.Errorf("%w: a negative limit", ErrOptions)
	}
	if r := o.Recovery; r != nil && (r.MaxDisconnection < 0 || min(r.MaxPackets, r.MaxBytes, r.MaxSessions) < 0) {
		return o, fmt.Errorf("%w: a negative limit of Recovery", ErrOptions)
	}
	if o.Parser > Msgpack {
		return o, fmt.Errorf("%w: no parser %d", ErrOptions, o.Parser)
	}
	return o, nil
}
