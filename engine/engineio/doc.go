// Package engineio serves Engine.IO revision 4 (and 3, if asked) on the engine:
// sessions that begin by long polling or WebSocket, move from the first to the
// second, and are kept alive by heartbeats. What messages mean is the business
// of a Handler, such as package socketio.
//
// A Session belongs to one loop from its handshake on, whatever carries it: its
// methods are called there, and so is the Handler. HTTP requests are served by
// net/http, whose goroutines post to the loop and wait for its answer.
//
// Spec: engine.io-protocol, revision 4; what a client can see is that of
// engine.io 6.6.
package engineio
