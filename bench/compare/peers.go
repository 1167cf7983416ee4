package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// peerKind says what has to be built before a server can start.
type peerKind int

const (
	kindCommand peerKind = iota // nothing: the command stands for itself
	kindGo                      // bench/peers
	kindGoSIO                   // bench/peers/sio
	kindNode                    // bench/peers/node
	kindWsdSIO                  // bench/sioserver
	kindRunning                 // started by somebody else, never stopped
)

// peer is a server under test: shell commands with placeholders, or the
// address and process of one that runs already. A case whose command is empty
// is not for this server.
type peer struct {
	name   string
	kind   peerKind
	echo   string // command for echo, paced, idle and handshake cases
	topics string // command for topic cases
	sio    string // command for Socket.IO cases
	// reorders says that the server is known to answer out of order: that is
	// reported beside its figures, and does not void them.
	reorders bool
	host     string // kindRunning only
	port     string
	pid      int
}

// goServers are the values of the -server flag of bench/peers.
var goServers = []string{"gws", "nbio", "nbio-inline", "gorilla", "coder"}

// sioServers are the servers of the Socket.IO cases.
var sioServers = []peer{
	{name: "wsd-sio-inline", kind: kindWsdSIO, sio: "{scratch}/sioserver --listen 127.0.0.1:{port} --loops {loops} --inline {cluster}"},
	{name: "wsd-sio", kind: kindWsdSIO, sio: "{scratch}/sioserver --listen 127.0.0.1:{port} --loops {loops} {cluster}"},
	{name: "node-sio", kind: kindNode, sio: "node bench/peers/node/sio.mjs {port} ws {cluster}"},
	{name: "node-sio-uws", kind: kindNode, sio: "node bench/peers/node/sio.mjs {port} uws"},
	{name: "zishang", kind: kindGoSIO, reorders: true, sio: "{scratch}/siopeer -listen 127.0.0.1:{port}"},
}

func builtinNames() []string {
	names := slices.Concat([]string{"wsd"}, goServers, []string{"ws", "bun"})
	for _, p := range sioServers {
		names = append(names, p.name)
	}
	return names
}

// selectPeers resolves a comma-separated list of built-in servers; an empty
// list selects none.
func selectPeers(list, wsdEcho, wsdTopics string) ([]peer, error) {
	var picked []peer
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		sio := slices.IndexFunc(sioServers, func(p peer) bool { return p.name == name })
		switch {
		case name == "":
		case sio >= 0:
			picked = append(picked, sioServers[sio])
		case name == "wsd":
			picked = append(picked, peer{name: name, echo: wsdEcho, topics: wsdTopics})
		case slices.Contains(goServers, name):
			cmd := "{scratch}/peers -server " + name + " -listen 127.0.0.1:{port} -deflate={deflate}"
			picked = append(picked, peer{name: name, kind: kindGo, echo: cmd, topics: cmd})
		case name == "ws":
			cmd := "node bench/peers/node/ws.mjs {port} {compression}"
			picked = append(picked, peer{name: name, kind: kindNode, echo: cmd, topics: cmd})
		case name == "bun":
			cmd := "bench/peers/node/node_modules/.bin/bun bench/peers/node/bun.mjs {port} {compression}"
			picked = append(picked, peer{name: name, kind: kindNode, echo: cmd, topics: cmd})
		default:
			return nil, fmt.Errorf("unknown server %q; servers: %s", name, strings.Join(builtinNames(), ", "))
		}
	}
	return picked, nil
}

// running matches the host:port:pid form of -extra.
var running = regexp.MustCompile(`^([0-9.]+|localhost):(\d+):(\d+)$`)

// parseExtra reads the value of one -extra flag.
func parseExtra(s string) (peer, error) {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" || value == "" {
		return peer{}, fmt.Errorf("-extra %q: want name=host:port:pid or name=command", s)
	}
	if m := running.FindStringSubmatch(value); m != nil {
		pid, err := strconv.Atoi(m[3])
		if err != nil {
			return peer{}, fmt.Errorf("-extra %q: %w", s, err)
		}
		return peer{name: name, kind: kindRunning, host: m[1], port: m[2], pid: pid}, nil
	}
	if !strings.Contains(value, "{port}") {
		return peer{}, fmt.Errorf("-extra %q: the command has no {port}", s)
	}
	return peer{name: name, echo: value, topics: value, sio: value}, nil
}

// template is p's command for case c, with placeholders; "" is none.
func (p peer) template(c loadCase) string {
	switch {
	case c.sio:
		return p.sio
	case c.topics:
		return p.topics
	default:
		return p.echo
	}
}

// serves reports whether p can be a server of case c.
func (p peer) serves(c loadCase) bool {
	if c.adapter != "" {
		return strings.Contains(p.template(c), "{cluster}")
	}
	return p.kind == kindRunning || p.template(c) != ""
}

// command is the shell command that serves case c on port; redis is the URL of
// the cluster's Redis, where it has one.
func (p peer) command(c loadCase, port, redis string) string {
	cluster := ""
	if redis != "" {
		cluster = "--adapter " + c.adapter + " --redis-url " + redis
	}
	compression := "off"
	if c.deflate {
		compression = "shared"
	}
	return strings.NewReplacer(
		"{port}", port,
		"{cluster}", cluster,
		"{compression}", compression,
		"{deflate}", strconv.FormatBool(c.deflate),
		"{loops}", strconv.Itoa(max(c.loops, 1)),
	).Replace(p.template(c))
}
