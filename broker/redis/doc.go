// Package redis joins nodes by a Redis server, Sentinel group or Cluster: raw
// topics, Socket.IO namespaces in the wire formats of Node's adapters, and
// presence. See docs/redis.md for keys, channels and promises.
//
// A [Broker] holds a process's connections. Nothing in it blocks an event loop:
// what is published waits in a bounded queue for the connection that publishes,
// and what arrives is handed on by goroutines of its own. Losses are counted, and
// told as gaps.
package redis
