package redis

import (
	"context"

	"github.com/fe4bcecb/wsd/broker"
)

// hub holds the subscriber connections: one, or one for each master of a Redis
// Cluster. It knows what is to be subscribed, brings the servers in line with
// that, again after each reconnection, failover and migration of a slot, and
// proves by probes that messages pass.
type hub struct{}

// channelKind is how a channel is subscribed to.
type channelKind uint8

const (
	plain   channelKind = iota // SUBSCRIBE
	pattern                    // PSUBSCRIBE
	sharded                    // SSUBSCRIBE
)

// listener gets what arrives on a channel. Its methods are called on the
// connection's goroutine, one at a time and in order: they must not block, nor
// call Redis.
type listener interface {
	// message is one that arrived. channel is where it was published, for a
	// pattern too.
	message(channel, payload string)
	// gap says that messages may have been lost: the connection was away.
	gap(g broker.Gap)
}

// subscription is a listener's hold on a channel. Several listeners may have the
// same channel: it is subscribed once.
type subscription struct{}

// subscribe has l listen to a channel. It does not block: the subscription stands
// soon, and again after each reconnection.
func (h *hub) subscribe(kind channelKind, name string, l listener) *subscription { panic("H2") }

// wait returns when the subscription stands on the server, or ctx ends.
func (s *subscription) wait(ctx context.Context) error { panic("H2") }

// up reports whether it stands.
func (s *subscription) up() bool { panic("H2") }

// release ends it. The listener is not called after release has returned, except
// by a call that is under way. late keeps the channel subscribed for
// Options.ReleaseDelay, so that churn does not reach the server.
func (s *subscription) release(late bool) { panic("H2") }
