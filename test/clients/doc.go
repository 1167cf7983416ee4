// Package clients holds the tests in which other people's WebSocket clients
// talk to a running wsd: gorilla, coder and gws in Go, ws and undici in Node,
// and Chromium, each with and without compression. A client that is not
// installed fails them; make test installs what they need.
package clients
