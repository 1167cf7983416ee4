// Package engine is a WebSocket server on event loops: echo and publish/subscribe
// in the manner of uWebSockets, in Go.
//
// An App routes paths to Behaviors; each connection belongs to one Loop for
// life, and all its callbacks run there, one at a time. Callbacks must not
// block; work that does goes to a goroutine, whose result returns by
// Loop.Post. What callbacks send is written once per turn of the loop, and
// what is published in a turn reaches each subscriber in one write.
//
// On Linux sockets are served by the pollers of github.com/cloudwego/netpoll;
// elsewhere, and for TLS and pipes, by a goroutine transport with the same
// protocol core. Any request on the port that is no WebSocket handshake is
// served by net/http.
package engine
