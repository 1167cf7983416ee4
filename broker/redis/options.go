package redis

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/fe4bcecb/wsd/broker"
)

// Defaults of Options.
const (
	DefaultPrefix          = "socket.io"
	DefaultStreamName      = "socket.io"
	DefaultStreamMaxLen    = 10_000
	DefaultStreamReadCount = 100
	DefaultSessionPrefix   = "sio:session:"
	DefaultCommandTimeout  = 3 * time.Second
	DefaultProbeInterval   = time.Second
	DefaultProbeTimeout    = 3 * time.Second
	DefaultReleaseDelay    = 3 * time.Second
	DefaultQueueMessages   = 64 << 10
	DefaultQueueBytes      = 64 << 20
	DefaultLease           = 15 * time.Second
	DefaultLookupTTL       = 30 * time.Second
)

// Adapter is one of Node's adapters: whose wire a Broker's Cluster speaks. All
// nodes of a cluster use the same.
type Adapter uint8

// The adapters.
const (
	// Classic is createAdapter of @socket.io/redis-adapter: Redis pub/sub.
	Classic Adapter = iota
	// Sharded is its createShardedAdapter: sharded pub/sub, Redis 7 and up.
	Sharded
	// Streams is @socket.io/redis-streams-adapter 0.3: broadcasts in a stream,
	// which recovery reads; requests by pub/sub.
	Streams
)

// SubscriptionMode is the sharded adapter's: which rooms have a channel of their
// own. All nodes of a cluster use the same.
type SubscriptionMode uint8

// The modes.
const (
	Dynamic        SubscriptionMode = iota // rooms that are no socket's id
	Static                                 // none
	DynamicPrivate                         // all
)

// Options are a Broker's.
type Options struct {
	// URLs say where Redis is; see ParseURLs. Required.
	URLs []string
	// Server is this node's name, unique among all nodes. Required for Presence.
	Server string

	// Adapter is the wire of the Cluster.
	Adapter Adapter
	// Prefix begins the channels of the Cluster: Node's options key (classic) and
	// channelPrefix; "": "socket.io".
	Prefix string
	// SubscriptionMode is for the sharded adapter.
	SubscriptionMode SubscriptionMode
	// SpecificResponses is the classic adapter's publishOnSpecificResponseChannel.
	SpecificResponses bool

	// StreamName ("": "socket.io"), StreamCount (0: 1), StreamMaxLen (0: 10,000),
	// StreamReadCount (0: 100), SessionPrefix ("": "sio:session:"),
	// OnlyPlaintext and ShardedPubSub are the streams adapter's options.
	StreamName      string
	StreamCount     int
	StreamMaxLen    int
	StreamReadCount int
	SessionPrefix   string
	OnlyPlaintext   bool
	ShardedPubSub   bool

	// Durable says for a raw topic whether, and how much of, its history is kept;
	// it must always say the same of a topic, on every node. nil: none is.
	Durable func(topic string) (r broker.Retention, ok bool)

	// CommandTimeout bounds every command; 0: 3 s.
	CommandTimeout time.Duration
	// ProbeInterval is how often a message is sent through each subscriber
	// connection to prove that it lives, and ProbeTimeout when that has failed;
	// 0: 1 s and 3 s.
	ProbeInterval, ProbeTimeout time.Duration
	// ReleaseDelay is how long a channel without listeners stays subscribed; 0: 3 s.
	ReleaseDelay time.Duration
	// QueueMessages and QueueBytes bound each queue, of what is to be published and
	// of what has arrived; 0: 65,536 and 64 MiB.
	QueueMessages, QueueBytes int
	// Lease is how long a node that died stays in Presence; 0: 15 s.
	Lease time.Duration
	// LookupTTL bounds the age of a cached lookup where Redis could not tell that
	// it has changed; 0: 30 s.
	LookupTTL time.Duration
	// NoTracking does without client-side caching, for servers that lack it.
	NoTracking bool

	// Logger gets what an operator should know, never a line per message; nil:
	// slog.Default.
	Logger *slog.Logger
}

// withDefaults returns the options with what is zero set. The error names one
// that makes no sense.
func (o Options) withDefaults() (Options, error) {
	if o.Adapter > Streams {
		return o, fmt.Errorf("redis: no adapter %d", o.Adapter)
	}
	if o.SubscriptionMode > DynamicPrivate {
		return o, fmt.Errorf("redis: no subscription mode %d", o.SubscriptionMode)
	}
	for _, n := range []int{o.StreamCount, o.StreamMaxLen, o.StreamReadCount, o.QueueMessages, o.QueueBytes} {
		if n < 0 {
			return o, errors.New("redis: a count or a size below 0")
		}
	}
	for _, d := range []time.Duration{o.CommandTimeout, o.ProbeInterval, o.ProbeTimeout, o.ReleaseDelay, o.Lease, o.LookupTTL} {
		if d < 0 {
			return o, errors.New("redis: a time below 0")
		}
	}
	setDefault(&o.Prefix, DefaultPrefix)
	setDefault(&o.StreamName, DefaultStreamName)
	setDefault(&o.StreamCount, 1)
	setDefault(&o.StreamMaxLen, DefaultStreamMaxLen)
	setDefault(&o.StreamReadCount, DefaultStreamReadCount)
	setDefault(&o.SessionPrefix, DefaultSessionPrefix)
	setDefault(&o.CommandTimeout, DefaultCommandTimeout)
	setDefault(&o.ProbeInterval, DefaultProbeInterval)
	setDefault(&o.ProbeTimeout, DefaultProbeTimeout)
	setDefault(&o.ReleaseDelay, DefaultReleaseDelay)
	setDefault(&o.QueueMessages, DefaultQueueMessages)
	setDefault(&o.QueueBytes, DefaultQueueBytes)
	setDefault(&o.Lease, DefaultLease)
	setDefault(&o.LookupTTL, DefaultLookupTTL)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}

func setDefault[T comparable](value *T, def T) {
	var zero T
	if *value == zero {
		*value = def
	}
}
