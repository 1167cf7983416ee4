//go:build !unix

package systemd

import (
	"errors"
	"net"
)

// take is for systems that have systemd.
func take(int) (net.Listener, error) { return nil, errors.ErrUnsupported }
