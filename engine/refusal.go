package engine

import "net/netip"

// RefusalCause says why the engine itself refuses a connection. What a route's
// Upgrade refuses is the route's own business.
type RefusalCause uint8

// The causes.
const (
	RefusedRequest     RefusalCause = iota // malformed, too large, too slow, or to no route
	RefusedOrigin                          // by the origin check
	RefusedDecision                        // a deferred Upgrade has not decided in time
	RefusedCapacity                        // MaxConnections, or MaxHTTP
	RefusedShutdown                        // the App is shutting down
	RefusedDescriptors                     // see Options.KeepDescriptors
	RefusedTLS                             // no TLS handshake, or none in time
)

// Refusal is what Options.Refused hears.
type Refusal struct {
	Cause RefusalCause
	// Answer is the HTTP status, or the close code where there was a handshake; 0:
	// the connection was closed without one.
	Answer int
	Text   string
	Route  string         // the pattern that the request came by, "" before it was found
	Remote netip.AddrPort // of the peer, the zero value where there is none
}

// turnAway is refuse for a reason of the engine's own.
func (c *Conn) turnAway(cause RefusalCause, status int, text string) {
	if c.state != stateHandshake && c.state != stateDeferred {
		return
	}
	c.tellRefused(cause, status, text)
	c.refuse(status, text)
}

func (c *Conn) tellRefused(cause RefusalCause, answer int, text string) {
	if fn := c.loop.app.opts.Refused; fn != nil {
		_, remote := c.transportAddrs()
		route := ""
		if c.route != nil {
			route = c.route.pattern
		}
		fn(Refusal{cause, answer, text, route, remote})
	}
}
