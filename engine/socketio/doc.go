// Package socketio is a Socket.IO v5 server on the engine: namespaces, rooms,
// acknowledgements, middleware, broadcasts and connection state recovery, for
// clients that cannot tell it from Node's.
//
// A Server is mounted on an engine.App. Each Socket is one client's connection
// to one Namespace; it lives on the loop of its Engine.IO session. All methods
// of Server, Namespace, Socket and Broadcast are safe from any goroutine unless
// they say otherwise. Handlers of one socket run in order, one at a time, by
// default on a goroutine of their own, so that they may block; Options.Inline
// runs them on the loop instead.
//
// Spec: socket.io-protocol, revision 5; what a client can see is that of
// socket.io 4.8.
package socketio
