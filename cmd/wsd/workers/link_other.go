//go:build !linux

package workers

import (
	"errors"
	"net"
	"os"
	"os/exec"
)

// Supported reports whether this system can have workers.
const Supported = false

func sendLetter(*net.UnixConn, []byte, []int) error { return errors.ErrUnsupported }
func receiveLetter(*net.UnixConn, []byte) (int, []*os.File, error) {
	return 0, nil, errors.ErrUnsupported
}
func withFD(any, func(int) error) error { return errors.ErrUnsupported }
func pair() (link, *os.File, error)     { return link{}, nil, errors.ErrUnsupported }
func adopted(int) (link, error)         { return link{}, errNotChild }
func alone(*exec.Cmd)                   {}
