package bench

import "errors"

var (
	// ErrConfig is wrapped by every error about a Config.
	ErrConfig = errors.New("bench: configuration")
	// ErrFaults is wrapped when the server lost, repeated, reordered or
	// changed messages, or ended connections; Result.Faults has the counts.
	ErrFaults = errors.New("bench: server answered wrongly")
	// ErrOverload is wrapped when an open-loop server has fallen so far behind
	// that send times can no longer be kept.
	ErrOverload = errors.New("bench: server cannot keep up with the rate")
	// ErrHandshake is wrapped when a server refuses the upgrade.
	ErrHandshake = errors.New("bench: handshake")
	// ErrNoDeflate is returned when Config.Deflate is set and the server did
	// not accept permessage-deflate.
	ErrNoDeflate = errors.New("bench: server did not negotiate permessage-deflate")
)
