package engine

import "errors"

var (
	// ErrShutdown is what Listen and Serve return once Shutdown was called.
	ErrShutdown = errors.New("engine: shut down")
	// ErrStuck is what Shutdown returns when a callback does not: its loop can't
	// be ended.
	ErrStuck = errors.New("engine: a callback does not return")
	// ErrOnLoop says that a method that waits was called in a callback: the loop
	// would stand still, Shutdown for ever.
	ErrOnLoop = errors.New("engine: not to be called on a loop")
	// ErrPattern says that a pattern does not begin with a slash, repeats one
	// that is registered, or names a wildcard badly.
	ErrPattern = errors.New("engine: bad pattern")
	// ErrBehavior says that a Behavior has a value out of range.
	ErrBehavior = errors.New("engine: bad behavior")
	// ErrOverloaded says that a loop's mailbox is full: what was published did
	// not reach all subscribers.
	ErrOverloaded = errors.New("engine: a loop's mailbox is full")
	// ErrTopic says that a topic's name is empty or longer than MaxTopicLen.
	ErrTopic = errors.New("engine: bad topic name")
	// ErrNoApp says that a request did not come through an App.
	ErrNoApp = errors.New("engine: the request was not served by an App")
	// ErrNoRoute says that no WebSocket pattern matches the request's path.
	ErrNoRoute = errors.New("engine: no WebSocket pattern matches")
	// ErrNotUpgrade says that a request does not ask for a WebSocket.
	ErrNotUpgrade = errors.New("engine: not a WebSocket handshake")
	// ErrAccept says that a handshake was accepted with a loop of another App or
	// a subprotocol that the client does not offer: it got status 500.
	ErrAccept = errors.New("engine: bad Accept")
	// ErrDecided says that an Upgrade was accepted or refused before, or that
	// its client has left.
	ErrDecided = errors.New("engine: the upgrade is decided")
)
