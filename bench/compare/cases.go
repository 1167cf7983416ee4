package main

import (
	"fmt"
	"strings"
	"time"
)

// family says which figures of a case matter and which table it goes to.
type family int

const (
	throughput family = iota // saturated: messages per second, CPU per message
	paced                    // open loop: latency, CPU per message
	handshake                // connect, upgrade, close: CPU per handshake
	idle                     // held connections: bytes per connection
)

// loadCase is one row of the comparison: what the load generator does, and
// how many processors the server gets.
type loadCase struct {
	name    string
	title   string
	family  family
	topics  bool // server publishes at /topics/NAME; otherwise it echoes
	deflate bool // permessage-deflate without context takeover
	procs   int  // GOMAXPROCS of the server
	loops   int  // event loops, where the server has them; 0: one
	args    string

	// adapter makes it two servers with this adapter and a Redis between them:
	// publishers on one, subscribers on the other.
	adapter  string
	sio      bool // a Socket.IO server; see bench/sioserver
	inFlight bool // several messages on their way on each connection, so that order shows
	sessions int  // polling sessions, which compare holds itself; args is not used
	// aims are the targets of wsd's servers, and what the others took on the
	// machine where the targets were set: instructions a message, or bytes a
	// session.
	aims map[string]float64
}

// allCases are the tables of docs/performance.md, in their order.
var allCases = []loadCase{
	{name: "echo20", title: "echo 20 B, 100 connections", procs: 1, args: "echo --conns 100 --size 20"},
	{name: "echo20c1k", title: "echo 20 B, 1,000 connections", procs: 1, args: "echo --conns 1000 --size 20"},
	{name: "echo20p16", title: "echo 20 B, 100 connections, 16 in flight", procs: 1, args: "echo --conns 100 --size 20 --pipeline 16"},
	{name: "echo512", title: "echo 512 B, 100 connections", procs: 1, args: "echo --conns 100 --size 512"},
	{name: "echo16k", title: "echo 16 KiB, 100 connections", procs: 1, args: "echo --conns 100 --size 16384"},
	{name: "echo20c10k", title: "echo 20 B, 10,000 connections", procs: 1, args: "echo --conns 10000 --size 20"},
	{name: "echojson", title: "echo 1 KiB JSON deflated, 100 connections", procs: 1, deflate: true, args: "echo --conns 100 --size 1024 --json --deflate"},
	{name: "fan64w1", title: "publish 64 B to 1,000, one at a time", procs: 1, topics: true, args: "fanout --conns 1000 --pubs 1 --window 1 --size 64"},
	{name: "fan64w16", title: "publish 64 B to 1,000, 4 publishers, 16 outstanding", procs: 1, topics: true, args: "fanout --conns 1000 --pubs 4 --window 16 --size 64"},
	{name: "fan1kw4", title: "publish 1 KiB to 1,000, 4 outstanding", procs: 1, topics: true, args: "fanout --conns 1000 --pubs 1 --window 4 --size 1024"},
	{name: "fanjson", title: "publish 1 KiB JSON deflated to 1,000, 4 outstanding", procs: 1, topics: true, deflate: true, args: "fanout --conns 1000 --pubs 1 --window 4 --size 1024 --json --deflate"},
	{name: "fan64w1x2", title: "publish 64 B to 1,000, one at a time, 2 loops", procs: 2, loops: 2, topics: true, args: "fanout --conns 1000 --pubs 1 --window 1 --size 64"},
	{name: "fan64w16x2", title: "publish 64 B to 1,000, 4 publishers, 16 outstanding, 2 loops", procs: 2, loops: 2, topics: true, args: "fanout --conns 1000 --pubs 4 --window 16 --size 64"},
	{name: "handshake", title: "connect, upgrade, close", family: handshake, procs: 1, args: "handshake --conns 50"},
	{name: "idle", title: "15,000 connections", family: idle, procs: 1, args: "idle --conns 15000 --size 1024"},
	{name: "idlemsg", title: "15,000 connections after one 1 KiB message", family: idle, procs: 1, args: "idle --conns 15000 --size 1024 --warm-msgs 1"},
	{name: "idlez", title: "15,000 connections, deflate negotiated", family: idle, procs: 1, deflate: true, args: "idle --conns 15000 --size 1024 --json --deflate"},
	{name: "idlezmsg", title: "15,000 connections, deflate, after one 1 KiB message", family: idle, procs: 1, deflate: true, args: "idle --conns 15000 --size 1024 --json --deflate --warm-msgs 1"},
	{name: "paced2k", title: "2,000 messages/s, 1 processor", family: paced, procs: 1, args: "rate --conns 100 --size 20 --rate 2000"},
	{name: "paced15k", title: "15,000 messages/s, 1 processor", family: paced, procs: 1, args: "rate --conns 100 --size 20 --rate 15000"},
	{name: "paced2kx2", title: "2,000 messages/s, 2 processors", family: paced, procs: 2, args: "rate --conns 100 --size 20 --rate 2000"},
	{name: "paced15kx2", title: "15,000 messages/s, 2 processors", family: paced, procs: 2, args: "rate --conns 100 --size 20 --rate 15000"},
	{name: "sioecho", title: "event echo 20 B, 100 sockets", sio: true, procs: 1, args: "echo --sio --conns 100 --size 20",
		aims: map[string]float64{"wsd-sio-inline": 17_000, "wsd-sio": 21_000, "node-sio": 65_200, "node-sio-uws": 43_700, "zishang": 145_600}},
	{name: "sioechop16", title: "event echo 20 B, 100 sockets, 16 in flight", sio: true, inFlight: true, procs: 1, args: "echo --sio --conns 100 --size 20 --pipeline 16",
		aims: map[string]float64{"wsd-sio-inline": 4_500, "wsd-sio": 8_000, "node-sio": 52_000, "node-sio-uws": 29_800, "zishang": 134_800}},
	// "b" comes back as "m", of the same length: the generator compares the rest.
	{name: "sioroom", title: "64 B to a room of 1,000, 4 outstanding", sio: true, procs: 1, args: `fanout --sio --prefix 42["b"," --suffix "] --conns 1000 --pubs 1 --window 4 --size 64`,
		aims: map[string]float64{"wsd-sio-inline": 3_500, "wsd-sio": 3_500, "node-sio": 22_600, "node-sio-uws": 3_720, "zishang": 107_600}},
	{name: "sioroomrate", title: "100 B to a room of 1,000, 20 a second, one server", family: paced, sio: true, procs: 1, args: roomArgs + "--rate 20"},
	crossCase("classic"), crossCase("sharded"), crossCase("streams"),
	crossRate("classic"), crossRate("sharded"), crossRate("streams"),
	{name: "sioidle", title: "5,000 WebSocket sessions", family: idle, sio: true, procs: 1, args: "idle --sio --conns 5000",
		aims: map[string]float64{"wsd-sio-inline": 3_000, "wsd-sio": 3_000, "node-sio": 17_908, "node-sio-uws": 13_125, "zishang": 36_538}},
	{name: "sioidlepoll", title: "5,000 polling sessions, each with its GET waiting", family: idle, sio: true, procs: 1, sessions: 5000},
}

