// Package vectors replays transcripts of a Socket.IO server: the bytes that raw
// clients exchanged with npm socket.io 4.8.4, and what the server's handlers
// saw. Every transcript is replayed against that server, which proves the
// replayer, and against wsd.
//
// A replay repeats what the client of a transcript did and compares what comes
// back: status, fields and body of HTTP answers, WebSocket frames byte by byte,
// what ended a connection, and the server's events. Ids are replaced by those of
// the replay. Where the transcript's client waited for time to pass, the replay
// waits for the condition that it hoped for.
//
// tables_test.go lists what is not replayed, and where wsd differs on purpose.
package vectors
