// Package eio reads and writes the packets of Engine.IO: revision 4 of the
// protocol, and revision 3 for old clients (names that end in V3).
//
// The package works on bytes only. Sessions, heartbeats and transports are in
// engine/engineio. What a Node server (engine.io-parser 5.2.3) sends and
// accepts is the measure; testdata holds its answers.
package eio
