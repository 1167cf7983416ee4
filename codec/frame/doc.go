// Package frame is the RFC 6455 frame codec on byte slices: it parses and
// appends headers, masks and unmasks, checks every framing rule, text as it
// arrives, and close payloads.
//
// It does no I/O and keeps no buffers. A receiver calls, for each frame,
//
//	n, err := frame.ParseHeader(b, &h) // n == 0: read more first
//	err = message.Accept(&h, &rules)   // every rule, limits included
//	frame.Mask(payload, h.Mask, 0)     // in place, or piece by piece with an offset
//	text.Write(payload)                // text messages: fails at the first bad byte
//
// and closes with the Code of the [ProtocolError] it got. The values OpCode,
// StatusCode and Header are those of github.com/gobwas/ws.
//
// Nothing here locks: a value belongs to whoever handles its connection.
package frame
