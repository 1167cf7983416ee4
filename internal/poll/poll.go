// Package poll runs one event loop on netpoll's poller. It is the only package
// that knows netpoll, and with internal/conv the only one that goes round the
// type system.
//
// netpoll exports the layer that a WebSocket loop needs (Poll, FDOperator) but
// no function that returns a Poll, and no callback at the end of an iteration.
// This package reaches for both: openPoll by linkname, and the Handler field of
// netpoll's poll by reflection. A self-test at the first Open proves that they
// still behave as the pinned version does, so a changed netpoll fails to start
// instead of misbehaving. See docs/architecture.md.
package poll

import "errors"

// ErrUnsupported says that this system has no poller: sockets are then served
// by goroutines, and a Poll only runs what is posted to it.
var ErrUnsupported = errors.New("poll: no event loop on this system")

// Wait says how a loop waits for its next event.
type Wait int

const (
	// WaitAnnounced tells Go's scheduler: other goroutines get the processor.
	WaitAnnounced Wait = iota
	// WaitRaw keeps the processor while waiting. It saves the scheduler's
	// hand-over at every message of a lightly loaded server, and starves other
	// goroutines unless a spare processor serves them.
	WaitRaw
	// WaitNone asks for the next iteration at once.
	WaitNone
)

// Turn is called on the loop's goroutine at the end of each iteration, with the
// number of events that it handled.
type Turn func(events int) Wait

// Begin is called on the loop's goroutine when it has waited, before the events of
// an iteration are handled.
type Begin func()

// Results of Recv and Accept that are no count and no descriptor.
const (
	WouldBlock = -1
	Failed     = -2
	// NoDescriptors: the process or the system has none left.
	NoDescriptors = -3
)
