package engine

import (
	"fmt"
	"time"

	"github.com/fe4bcecb/wsd/codec/deflate"
	"github.com/fe4bcecb/wsd/codec/frame"
	"github.com/gobwas/ws"
)

// OpCode tells a text from a binary message. StatusCode is a close code.
type (
	OpCode     = frame.OpCode
	StatusCode = frame.StatusCode
)

// The kinds of message.
const (
	Text   = ws.OpText
	Binary = ws.OpBinary
)

// Compression says how a route uses permessage-deflate (RFC 7692).
type Compression uint8

const (
	// CompressionOff declines the extension.
	CompressionOff Compression = iota
	// CompressionShared compresses each message on its own with the loop's
	// compressor: no memory per connection.
	CompressionShared
	// CompressionDedicated keeps the context of a connection when the client
	// agrees: better ratios, for 4 KB to compress and up to 32 KB to inflate.
	CompressionDedicated
)

// BackpressurePolicy says what gives way when a connection's queue is full.
type BackpressurePolicy uint8

const (
	// DropNewest drops the message that does not fit.
	DropNewest BackpressurePolicy = iota
	// DropOldest drops messages from the head of the queue until it fits.
	DropOldest
	// ClosePolicy closes the connection with 1008.
	ClosePolicy
)

// Defaults of Behavior.
const (
	DefaultMaxPayload      = 16 << 10
	DefaultIdleTimeout     = 120 * time.Second
	DefaultMaxBackpressure = 64 << 10

	// maxMaxPayload and maxTicks (34 years) keep sums in their types.
	maxMaxPayload = 1 << 30
	maxTicks      = 1 << 30

	// compressAbove is the payload in bytes from which compression pays:
	// smaller ones gain little and cost the same.
	compressAbove = 128
	// minFragments and fragmentBytes give the fragments a message may have:
	// 1,024, or one per 64 bytes of the payload cap where that is more.
	minFragments  = 1024
	fragmentBytes = 64
	// controlReserve is what pongs may queue beyond MaxBackpressure.
	controlReserve = 4 << 10
)

// Behavior is what a route does with its connections. The zero value of each
// field is its default, a negative value switches off where off makes sense.
//
// All callbacks run on the connection's loop and must not block: one that does
// stalls every connection of that loop. A callback that panics closes its
// connection with 1011 and nothing else.
type Behavior struct {
	// Compression is off by default.
	Compression Compression
	// MaxPayload is the largest message in bytes, after inflation; 0: 16 KiB.
	// A larger one closes the connection with 1009.
	MaxPayload int
	// IdleTimeout closes a connection that has not completed a frame for so
	// long; 0: 120 s, negative: never. Granularity is one second.
	IdleTimeout time.Duration
	// SendPings is how long a connection may be quiet before it is pinged;
	// 0: half of IdleTimeout, negative: never.
	SendPings time.Duration
	// MaxLifetime closes a connection with 1001 at this age, less up to a tenth
	// at random so that clients do not return all at once; 0: never.
	MaxLifetime time.Duration
	// MaxBackpressure is how many bytes may wait for a slow reader; 0: 64 KiB,
	// negative: no limit. One message is accepted whatever its size while
	// nothing waits.
	MaxBackpressure int
	// Policy says what happens beyond MaxBackpressure.
	Policy BackpressurePolicy
	// Manual hands handshakes to the http.Handler of their path, which may call
	// Upgrade. Without it they are answered on the loop.
	Manual bool
	// Layered marks the connections of a protocol server that counts its own
	// clients, and their messages by CountReceived and CountSent: LoopStats tells
	// them apart.
	Layered bool
	// CheckOrigin is this route's instead of Options.CheckOrigin; nil: that one.
	CheckOrigin func(*Handshake) bool

	// Upgrade decides about a handshake; nil accepts.
	Upgrade func(u *Handshake)
	// Open is called when a connection is ready.
	Open func(ws *Conn)
	// Message is called for each message. msg is valid until it returns, and
	// may be written to.
	Message func(ws *Conn, msg []byte, op OpCode)
	// Dropped tells how many messages and bytes (frames, as queued) have not
	// been sent since the last call, once per loop turn.
	Dropped func(ws *Conn, messages, bytes int)
	// Drain is called when a queue that had backpressure is empty.
	Drain func(ws *Conn)
	// Ping is called after a ping was answered. The payload is valid until it
	// returns.
	Ping func(ws *Conn, payload []byte)
	// Pong is called for each pong, also for the automatic pings'.
	Pong func(ws *Conn, payload []byte)
	// Subscription is called when a topic gained or lost this subscriber, with
	// the App's count of subscribers after and before.
	Subscription func(ws *Conn, topic string, subscribers, before int)
	// GoAway closes a connection because the App drains or shuts down, in the way
	// of a protocol above; nil, or one that does not close it: 1001.
	GoAway func(ws *Conn)
	// Close is called once for each connection that was opened. code is the
	// peer's (1005 when it gave none), the server's own, or 1006 when the
	// connection broke. Topics still answers; sends are dropped.
	Close func(ws *Conn, code StatusCode, reason string)
}

// route is a Behavior made ready.
type route struct {
	Behavior
	pattern         string
	plain, deflated frame.Rules
	// Ticks are seconds; 0: off.
	idle, ping, life uint32
	negotiate        deflate.Config
}

// compile checks b and fills in the defaults.
func (b Behavior) compile() (*route, error) {
	r := &route{Behavior: b}
	switch {
	case b.MaxPayload < 0 || b.MaxPayload > maxMaxPayload:
		return nil, fmt.Errorf("%w: MaxPayload %d", ErrBehavior, b.MaxPayload)
	case b.Compression > CompressionDedicated:
		return nil, fmt.Errorf("%w: Compression %d", ErrBehavior, b.Compression)
	case b.Policy > ClosePolicy:
		return nil, fmt.Errorf("%w: Policy %d", ErrBehavior, b.Policy)
	}
	if r.MaxPayload == 0 {
		r.MaxPayload = DefaultMaxPayload
	}
	if r.IdleTimeout == 0 {
		r.IdleTimeout = DefaultIdleTimeout
	}
	if r.SendPings == 0 && r.IdleTimeout > 0 {
		r.SendPings = r.IdleTimeout / 2
	}
	if r.MaxBackpressure == 0 {
		r.MaxBackpressure = DefaultMaxBackpressure
	}
	r.idle, r.ping, r.life = ticks(r.IdleTimeout), ticks(r.SendPings), ticks(r.MaxLifetime)
	if r.ping >= r.idle && r.idle > 0 {
		r.ping = 0
	}
	r.plain = frame.Rules{
		Masked:        true,
		MaxMessage:    int64(r.MaxPayload),
		MaxCompressed: int64(deflate.CompressBound(r.MaxPayload)),
		MaxFragments:  max(minFragments, r.MaxPayload/fragmentBytes),
	}
	r.deflated = r.plain
	r.deflated.Deflate = true
	r.negotiate = deflate.Config{ContextTakeover: b.Compression == CompressionDedicated}
	return r, nil
}

// ticks rounds d up to whole seconds; 0 when d is off.
func ticks(d time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	return uint32(min((d-1)/time.Second+1, maxTicks))
}
