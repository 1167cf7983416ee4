// Package handshake reads and answers the opening handshake of a WebSocket,
// on byte slices: the strict HTTP/1.1 request head of RFC 9112, the rules of
// RFC 6455 4.2, and the responses.
//
// It does no I/O. A server gathers bytes and calls
//
//	handshake.Sniff(b)           // false: not a WebSocket handshake, at once
//	handshake.HeadLen(b, before) // 0: read more first
//	r.Parse(b[:n])               // malformed: answer with the Error's Status
//	r.IsUpgrade()                // false: an ordinary GET
//	r.Check()                    // the handshake's own rules
//	handshake.AppendResponse(...)
//
// A request that somebody else parsed is fed in by Reset, SetLine and Add in
// place of Parse. Bytes behind the head are the first frames.
//
// Nothing here locks: a Request belongs to one goroutine at a time.
package handshake
