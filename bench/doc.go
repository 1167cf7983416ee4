// Package bench is the load client behind "wsd bench". It holds connections to
// any WebSocket server that echoes, or that publishes what a connection sends
// at /topics/NAME to the others there, and measures four things:
//
//   - [Echo]: closed loop, a number of messages in flight on each connection;
//   - [Paced]: open loop, messages leave at intended times whatever the server
//     does, and latency counts from those times (no coordinated omission);
//   - [Fanout]: publishers and subscribers of one topic, closed or open loop;
//   - [Idle]: connections held, for the server's memory.
//
// Each message carries its sender and sequence number, and each byte that
// comes back is compared: a lost, repeated, reordered or changed message is
// counted and makes [Run] fail. The framing is that of codec/frame, over plain
// net.Conn, one goroutine a connection.
package bench
