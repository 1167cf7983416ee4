//go:build !linux || !(amd64 || arm64 || loong64)

package engine

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/fe4bcecb/wsd/internal/poll"
)

func sendSocket(int, []byte) int                   { return -1 }
func sendSocketParts(int, [][]byte) int            { return -1 }
func receiveSocket(int, []byte) int                { return poll.Failed }
func closeSocket(int)                              {}
func shutdownSocket(int)                           {}
func socketAddrs(int) (local, peer netip.AddrPort) { return local, peer }
func netConn(int) (net.Conn, error)                { return nil, poll.ErrUnsupported }
func descriptor(any) (int, error)                  { return -1, poll.ErrUnsupported }

// listenTCP opens a listening socket.
func listenTCP(addr string, share bool) (net.Listener, error) {
	if share {
		return nil, errors.New("engine: ReusePort is not supported on this system")
	}
	var lc net.ListenConfig
	return lc.Listen(context.Background(), "tcp", addr)
}
