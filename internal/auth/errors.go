package auth

import "errors"

// What Verify returns wraps one of these. The texts may go to a client: they
// tell nothing about keys.
var (
	// ErrToken says that a token is malformed, not signed by the source it
	// names, not valid yet, or has claims that this package refuses.
	ErrToken = errors.New("invalid token")
	// ErrExpired says that a token was good once.
	ErrExpired = errors.New("the token has expired")
	// ErrUnavailable says that the keys could not be fetched: try again later.
	ErrUnavailable = errors.New("tokens can't be verified at present")
)

// What constructors and checks return wraps one of these.
var (
	// ErrOptions says that Options can't work.
	ErrOptions = errors.New("auth: bad options")
	// ErrPattern says that a pattern can't be read.
	ErrPattern = errors.New("bad pattern")
	// ErrUser says that a user id is empty, too long, reserved or not text.
	ErrUser = errors.New("bad user id")
	// ErrRoom says that a room's name is empty, too long or not text.
	ErrRoom = errors.New("bad room name")
)
