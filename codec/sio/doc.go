// Package sio reads and writes the packets of Socket.IO, revision 5 of the
// protocol: those of the JSON parser with its binary attachments, and those of
// the msgpack one, which are turned into the same on arrival.
//
// The package works on bytes only. Namespaces, rooms and acknowledgements have
// their meaning in engine/socketio. What a Node server (socket.io-parser
// 4.2.7) sends and refuses is the measure; testdata holds its answers.
//
// JSON is checked once when it arrives, by a scanner with a bound on depth,
// and is otherwise left as it is: a [Value] is the text of one argument, which
// can be sent on without being read. Numbers, duplicate keys, the order of
// keys and lone surrogates therefore pass through unchanged.
package sio
