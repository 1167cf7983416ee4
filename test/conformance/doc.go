// Package conformance holds a table-driven suite for WebSocket echo servers,
// written from RFC 6455 and RFC 7692. It runs against wsd, on each of its
// transports, and against gws and gorilla/websocket, which are the oracles of
// the suite itself: where an oracle behaves otherwise, the table says so.
package conformance
