package proxyproto

import "errors"

// Errors of [Parse]. Their texts may be sent as an answer.
var (
	ErrMissing  = errors.New("a PROXY header is missing")
	ErrLine     = errors.New("the PROXY header (version 1) is malformed")
	ErrVersion  = errors.New("the PROXY header is of an unknown version")
	ErrCommand  = errors.New("the PROXY header has an unknown command")
	ErrFamily   = errors.New("the PROXY header has an unknown address family or transport")
	ErrTooLong  = errors.New("the PROXY header is too long")
	ErrShort    = errors.New("the PROXY header is too short for its addresses")
	ErrTLV      = errors.New("the PROXY header is cut off in a TLV")
	ErrChecksum = errors.New("the PROXY header's checksum is wrong")
)
