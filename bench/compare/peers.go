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
	kindNode                    // bench/peers/node
	kindRunning                 // started by somebody else, never stopped
)

// peer is a server under test: two shell commands with placeholders, or the
// address and process of one that runs already.
type peer struct {
	name   string
	kind   peerKind
	echo   string // command for echo, paced, idle and handshake cases
	topics string // command for topic cases
	host   string // kindRunning only
	port   string
	pid    int
}

// goServers are the values of the -server flag of bench/peers.
var goServers = []string{"gws", "nbio", "nbio-inline", "gorilla", "coder"}

func builtinNames() []string {
	return slices.Concat([]string{"wsd"}, goServers, []string{"ws", "bun"})
}

// selectPeers resolves a comma-separated list of built-in servers; an empty
// list selects none.
func selectPeers(list, wsdEcho, wsdTopics string) ([]peer, error) {
	var picked []peer
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		switch {
		case name == "":
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
	return peer{name: name, echo: value, topics: value}, nil
}

// command is the shell command that serves case c on port.
func (p peer) command(c loadCase, port string) string {
	cmd, compression := p.echo, "off"
	if c.topics {
		cmd = p.topics
	}
	if c.deflate {
		compression = "shared"
	}
	return strings.NewReplacer(
		"{port}", port,
		"{compression}", compression,
		"{deflate}", strconv.FormatBool(c.deflate),
		"{loops}", strconv.Itoa(max(c.loops, 1)),
	).Replace(cmd)
}
