//go:build !linux || !(amd64 || arm64 || loong64)

package engine

import (
	"context"
	"net"

	"github.com/fe4bcecb/wsd/internal/poll"
)

// acceptor is not used on this system: goroutines accept connections.
type acceptor struct{}

func (*acceptor) stop(context.Context) {}
func (*acceptor) close()               {}

func (a *App) serveOnLoops(net.Listener) (*acceptor, error) { return nil, poll.ErrUnsupported }
