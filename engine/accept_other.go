//go:build !linux || !(amd64 || arm64 || loong64)

package engine

import (
	"net"

	"github.com/fe4bcecb/wsd/internal/poll"
)

// acceptor is not used on this system: goroutines accept connections.
type acceptor struct{}

func (*acceptor) stop()  {}
func (*acceptor) close() {}

func (a *App) serveOnLoops(net.Listener) (*acceptor, error) { return nil, poll.ErrUnsupported }
