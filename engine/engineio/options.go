package engineio

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/fe4bcecb/wsd/engine"
)

// Defaults of Options, Node's but for MaxBackpressure, which it lacks.
const (
	DefaultPingInterval    = 25 * time.Second
	DefaultPingTimeout     = 20 * time.Second
	DefaultUpgradeTimeout  = 10 * time.Second
	DefaultMaxPayload      = 1_000_000
	DefaultMaxBackpressure = 16 << 20
	DefaultHTTPCompression = 1024
)

// The transports' names.
const (
	Polling   = "polling"
	WebSocket = "websocket"
)

// Options are a Server's. The zero value has Node's defaults.
type Options struct {
	// PingInterval is the time between heartbeats, PingTimeout how long a client
	// may take to answer one; 0: 25 s and 20 s.
	PingInterval, PingTimeout time.Duration
	// UpgradeTimeout is how long a WebSocket may take to replace polling; 0: 10 s.
	UpgradeTimeout time.Duration
	// MaxPayload bounds a WebSocket message (after inflation) and the body of a
	// POST, in bytes; 0: 1,000,000.
	MaxPayload int
	// MaxBackpressure bounds what waits for a slow client, in bytes; 0: 16 MiB.
	// Beyond it the session closes.
	MaxBackpressure int
	// Transports that are served; nil: both.
	Transports []string
	// DisableUpgrades keeps sessions that began by polling there.
	DisableUpgrades bool
	// AllowEIO3 serves revision 3 too, for clients of Socket.IO 2.
	AllowEIO3 bool
	// Compression of WebSocket messages; off by default.
	Compression engine.Compression
	// HTTPCompression is the size in bytes from which the body of a poll is
	// compressed, if the client takes gzip or deflate; 0: 1,024, negative: never.
	HTTPCompression int
	// CORS adds cross-origin headers to every HTTP answer; nil: none. It is no
	// authorisation: see CheckOrigin.
	CORS *CORS
	// Cookie is set on polling handshakes, with the session's id as its value;
	// nil: none. A missing Name is "io", a missing Path "/".
	Cookie *http.Cookie
	// Affinity is set as it is on every handshake's answer, for load balancers;
	// nil: none. It may not have Cookie's name.
	Affinity *http.Cookie
	// SecureCookies reports whether cookies for a request get the Secure
	// attribute; nil: when the connection is encrypted.
	SecureCookies func(*Request) bool
	// ServerID names this server: session ids begin with four characters of its
	// hash (see Prefix).
	ServerID string
	// Elsewhere finds the server that has a session which is not this one's, by its
	// id; nil: none. What it returns is given the client's connection with what was
	// read of it, for the other server's engine.App.Adopt; nil: nobody has the
	// session, and the client is refused. Neither may block.
	Elsewhere func(sid string) func(nc net.Conn, data []byte)
	// Client says where a request comes from and whether its way is encrypted, for
	// requests that a proxy passes on: Request.RemoteAddr and Request.Secure tell
	// that then. nil: they tell of the connection.
	Client func(*Request) (address string, secure bool)
	// CheckOrigin accepts the page that a handshake comes from; nil: any, as with
	// Node. It runs on a loop for WebSockets and must not block.
	CheckOrigin func(*Request) bool
	// Limit refuses a handshake, before AllowRequest is asked; nil: none. It runs on
	// loops, on several at a time, and must not block.
	Limit func(*Request) *RequestError
	// AllowRequest accepts a handshake by returning nil, and may block. A
	// *RequestError is the client's answer, another error is code 4 with its text.
	AllowRequest func(*Request) error
	// MaxSessions bounds the sessions; 0: no limit. AtCapacity says what one more
	// client gets.
	MaxSessions int
	AtCapacity  Capacity
	// Full reports that there are too many clients for a limit that sessions share with
	// others. It is called for each handshake, which Server.Sessions counts by then, on
	// loops too; nil: never.
	Full func() bool
	// Refused hears of each request that is refused. It must not block. Safe from
	// any goroutine, it runs on several. nil: nobody does.
	Refused func(*Request, *RequestError)
	// Opened is called when a session begins, before the Handler hears of it, and
	// may close it. Ended is called when one that was Opened has ended. Both run on
	// the session's loop and must not block; nil: not called.
	Opened, Ended func(*Session)
	// Logger gets what an operator should know; nil: slog.Default.
	Logger *slog.Logger
}

// Capacity is how a client beyond MaxSessions, or one that finds the server Full, is
// refused.
type Capacity uint8

const (
	// HTTP503 answers the handshake with status 503: stock clients come back with
	// growing pauses.
	HTTP503 Capacity = iota
	// CloseAfterOpen opens the session and closes it with 1008 "Server at
	// capacity". Pollers get status 503 all the same.
	CloseAfterOpen
)

func (o Options) withDefaults() (Options, error) {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.PingInterval, DefaultPingInterval)
	def(&o.PingTimeout, DefaultPingTimeout)
	def(&o.UpgradeTimeout, DefaultUpgradeTimeout)
	if o.MaxPayload == 0 {
		o.MaxPayload = DefaultMaxPayload
	}
	if o.MaxBackpressure == 0 {
		o.MaxBackpressure = DefaultMaxBackpressure
	}
	if o.HTTPCompression == 0 {
		o.HTTPCompression = DefaultHTTPCompression
	}
	if o.Transports == nil {
		o.Transports = []string{Polling, WebSocket}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Cookie != nil {
		c := *o.Cookie
		if c.Name == "" {
			c.Name = "io"
		}
		if c.Path == "" {
			c.Path = "/"
		}
		o.Cookie = &c
	}
	const least = time.Millisecond
	switch {
	case o.PingInterval < least, o.PingTimeout < least, o.UpgradeTimeout < least:
		return o, fmt.Errorf("%w: PingInterval, PingTimeout and UpgradeTimeout are at least 1 ms", ErrOptions)
	case o.MaxPayload < 0 || o.MaxBackpressure < 0 || o.MaxSessions < 0:
		return o, fmt.Errorf("%w: a negative limit", ErrOptions)
	case o.Cookie != nil && o.Affinity != nil && o.Cookie.Name == o.Affinity.Name:
		return o, fmt.Errorf("%w: Cookie and Affinity have the same name", ErrOptions)
	case len(o.Transports) == 0:
		return o, fmt.Errorf("%w: no transport", ErrOptions)
	}
	for _, t := range o.Transports {
		if t != Polling && t != WebSocket {
			return o, fmt.Errorf("%w: transport %q", ErrOptions, t)
		}
	}
	return o, nil
}

func (o *Options) serves(transport string) bool { return slices.Contains(o.Transports, transport) }
