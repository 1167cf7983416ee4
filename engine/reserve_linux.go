//go:build amd64 || arm64 || loong64

package engine

import (
	"math"
	"syscall"

	"golang.org/x/sys/unix"
)

// reserve is a descriptor that is held only to be let go of. The zero value holds
// none.
type reserve struct {
	held bool
	fd   int
}

// hold takes a descriptor unless it has one. It reports whether it has.
func (r *reserve) hold() bool {
	if !r.held {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC) // needs no file to be there
		r.fd, r.held = fd, err == nil
	}
	return r.held
}

// release makes room for another descriptor, if there was one to let go of.
func (r *reserve) release() bool {
	if !r.held {
		return false
	}
	r.held = false
	_ = syscall.Close(r.fd)
	return true
}

// descriptorLimit is how many descriptors the process may have.
func descriptorLimit() int64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxInt64
	}
	return int64(min(limit.Cur, math.MaxInt64))
}