// roomArgs are the load of 100-byte messages to a room of 1,000.
const roomArgs = `fanout --sio --prefix 42["b"," --suffix "] --conns 1000 --pubs 1 --size 100 `

// crossCase saturates two servers: the published message crosses to the other.
func crossCase(adapter string) loadCase {
	return loadCase{name: "x" + adapter, title: "100 B to a room of 1,000 on the other server, 4 outstanding, " + adapter,
		sio: true, adapter: adapter, procs: 2, args: roomArgs + "--window 4"}
}

// crossRate is crossCase at a pace, for latencies.
func crossRate(adapter string) loadCase {
	return loadCase{name: "x" + adapter + "rate", title: "the same, 20 a second, " + adapter,
		family: paced, sio: true, adapter: adapter, procs: 2, args: roomArgs + "--rate 20"}
}

func allCaseNames() []string {
	names := make([]string, len(allCases))
	for i, c := range allCases {
		names[i] = c.name
	}
	return names
}

// selectCases resolves a comma-separated list; "all" and a trailing '*' expand.
func selectCases(list string) ([]loadCase, error) {
	var picked []loadCase
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if name == "all" {
			name = "*"
		}
		found := false
		prefix, glob := strings.CutSuffix(name, "*")
		for _, c := range allCases {
			if c.name == name || glob && strings.HasPrefix(c.name, prefix) {
				picked = append(picked, c)
				found = true
			}
		}
		if !found {
			return nil, fmt.Errorf("unknown case %q; cases: %s", name, strings.Join(allCaseNames(), ", "))
		}
	}
	return picked, nil
}

// window is the measured time. A paced server is mostly idle, and its CPU time
// is read in steps of 10 ms, so it is watched longer.
func (c loadCase) window(cfg config) time.Duration {
	if c.family == paced {
		return 3 * cfg.duration
	}
	return cfg.duration
}

// loadArgs is the load generator's command line against host:port, counting
// the processor time of pids.
func (c loadCase) loadArgs(cfg config, host, port string, pids string) []string {
	args := strings.Fields(c.args)
	args = append(args, "--host", host, "--port", port, "--pid", pids, "--label", c.name)
	if c.topics {
		args = append(args, "--path", "/topics/bench")
	}
	if c.family == idle {
		args = append(args, "--hold", fmt.Sprintf("%.3f", cfg.hold.Seconds()))
	} else {
		args = append(args,
			"--warmup", fmt.Sprintf("%.3f", cfg.warmup.Seconds()),
			"--duration", fmt.Sprintf("%.3f", c.window(cfg).Seconds()))
	}
	if c.family == throughput || c.family == paced {
		args = append(args, "--spin", "--perf")
	}
	return args
}
