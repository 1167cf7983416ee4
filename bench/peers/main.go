// Command peers is one WebSocket server written several times, with the
// libraries that wsd is measured against. Every path echoes, except
// /topics/NAME: there a connection subscribes to NAME, and each data message
// it sends goes to all other subscribers of NAME.
//
//	peers -server gws -listen 127.0.0.1:9001 [-deflate]
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sort"
	"strings"
	"syscall"
)

// maxMessage is the largest message in bytes that a server takes, as in the
// benchmark profile of wsd. The 64 bytes are slack for a message of exactly
// 16 KiB that deflate has made longer.
const maxMessage = 16<<10 + 64

// deflateThreshold is the shortest message in bytes that is compressed, for
// libraries that have such a setting.
const deflateThreshold = 128

// serveFunc serves on ln, which it owns, until ctx ends.
type serveFunc func(ctx context.Context, ln net.Listener, deflate bool) error

var servers = map[string]serveFunc{
	"gws":         serveGWS,
	"nbio":        serveNbio,
	"nbio-inline": serveNbioInline,
	"gorilla":     serveGorilla,
	"coder":       serveCoder,
}

func serverNames() []string {
	var names []string
	for name := range servers {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func main() {
	name := flag.String("server", "gws", "library: "+strings.Join(serverNames(), ", "))
	listen := flag.String("listen", "127.0.0.1:9001", "address to listen on")
	deflate := flag.Bool("deflate", false, "accept permessage-deflate and compress")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *name, *listen, *deflate); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, name, listen string, deflate bool) error {
	serve := servers[name]
	if serve == nil {
		return fmt.Errorf("unknown server %q", name)
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	return serve(ctx, ln, deflate)
}
