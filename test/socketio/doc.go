// Package socketio holds the tests in which other people's Socket.IO clients
// talk to test/sioserver: socket.io-client 4, 3 and 2, engine.io-client, the
// msgpack parser, Chromium and python-socketio, each by WebSocket, by polling
// and with an upgrade. All of them run against npm's own server as well
// (js/reference.mjs): what does not hold there is not demanded of wsd. A client
// that is not installed fails them; make test installs what they need.
//
// The checks are JavaScript, in js/checks; js/run.mjs reports each to Go.
package socketio
